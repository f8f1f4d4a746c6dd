"""Files of a trained STAGE: those that do not fit, and those that are not there."""

import json

import pytest

from pipeline.detect.stage_file import load_stage
from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import sealed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "acta-model-1"}, "model.json holds 'acta-model-1', but 'acta-stage-1' is needed"),
        ({"clip": 6}, "model.json does not describe a model: 'clip' is 6: unexpected keyword argument"),
        (
            {"architecture": {"actors": 8}},
            "does not describe a model: 'architecture.objects': field required",
        ),
        (
            {"architecture": {"actors": 8, "objects": 6, "classes": 4, "heads": 2}},
            "3 actions, but the network has 4 outputs",
        ),
        ({"architecture": {"actors": 8, "objects": 6, "classes": 3, "heads": 5}}, "weights of another architecture"),
        ({"architecture": {"actors": 8, "objects": 6, "classes": 3, "receptive_field": 2}}, "receptive_field 2 is not"),
    ],
)
def test_model_files_that_do_not_fit(trained, tmp_path, change, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(trained.read_bytes())
    content = json.loads(trained.with_suffix(".json").read_text()) | change
    path.with_suffix(".json").write_text(json.dumps(sealed(content)))
    with pytest.raises(ActaError, match=message):
        load_stage(path)


def test_model_files_that_are_not_there(trained, tmp_path):
    with pytest.raises(ActaError, match=r"cannot read the model's description .*model.json"):
        load_stage(tmp_path / "model.safetensors")
    (tmp_path / "model.json").write_bytes(trained.with_suffix(".json").read_bytes())
    with pytest.raises(ActaError, match=r"there is no model file"):
        load_stage(tmp_path / "model.safetensors")
    (tmp_path / "model.json").write_text("[1]")
    with pytest.raises(ActaError, match="does not describe a model: it holds a list"):
        load_stage(tmp_path / "model.safetensors")
