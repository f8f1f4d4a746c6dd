"""R101-I3D-NL: its layers by their published names, its non-local blocks, and its head for actors."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.models.nonlocal_block import NonLocal
from pipeline.models.r101_i3d_nl import R101I3DNL, Affine, caffe2_name, feature_size, region_maxima
from pipeline.runtime.errors import ActaError
from tests.unit.models.test_i3d import BOXES, randomise, slow_roi_align

WIDTH = 0.0625


def published_blobs(classes: int, width: float) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the blobs of ava_r101_baseline, listed by the rules of its repository's model builder."""

    def c(channels: int) -> int:
        return int(channels * width)

    shapes: dict[str, tuple[int, ...]] = {"conv1_w": (c(64), 3, 5, 7, 7)}
    affine = {"res_conv1_bn": c(64)}
    before = c(64)
    for stage, blocks in ((2, 3), (3, 4), (4, 23), (5, 3)):
        inner, after = c(64 * 2 ** (stage - 2)), c(256 * 2 ** (stage - 2))
        for block in range(blocks):
            prefix = f"res{stage}_{block}_branch"
            # "use_temp_convs": every block of res2, the even ones of res3 and res4, the middle one of res5.
            temporal = stage == 2 or (stage in (3, 4) and block % 2 == 0) or (stage == 5 and block == 1)
            shapes[f"{prefix}2a_w"] = (inner, before, 3 if temporal else 1, 1, 1)
            shapes[f"{prefix}2b_w"] = (inner, inner, 1, 3, 3)
            shapes[f"{prefix}2c_w"] = (after, inner, 1, 1, 1)
            affine |= {f"{prefix}2a_bn": inner, f"{prefix}2b_bn": inner, f"{prefix}2c_bn": after}
            if block == 0:
                shapes[f"{prefix}1_w"] = (after, before, 1, 1, 1)
                affine[f"{prefix}1_bn"] = after
            before = after
            # "nonlocal_mod": 2 in res3 and 7 in res4 of ResNet-101.
            if (stage, block) in ((3, 1), (3, 3), (4, 6), (4, 13), (4, 20)):
                name = f"nonlocal_conv{stage}_{block}"
                for layer in ("theta", "phi", "g"):
                    shapes |= {f"{name}_{layer}_w": (after // 2, after, 1, 1, 1), f"{name}_{layer}_b": (after // 2,)}
                shapes |= {f"{name}_out_w": (after, after // 2, 1, 1, 1), f"{name}_out_b": (after,)}
                affine[f"{name}_bn"] = after
    for name, channels in affine.items():
        shapes |= {f"{name}_s": (channels,), f"{name}_b": (channels,)}
    return shapes | {"pred_w": (classes, before), "pred_b": (classes,)}


@pytest.mark.parametrize("width", [1.0, WIDTH])
def test_every_published_blob_has_its_place(width: float) -> None:
    with torch.device("meta"):
        network = R101I3DNL(80, width)
    ours = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert {caffe2_name(name): shape for name, shape in published_blobs(80, width).items()} == ours
    if width == 1:
        assert sum(p.numel() for p in network.parameters()) == 58_343_440
        assert (feature_size(), ours["head.projection.weight"]) == (2048, (80, 2048))
    with pytest.raises(ActaError, match="'res2_0_branch2a_bn_rm' is no weight of R101-I3D-NL"):
        caffe2_name("res2_0_branch2a_bn_rm")


def slow_forward(blobs: dict[str, Tensor], x: Tensor) -> Tensor:
    """Res5 by the published names alone, one layer after the other."""

    def affine(x: Tensor, name: str) -> Tensor:
        return x * blobs[f"{name}_s"][:, None, None, None] + blobs[f"{name}_b"][:, None, None, None]

    def attend(x: Tensor, name: str) -> Tensor:
        def conv(x: Tensor, layer: str) -> Tensor:
            weight = blobs[f"{name}_{layer}_w"].flatten(1)
            return torch.einsum("oc,ncp->nop", weight, x) + blobs[f"{name}_{layer}_b"][:, None]

        pooled = F.max_pool3d(x, (1, 2, 2)).flatten(2)
        theta, phi, g = conv(x.flatten(2), "theta"), conv(pooled, "phi"), conv(pooled, "g")
        affinity = torch.einsum("ncq,nck->nqk", theta, phi) / theta.shape[1] ** 0.5
        y = torch.einsum("nqk,nck->ncq", affinity.softmax(-1), g)
        return x + affine(conv(y, "out").view_as(x), f"{name}_bn")

    x = affine(F.conv3d(x, blobs["conv1_w"], None, (1, 2, 2), (2, 3, 3)), "res_conv1_bn").relu()
    x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    for stage, blocks, stride, dilation in ((2, 3, 1, 1), (3, 4, 2, 1), (4, 23, 2, 1), (5, 3, 1, 2)):
        if stage == 3:
            x = F.max_pool3d(x, (2, 1, 1))
        for block in range(blocks):
            name, s = f"res{stage}_{block}_branch", stride if block == 0 else 1
            weight = blobs[f"{name}2a_w"]
            y = affine(F.conv3d(x, weight, padding=(weight.shape[2] // 2, 0, 0)), f"{name}2a_bn").relu()
            y = F.conv3d(y, blobs[f"{name}2b_w"], None, (1, s, s), (0, dilation, dilation), (1, dilation, dilation))
            y = affine(F.conv3d(affine(y, f"{name}2b_bn").relu(), blobs[f"{name}2c_w"]), f"{name}2c_bn")
            if block == 0:
                x = affine(F.conv3d(x, blobs[f"{name}1_w"], None, (1, s, s)), f"{name}1_bn")
            x = (x + y).relu()
            if stage == 3 and block in (1, 3):
                x = torch.cat(
                    [attend(x[:, :, t : t + 4], f"nonlocal_conv3_{block}") for t in range(0, x.shape[2], 4)], 2
                )
            if stage == 4 and block in (6, 13, 20):
                x = attend(x, f"nonlocal_conv4_{block}")
    return x


def test_features_are_the_maxima_of_regions_of_res5() -> None:
    generator = torch.Generator().manual_seed(0)
    blobs = {}
    for name, shape in published_blobs(3, WIDTH).items():
        fan = max(1, int(np.prod(shape[1:])))
        value = torch.randn(shape, generator=generator, dtype=torch.float64) / fan**0.5
        blobs[name] = value.abs() * 0.3 + 0.3 if name.endswith("_s") else value * (0.1 if len(shape) == 1 else 1)
    network = R101I3DNL(3, WIDTH).double().eval()
    network.load_state_dict({caffe2_name(name): blob for name, blob in blobs.items()})
    clips = torch.randn(2, 3, 16, 64, 96, dtype=torch.float64, generator=generator)
    with torch.inference_mode():
        features, logits = network([clips], BOXES)
        maps = slow_forward(blobs, clips)
    assert maps.shape[2:] == (8, 4, 6)
    index = 0
    for clip, boxes in enumerate(BOXES):
        for box in boxes.tolist():
            # In cells; a box ends at the last pixel.
            cells = [min(x * size, size - 1) / 16 for x, size in zip(box, (96, 64, 96, 64), strict=True)]
            wanted = slow_roi_align(maps[clip].mean(1).numpy(), cells, 7, 0.0).max((1, 2))
            assert np.allclose(features[index], wanted, rtol=1e-5), (clip, box)
            index += 1
    assert torch.allclose(logits, features @ blobs["pred_w"].T + blobs["pred_b"])
    assert (features[0] - features[1]).abs().max() > 1e-3


def test_a_box_replicated_in_time_is_the_box_on_the_mean() -> None:
    maps = torch.randn(1, 4, 5, 6, 6, dtype=torch.float64)
    whole = region_maxima(maps, [BOXES[1]], 96, 96)
    frames = [slow_roi_align(maps[0, :, t].numpy(), (BOXES[1][0] * 6).tolist(), 7, 0.0) for t in range(5)]
    assert np.allclose(whole[0], np.mean(frames, 0).max((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("softmax", [True, False])
def test_attention_by_hand(softmax: bool) -> None:
    """Position by position, with the maxima of pairs of frames to attend to."""
    block = randomise(NonLocal(4, Affine(4), (2, 1, 1), softmax)).double()
    torch.nn.init.normal_(block.get_parameter("conv_out.weight"))
    x = torch.randn(1, 4, 4, 1, 3, dtype=torch.float64)

    def linear(name: str, vector: Tensor) -> Tensor:
        layer = block.state_dict()
        return layer[f"conv_{name}.weight"].flatten(1) @ vector + layer[f"conv_{name}.bias"]

    attended = [x[0, :, t : t + 2, 0, w].amax(1) for t in (0, 2) for w in range(3)]
    wanted = x.clone()
    for t in range(4):
        for w in range(3):
            products = torch.stack([linear("theta", x[0, :, t, 0, w]) @ linear("phi", other) for other in attended])
            weights = (products / 2**0.5).softmax(0) if softmax else products / 6
            y = linear("out", sum(w * linear("g", o) for w, o in zip(weights, attended, strict=True)))
            wanted[0, :, t, 0, w] += y * block.state_dict()["bn.weight"] + block.state_dict()["bn.bias"]
    assert torch.allclose(block(x), wanted)


def test_a_new_network_is_finite_and_its_scales_are_fixed() -> None:
    network = R101I3DNL(3, WIDTH)
    features, logits = network([torch.randn(1, 3, 4, 32, 32)], [BOXES[0]])
    logits.sum().backward()
    assert features.isfinite().all()
    assert features.std() < 1e3
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert not any(re.search(r"_bn\.|\.bn\.", name) for name, _ in network.named_parameters())
