"""RMS-Net against Table 4.1 and against its layers written out; what trains; files of trained networks."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import sealed
from pipeline.spot.spotter_file import SpotterDescription, load_spotter, save_spotter

SMALL = {
    "classes": 3,
    "features": 6,
    "clip": 11,
    "projection": 5,
    "convolutions": (4, 3),
    "kernel": 5,
    "dropout": 0.1,
    "hidden": 4,
    "regression": True,
}
TABLE = SMALL | {"features": 512, "clip": 41, "projection": 256, "convolutions": (256, 128), "kernel": 9, "hidden": 64}


def network(**changes) -> RmsNet:
    torch.manual_seed(3)
    return RmsNet(RmsNetArchitecture(**(SMALL | changes)))


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def pictures(clips: int = 2, frames: int = 4) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (clips, frames, 3, 32, 40), dtype=torch.uint8, generator=draw)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# ---- Table 4.1


@pytest.mark.parametrize("classes", [3, 17])
def test_layers_and_numbers_of_parameters_are_those_of_table_4_1(classes: int) -> None:
    model = network(**(TABLE | {"classes": classes}))
    heads = 64 * (classes + 1) + classes + 1 + 64 + 1
    layers = 512 * 256 + 256 + 9 * 256 * 256 + 256 + 9 * 256 * 128 + 128 + 128 * 64 + 64
    assert count(model) == layers + heads
    logits, offsets = model(torch.zeros(2, 41, 512))
    assert logits.shape == (2, classes + 1)
    assert offsets.shape == (2,)


def test_recipe_of_the_challenge_has_no_projection() -> None:
    model = network(features=2048, classes=17, projection=None, convolutions=(512, 256), kernel=9, hidden=128)
    convolutions = 9 * 2048 * 512 + 512 + 9 * 512 * 256 + 256
    assert count(model) == convolutions + 256 * 128 + 128 + 128 * 18 + 18 + 128 + 1


def slowly(model: RmsNet, clip: np.ndarray) -> tuple[np.ndarray, float]:
    """Logits and offset of one clip (T, d), frame by frame."""
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    rows = clip
    if model.project is not None:
        rows = np.array([weights["project.weight"] @ row + weights["project.bias"] for row in rows])
    for layer in ("convolutions.0", "convolutions.2"):
        kernel, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        half = kernel.shape[2] // 2
        new = []
        for place in range(len(rows)):
            total = bias.copy()
            for step in range(-half, half + 1):
                if 0 <= place + step < len(rows):
                    total += kernel[:, :, step + half] @ rows[place + step]
            new.append(np.maximum(total, 0))
        rows = np.array(new)
    hidden = np.maximum(weights["hidden.0.weight"] @ rows.max(0) + weights["hidden.0.bias"], 0)
    logits = weights["classify.weight"] @ hidden + weights["classify.bias"]
    if model.regress is None:
        return logits, 0.5
    return logits, 1 / (1 + math.exp(-float((weights["regress.weight"] @ hidden + weights["regress.bias"])[0])))


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"projection": None}, {"regression": False}, {"kernel": 1}])
def test_values_are_those_of_the_layers_written_out(changes: dict) -> None:
    model = network(**changes).double().eval()
    clips = 3 * features(8, 11, 6)
    logits, offsets = model(clips)
    wanted = [slowly(model, clip.numpy()) for clip in clips]
    np.testing.assert_allclose(logits.numpy(), [row for row, _ in wanted], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(offsets.numpy(), [offset for _, offset in wanted], rtol=1e-9)
    assert logits.std(0).min() > 1e-3  # the clips differ


def test_without_regression_there_is_no_such_layer() -> None:
    with_it, without = network(), network(regression=False)
    assert count(with_it) - count(without) == 4 + 1
    assert without(torch.zeros(2, 11, 6))[1].tolist() == [0.5, 0.5]


def test_dropout_is_between_the_convolutions_and_the_maximum() -> None:
    model = network(dropout=0.5).train()
    seen: list[tuple[Tensor, Tensor]] = []
    model.convolutions[-1].register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    model(torch.randn(4, 11, 6, generator=torch.Generator().manual_seed(2)))
    before, after = seen[0]
    assert before.shape == (4, 3, 11)
    assert (before >= 0).all()  # after the ReLU
    assert 0.2 < (after[before > 0] == 0).double().mean() < 0.8
    assert torch.equal(model.eval()(torch.ones(1, 11, 6))[0], model(torch.ones(1, 11, 6))[0])


def test_offsets_stay_within_the_clip() -> None:
    model = network()
    nn.init.constant_(model.regress.bias, 1e4)
    assert model(torch.zeros(1, 11, 6))[1].tolist() == [1.0]
    nn.init.constant_(model.regress.bias, -1e4)
    assert model(torch.zeros(1, 11, 6))[1].tolist() == [0.0]


def test_mixed_precision_leaves_the_outputs_fine() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        logits, offsets = network()(torch.zeros(2, 11, 6))
    assert logits.dtype == offsets.dtype == torch.float32


# ---- with a backbone


def end_to_end(trainable: str = "last_block", frames_at_once: int | None = None, **changes) -> RmsNet:
    torch.manual_seed(3)
    fields = SMALL | {"features": 3, "backbone": "resnet18", "trainable": trainable} | changes
    return RmsNet(RmsNetArchitecture(**fields), frames_at_once)


@torch.no_grad()
def test_pictures_go_through_the_backbone_one_by_one() -> None:
    model = end_to_end().eval()
    shown = pictures()
    vectors = torch.stack([torch.cat([model.embed(frame[None]) for frame in clip]) for clip in shown])
    assert vectors.shape == (2, 4, 512)
    for found, wanted in zip(model(shown), model.head(vectors), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


HEAD = {"project", "convolutions", "hidden", "classify", "regress"}


@pytest.mark.parametrize(
    ("trainable", "changes", "wanted"),
    [
        ("last_block", {}, HEAD | {"layer4.1"}),  # Table 4.6
        ("conv4", {"projection": None}, HEAD - {"project"} | {"layer3.0", "layer3.1", "layer4.0", "layer4.1"}),  # 4.3
        ("none", {}, HEAD),
    ],
)
def test_what_trains_in_each_recipe(trainable: str, changes: dict, wanted: set[str]) -> None:
    model = end_to_end(trainable, **changes).train()
    logits, offsets = model(pictures())
    (logits.square().sum() + offsets.sum()).backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert moved == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    parts = {name.removeprefix("backbone.network.") for name in moved}
    assert {
        ".".join(name.split(".")[:2]) if name.startswith("layer") else name.split(".")[0] for name in parts
    } == wanted
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 20
    assert not any(module.training for module in norms)


def test_frames_at_once_changes_nothing() -> None:
    results = []
    for at_once in (None, 3):
        model = end_to_end("conv5", at_once).eval()
        logits, offsets = model(pictures())
        (logits.square().sum() + offsets.sum()).backward()
        results.append((logits, offsets, model.backbone.network.layer4[0].conv1.weight.grad, model.project.weight.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


# ---- files


def description(model: RmsNet, **changes) -> SpotterDescription:
    fields = {"version": 1, "rate": 2.0, "input": "resnet", "frames": None, "stride": None, "nms": None}
    return SpotterDescription(architecture=model.architecture, provenance={"seed": 7}, **(fields | changes))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["features", "frames"])
def test_a_saved_network_is_read_again(tmp_path: Path, kind: str) -> None:
    model = network() if kind == "features" else end_to_end("conv4")
    about = description(model, input=kind, frames={"size": [32, 40]} if kind == "frames" else None, stride=4, nms=15.0)
    save_spotter(tmp_path / "model.safetensors", model, about)
    again, read = load_spotter(tmp_path / "model.safetensors")
    assert read == about
    assert not again.training
    clips = torch.ones(2, 11, 6) if kind == "features" else pictures()
    assert torch.equal(again(clips)[0], model.eval()(clips)[0])
    trains = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trains == [name for name, parameter in again.named_parameters() if parameter.requires_grad]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path, description = tmp_path / "model.safetensors", tmp_path / "model.json"
    with pytest.raises(ActaError, match=r"model\.json"):
        load_spotter(path)
    save_spotter(path, network(), description(network()))
    content = json.loads(description.read_text())
    for change, message in (
        ({"format": "acta-stage-1"}, "'acta-stage-1', but 'acta-spotter-1' is needed"),
        ({"rate": None, "more": 1}, "does not describe a model"),
        ({"architecture": {}}, "does not describe a model: 'architecture.classes': field required"),
        ({"architecture": content["architecture"] | {"backbone": "alexnot"}}, "does not describe a model"),
        ({"architecture": content["architecture"] | {"hidden": 9}}, "another architecture"),
    ):
        description.write_text(json.dumps(sealed(content | change)))
        with pytest.raises(ActaError, match=message):
            load_spotter(path)
    description.write_text("{")
    with pytest.raises(ActaError, match=r"model\.json, line 1: .*; it is no JSON"):
        load_spotter(path)
    description.write_text(json.dumps(content))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ActaError, match="not a whole safetensors file"):
        load_spotter(path)


class Channels:
    def __init__(self, channels: int):
        self.channels = channels


def test_input_of_other_channels_is_refused() -> None:
    about = description(network())
    about.check_input(Channels(6), "m.safetensors")
    with pytest.raises(ActaError, match=r"m\.safetensors was trained on 'resnet' with 6 channels, but is shown 64"):
        about.check_input(Channels(64), "m.safetensors")
