"""Image backbones against torchvision's own networks, what trains of them, and their weights' files."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from pipeline.models.frame_backbones import FrameBackbone, build_frame_backbone, load_frame_weights
from pipeline.models.weights import WEIGHTS
from pipeline.runtime.errors import ActaError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSIFIER = {"resnet18": "fc", "resnet50": "fc", "mobilenet_v2": "classifier"}


def pictures(count: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 33, 47), dtype=torch.uint8, generator=draw)


def published(name: str) -> nn.Module:
    """torchvision's network with random weights and statistics."""
    torch.manual_seed(5)
    model = get_model(name, weights=None)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, std=0.1)
    return model.eval()


def started(name: str, folder: Path, trainable: str = "none") -> tuple[FrameBackbone, nn.Module]:
    """A backbone with torchvision's weights, and torchvision's network without its classifier."""
    peer = published(name)
    torch.save(peer.state_dict(), folder / f"{name}.pth")
    backbone = build_frame_backbone(name, trainable)
    load_frame_weights(backbone, folder / f"{name}.pth")
    setattr(peer, CLASSIFIER[name], nn.Identity())
    return backbone, peer


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "trainable"), [("resnet18", "none"), ("resnet50", "conv4"), ("mobilenet_v2", "conv5")]
)
def test_vectors_are_those_of_torchvisions_network_before_its_classifier(tmp_path, name, trainable) -> None:
    backbone, peer = started(name, tmp_path, trainable)
    backbone, peer = backbone.double().eval(), peer.double()
    shown = pictures()
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (MEAN, STD))
    wanted = peer((shown.double() / 255 - mean) / std)
    found = backbone(shown)
    assert found.shape == (3, backbone.size)
    assert wanted.std() > 1e-3
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(backbone(shown.double()), found, rtol=0, atol=0)  # the same scale
    fused = backbone.fuse()
    torch.testing.assert_close(fused(shown), wanted, rtol=1e-9, atol=1e-9)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused._fused.modules())  # type: ignore[union-attr]
    torch.testing.assert_close(backbone(shown, at_once=2), found)


def test_pictures_are_left_as_they_are() -> None:
    shown = pictures().float().contiguous(memory_format=torch.channels_last)
    before = shown.clone()
    build_frame_backbone("mobilenet_v2")(shown)
    assert torch.equal(shown, before)


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048), ("resnet101", 2048), ("resnet152", 2048)]
    + [("mobilenet_v2", 1280)],
)
def test_sizes(name: str, size: int) -> None:
    with torch.device("meta"):
        assert build_frame_backbone(name).size == size
    assert name in WEIGHTS


TRAINED = [
    ("resnet18", "none", None),
    ("resnet18", "last_block", "layer4.1"),
    ("resnet18", "conv5", "layer4.0"),
    ("resnet18", "conv4", "layer3.0"),
    ("resnet50", "last_block", "layer4.2"),
    ("resnet50", "conv4", "layer3.0"),
    ("resnet152", "last_block", "layer4.2"),
    ("resnet152", "conv4", "layer3.0"),
    ("mobilenet_v2", "last_block", "17.conv"),
    ("mobilenet_v2", "conv5", "14.conv"),
    ("mobilenet_v2", "conv4", "7.conv"),
]


@pytest.mark.parametrize(("name", "trainable", "first"), TRAINED)
def test_what_trains_begins_where_it_should_and_goes_on_to_the_end(name, trainable, first) -> None:
    with torch.device("meta"):
        backbone = build_frame_backbone(name, trainable)
    named = list(backbone.network.named_parameters())
    trains = [key for key, p in named if p.requires_grad]
    if first is None:
        assert not trains
    else:
        assert trains[0].startswith(first)
        assert trains == [key for key, _ in named][-len(trains) :]


def test_of_batch_norm_only_the_scales_and_shifts_of_what_trains_change(tmp_path: Path) -> None:
    backbone, _ = started("resnet18", tmp_path, "conv4")
    norm = {key: value.clone() for key, value in backbone.state_dict().items() if "bn" in key or "downsample.1" in key}
    learnt = {key for key in norm if "layer3" in key or "layer4" in key} & dict(backbone.named_parameters()).keys()
    fresh = backbone(pictures())
    quiet = backbone.eval()(pictures())
    torch.testing.assert_close(fresh, quiet, rtol=0, atol=0)
    nn.Sequential(backbone).train()
    assert backbone.training
    found = backbone(pictures())
    torch.testing.assert_close(found, quiet, rtol=0, atol=0)
    found.square().sum().backward()
    torch.optim.SGD(backbone.parameters(), lr=0.1, weight_decay=0.1).step()
    after = backbone.state_dict()
    assert len(norm) == 5 * 20
    assert len(learnt) == 2 * 2 * 5
    assert {key for key, value in norm.items() if not torch.equal(after[key], value)} == learnt


def test_gradients_reach_only_what_trains(tmp_path: Path) -> None:
    backbone, _ = started("resnet18", tmp_path, "last_block")
    backbone.train()(pictures()).square().sum().backward()
    moved = {key for key, p in backbone.network.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {f"layer4.1.{key}" for key in ("conv1.weight", "bn1.weight", "bn1.bias")} | {
        f"layer4.1.{key}" for key in ("conv2.weight", "bn2.weight", "bn2.bias")
    }
    assert not build_frame_backbone("resnet18").train()(pictures()).requires_grad


# ---- files of weights


def test_weights_without_a_classifier_do(tmp_path: Path) -> None:
    state = {key: value for key, value in published("resnet18").state_dict().items() if not key.startswith("fc.")}
    torch.save(state, tmp_path / "trunk.pth")
    backbone = build_frame_backbone("resnet18")
    load_frame_weights(backbone, tmp_path / "trunk.pth")
    assert torch.equal(backbone.network.layer4[1].bn2.bias, state["layer4.1.bn2.bias"])


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        ("resnet18", "resnet34", "unknown, such as 'layer1.2"),
        ("resnet34", "resnet18", "missing, such as 'layer1.2"),
        ("resnet18", "mobilenet_v2", "another architecture"),
        ("mobilenet_v2", "resnet18", "another architecture"),
        ("resnet50", "wide_resnet50_2", "has the shape"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, name: str, other: str, message: str) -> None:
    with torch.device("meta"):
        state, backbone = get_model(other, weights=None).state_dict(), build_frame_backbone(name)
    small = {key: torch.zeros(()).expand(value.shape) for key, value in state.items()}
    torch.save(small, tmp_path / "other.pth")
    with pytest.raises(ActaError, match=message) as error:
        load_frame_weights(backbone, tmp_path / "other.pth")
    assert "other.pth" in str(error.value)


def test_files_that_hold_no_weights_are_refused(tmp_path: Path) -> None:
    backbone = build_frame_backbone("resnet18")
    with pytest.raises(ActaError, match=r"gone\.pth"):
        load_frame_weights(backbone, tmp_path / "gone.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ActaError, match=r"text\.pth is no checkpoint"):
        load_frame_weights(backbone, tmp_path / "text.pth")
    torch.save({"fc.weight": torch.zeros(1000, 512)}, tmp_path / "classifier.pth")
    with pytest.raises(ActaError, match=r"classifier\.pth holds no weights of a backbone"):
        load_frame_weights(backbone, tmp_path / "classifier.pth")
