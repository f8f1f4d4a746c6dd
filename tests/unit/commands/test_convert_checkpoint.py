"""Published checkpoints of actor backbones become model files, with the actions of a label map."""

from pathlib import Path

import pytest
import torch

from pipeline.commands.convert_checkpoint import convert_checkpoint
from pipeline.detect.annotation.ava import write_label_map
from pipeline.models import actor_backbones
from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone, load_actor_backbone
from pipeline.runtime.errors import ActaError

ACTIONS = ["stand", "sit", "answer phone"]


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A narrow SlowFast in the form of PySlowFast's checkpoints; the published width takes seconds."""

    class Narrow(ActorBackbone):
        def __init__(self, name, classes, width=0.125, frames=None):
            super().__init__(name, classes, width, frames)

    monkeypatch.setattr("pipeline.commands.convert_checkpoint.ActorBackbone", Narrow)
    monkeypatch.setattr(actor_backbones, "ActorBackbone", Narrow)
    model = build_actor_backbone(ActorBackbone("slowfast_nl_8x8_r50", len(ACTIONS), 0.125))
    torch.save({"model_state": model.network.state_dict()}, tmp_path / "slowfast.pyth")
    write_label_map(tmp_path / "labels.pbtxt", ACTIONS)
    return tmp_path / "slowfast.pyth"


def test_every_weight_and_the_label_maps_actions(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "slowfast.safetensors"
    convert_checkpoint(checkpoint, output, "slowfast_nl_8x8_r50", tmp_path / "labels.pbtxt")
    model, backbone, actions = load_actor_backbone(output)
    assert actions == ACTIONS
    assert backbone.name == "slowfast_nl_8x8_r50"
    published = torch.load(checkpoint)["model_state"]
    assert all(torch.equal(value, published[name]) for name, value in model.network.state_dict().items())


def test_another_number_of_actions_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    write_label_map(tmp_path / "two.pbtxt", ACTIONS[:2])
    with pytest.raises(ActaError, match=r"slowfast.pyth holds the weights of another architecture: .*head.projection"):
        convert_checkpoint(checkpoint, tmp_path / "x.safetensors", "slowfast_nl_8x8_r50", tmp_path / "two.pbtxt")
