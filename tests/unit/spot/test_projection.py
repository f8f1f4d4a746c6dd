"""Files that are no projections."""

import pytest
import torch
from safetensors.torch import save_file

from pipeline.runtime.errors import ActaError
from pipeline.spot.projection import Projection


def test_files_that_are_no_projections(shards, tmp_path):
    path, about = tmp_path / "p.safetensors", tmp_path / "p.json"
    with pytest.raises(ActaError, match=r"cannot read the projection's description .*p\.json"):
        Projection(path)
    about.write_text("[]")
    with pytest.raises(ActaError, match="does not describe a projection: it holds a list"):
        Projection(path)
    about.write_text('{"format": "other"}')
    with pytest.raises(ActaError, match="holds 'other', but 'acta-pca-1' is needed"):
        Projection(path)
    for features in ("null", "[]", "{}", '{"weights": "a"}'):
        about.write_text(f'{{"format": "acta-pca-1", "features": {features}}}')
        with pytest.raises(ActaError, match=r"p\.json does not describe a projection"):
            Projection(path)
    about.write_text('{"format": "acta-pca-1", "features": {"weights": {}}}')
    with pytest.raises(ActaError, match="there is no model file"):
        Projection(path)
    for mean, components in (((3,), (2, 4)), ((), ()), ((3,), (3,)), ((3,), (2, 3, 1)), ((2, 3), (2, 2, 3))):
        save_file({"mean": torch.zeros(mean), "components": torch.zeros(components)}, path)
        with pytest.raises(ActaError, match=r"does not hold a projection's mean \(d,\) and components \(k, d\)"):
            Projection(path)
    save_file({"mean": torch.zeros(3)}, path)
    with pytest.raises(ActaError, match=r"does not hold a projection's mean \(d,\) and components \(k, d\)"):
        Projection(path)
