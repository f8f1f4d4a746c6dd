"""SlowFast-NL is PySlowFast's network for AVA to the last weight; its head is RoIAlign on both pathways."""

import hashlib

import numpy as np
import pytest
import torch

from pipeline.models.architecture import Architecture
from pipeline.models.slowfast_nl import SlowFastNL, caffe2_name, slow_positions
from pipeline.runtime.errors import ActaError
from tests.unit.models.test_i3d import BOXES, randomise, slow_roi_align


def published_shapes(depth: int, classes: int, width: float) -> dict[str, tuple[int, ...]]:
    """Names and shapes of PySlowFast's AVA networks, listed by the rules of their configurations."""

    def c(channels: int) -> int:
        return int(channels * width)

    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, channels: int) -> None:
        for tail in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{tail}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    for pathway, (time, channels) in enumerate(((1, c(64)), (5, c(8)))):
        shapes[f"s1.pathway{pathway}_stem.conv.weight"] = (channels, 3, time, 7, 7)
        norm(f"s1.pathway{pathway}_stem.bn", channels)
    fast = c(8)
    before = [c(64), fast]
    for stage in range(2, 6):
        fusion = {50: 7, 101: 5}[depth]
        shapes[f"s{stage - 1}_fuse.conv_f2s.weight"] = (2 * before[1], before[1], fusion, 1, 1)
        norm(f"s{stage - 1}_fuse.bn", 2 * before[1])
        blocks = {2: 3, 3: 4, 4: {50: 6, 101: 23}[depth], 5: 3}[stage]
        after = []
        for pathway, entering in enumerate((before[0] + 2 * before[1], before[1])):
            inner = c(64 * 2 ** (stage - 2)) if pathway == 0 else c(8 * 2 ** (stage - 2))
            leaving = 4 * inner
            for block in range(blocks):
                name = f"s{stage}.pathway{pathway}_res{block}"
                temporal = (pathway == 1 or stage >= 4) and not (stage == 4 and block >= 6)
                layers = {"a": (entering, inner, 3 if temporal else 1, 1), "b": (inner, inner, 1, 3)}
                for letter, (i, o, t, s) in {**layers, "c": (inner, leaving, 1, 1)}.items():
                    shapes[f"{name}.branch2.{letter}.weight"] = (o, i, t, s, s)
                    norm(f"{name}.branch2.{letter}_bn", o)
                if block == 0:
                    shapes[f"{name}.branch1.weight"] = (leaving, entering, 1, 1, 1)
                    norm(f"{name}.branch1_bn", leaving)
                if (depth, stage, pathway) == (101, 4, 0) and block in (6, 13, 20):
                    name = f"s4.pathway0_nonlocal{block}"
                    for layer in ("theta", "phi", "g"):
                        shapes[f"{name}.conv_{layer}.weight"] = (leaving // 2, leaving, 1, 1, 1)
                        shapes[f"{name}.conv_{layer}.bias"] = (leaving // 2,)
                    shapes[f"{name}.conv_out.weight"] = (leaving, leaving // 2, 1, 1, 1)
                    shapes[f"{name}.conv_out.bias"] = (leaving,)
                    norm(f"{name}.bn", leaving)
                entering = leaving
            after.append(leaving)
        before = after
    shapes["head.projection.weight"] = (classes, sum(before))
    return shapes | {"head.projection.bias": (classes,)}


@pytest.mark.parametrize(
    ("depth", "frames", "parameters", "digest"),
    [
        # sha256 over the sorted lines "name shape" of the state dicts that PySlowFast's own builder makes of
        # configs/AVA/c2/SLOWFAST_32x2_R50, SLOWFAST_32x2_R101_50_50 and SLOWFAST_64x2_R101_50_50.
        (50, 64, 33_828_888, "5453ccff1fc780c9bb8c34b3fea447547aa803f6f51c31ac8fa946dfd260e2b3"),
        (101, 64, 59_342_488, "e38c43024d7042ee6bd3c31ec6f8f9f5cb3f95ee330d93ad85faf0040889ce69"),
        (101, 128, 59_342_488, "e38c43024d7042ee6bd3c31ec6f8f9f5cb3f95ee330d93ad85faf0040889ce69"),
    ],
)
def test_names_and_shapes_are_pyslowfasts(depth: int, frames: int, parameters: int, digest: str) -> None:
    with torch.device("meta"):
        network = SlowFastNL(Architecture(f"slowfast_8x8_r{depth}", 80, frames=frames))
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes == published_shapes(depth, 80, 1.0)
    lines = "\n".join(f"{name} {list(shape)}" for name, shape in sorted(shapes.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == digest
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("nonlocal_conv4_6_theta_w", "s4.pathway0_nonlocal6.conv_theta.weight"),
        ("nonlocal_conv4_13_out_b", "s4.pathway0_nonlocal13.conv_out.bias"),
        ("nonlocal_conv4_20_bn_s", "s4.pathway0_nonlocal20.bn.weight"),
        ("nonlocal_conv4_20_bn_b", "s4.pathway0_nonlocal20.bn.bias"),
        ("nonlocal_conv4_20_bn_riv", "s4.pathway0_nonlocal20.bn.running_var"),
        ("t_res4_22_branch2c_bn_subsample_w", "s4_fuse.conv_f2s.weight"),
        ("res4_22_branch2a_bn_rm", "s4.pathway0_res22.branch2.a_bn.running_mean"),
        ("pred_w", "head.projection.weight"),
    ],
)
def test_caffe2_names(theirs: str, ours: str) -> None:
    assert caffe2_name(theirs) == ours


def test_a_foreign_caffe2_name() -> None:
    with pytest.raises(ActaError, match="'nonlocal_x' is no weight of SlowFast"):
        caffe2_name("nonlocal_x")


def test_slow_positions_are_pyslowfasts() -> None:
    """Evenly from the first frame to the last, cut off."""
    assert slow_positions(32) == [0, 4, 8, 13, 17, 22, 26, 31]
    assert slow_positions(64) == [0, 4, 8, 12, 16, 21, 25, 29, 33, 37, 42, 46, 50, 54, 58, 63]


def test_features_are_the_maxima_of_regions_of_both_pathways() -> None:
    network = randomise(SlowFastNL(Architecture("slowfast_8x8_r101", 3, 0.125, frames=32))).double()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    network.get_submodule("s5").register_forward_hook(lambda module, inputs, output: seen.append(output))
    generator = torch.Generator().manual_seed(0)
    fast = torch.randn(2, 3, 16, 64, 96, dtype=torch.float64, generator=generator)
    slow = fast[:, :, slow_positions(16)]
    with torch.inference_mode():
        features, logits = network([slow, fast], BOXES)
    assert [output.shape for output in seen[0]] == [(2, 256, 4, 4, 6), (2, 32, 16, 4, 6)]  # the stride of res4
    for index, (clip, box) in enumerate(((0, BOXES[0][0]), (0, BOXES[0][1]), (1, BOXES[1][0]))):
        cells = [min(x * size, size - 1) / 16 for x, size in zip(box.tolist(), (96, 64, 96, 64), strict=True)]
        wanted = [slow_roi_align(x[clip].mean(1).numpy(), cells, 7, 0.0).max((1, 2)) for x in seen[0]]
        assert np.allclose(features[index], np.concatenate(wanted), rtol=1e-5)
    state = network.state_dict()
    assert torch.allclose(logits, features @ state["head.projection.weight"].T + state["head.projection.bias"])


def test_every_weight_of_a_new_network_is_trained() -> None:
    network = SlowFastNL(Architecture("slowfast_8x8_r101", 3, 0.125, frames=16))
    fast = torch.randn(2, 3, 8, 32, 32)
    network([fast[:, :, ::4], fast], BOXES)[1].sum().backward()
    assert all(p.grad is not None for p in network.parameters())
