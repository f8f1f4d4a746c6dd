"""Activations that are computed twice: the same gradients and running statistics, in less memory."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone, freeze
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.frame_backbones import build_frame_backbone
from pipeline.models.recompute import recompute_activations
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.training.features import FeatureLoss

BOXES = [torch.tensor([[0.1, 0.1, 0.8, 0.9]]), torch.tensor([[0.2, 0.3, 0.7, 0.6], [0.0, 0.0, 1.0, 1.0]])]


def clip(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def classifier(name: str, width: float) -> nn.Module:
    return build(Architecture(name, 3, width), dropout=0.5)


def of_clips(name: str, width: float, *sizes: int) -> tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]:
    shown = [clip(2, 3, frames, 32, 32) for frames in sizes]
    return lambda: classifier(name, width), lambda model: model(shown).square().sum()


def actors(name: str, frozen: bool = False) -> tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]:
    backbone = ActorBackbone(name, 3, 0.05, 32 if name.startswith("slowfast") else 8)

    def make() -> nn.Module:
        network = build_actor_backbone(backbone, 0.5)
        if frozen:
            freeze(network, backbone)
        return network

    pictures = torch.randint(0, 256, (2, backbone.span, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    return make, lambda model: model(pictures.to(torch.uint8), BOXES)[1].square().sum()


def spotter() -> nn.Module:
    architecture = RmsNetArchitecture(
        *(3, 0, 4, None, (4, 4), 3, 0.5, 4, True),
        backbone="resnet18",
        trainable="conv4",
    )
    return RmsNet(architecture, frames_at_once=3)


PICTURES = torch.randint(0, 256, (2, 4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
NETWORKS = {
    "r2plus1d_18": of_clips("r2plus1d_18", 0.1, 4),
    "r3d_18": of_clips("r3d_18", 0.1, 4),
    "slowfast_4x16_r50": of_clips("slowfast_4x16_r50", 0.1, 2, 16),
    "i3d": actors("i3d"),
    "i3d from Mixed_5 on": actors("i3d", frozen=True),
    "r101_i3d_nl": actors("r101_i3d_nl"),
    "slowfast_nl": actors("slowfast_nl_8x8_r101"),
    "spotter": (spotter, lambda model: sum(part.square().sum() for part in model(PICTURES))),
}


def step(
    make: Callable[[], nn.Module], loss_of: Callable[[nn.Module], Tensor], again: bool
) -> tuple[Tensor, dict[str, Tensor | None], dict[str, Tensor], int]:
    """Loss, gradients, state after a step of a new network, and bytes that it kept for the backward pass."""
    torch.manual_seed(3)
    model = make().train()
    if again:
        assert recompute_activations(model)
    kept: dict[int, int] = {}
    owned = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = loss_of(model)
    size = sum(kept.values())
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return loss.detach(), gradients, model.state_dict(), size


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_is_the_same_to_the_last_bit_and_takes_less_memory(name: str) -> None:
    """Dropout and running statistics, updated once, included."""
    (loss, gradients, state, size), (again, *others, small) = (step(*NETWORKS[name], again) for again in (False, True))
    assert torch.equal(loss, again)
    assert any(gradient is not None and gradient.any() for gradient in gradients.values())
    for wanted, found in zip((gradients, state), others, strict=True):
        assert wanted.keys() == found.keys()
        for key, value in wanted.items():
            same = found[key] is None if value is None else torch.equal(value, found[key])
            assert same, key
    assert small < 0.75 * size


def test_a_network_without_blocks_keeps_all() -> None:
    assert recompute_activations(nn.Sequential(nn.Linear(2, 2), nn.ReLU())) == 0


def test_without_gradients_nothing_is_kept() -> None:
    model = classifier("r3d_18", 0.1).eval()
    shown = [clip(1, 3, 4, 32, 32)]
    with torch.no_grad():
        wanted = model(shown)
        recompute_activations(model)
        assert torch.equal(model(shown), wanted)


def test_frozen_statistics_stay_and_others_are_updated_once() -> None:
    model = classifier("r3d_18", 0.1).train()
    frozen = model.get_submodule("layer2.0.conv1.1").eval()
    recompute_activations(model)
    model([clip(2, 3, 4, 32, 32)]).sum().backward()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d) and module is not frozen]
    assert {int(norm.num_batches_tracked) for norm in norms} == {1}
    assert frozen.num_batches_tracked == 0
    assert frozen.running_mean.eq(0).all()


def test_losses_on_activations_within_blocks_are_the_same() -> None:
    """Table 6.7: hooks of a student hear the forward pass."""
    found = []
    for again in (False, True):
        torch.manual_seed(3)
        student, teacher = (classifier("r2plus1d_18", 0.1) for _ in range(2))
        teacher.requires_grad_(False)
        features = FeatureLoss("mse", student, teacher, 1.0)
        if again:
            recompute_activations(student)
        shown = [clip(2, 3, 4, 32, 32)]
        logits = student(shown)
        with torch.no_grad():
            teacher(shown)
        loss = logits.square().sum() + features()
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in student.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_half_precision_is_recomputed_in_half_precision() -> None:
    found = []
    for again in (False, True):
        torch.manual_seed(3)
        model = build_frame_backbone("resnet18", "conv4")
        if again:
            recompute_activations(model)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(PICTURES[0]).square().sum()
        loss.backward()
        found.append([p.grad for p in model.parameters() if p.requires_grad])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
