"""Actor backbones behind one interface: what they are shown, boxes in any batch, published weights, files."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.config.names import ActorBackboneName
from pipeline.models import actor_backbones
from pipeline.models.actor_backbones import (
    ActorBackbone,
    build_actor_backbone,
    freeze,
    load_actor_backbone,
    load_published,
    save_actor_backbone,
    show,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import sealed
from tests.unit.models.test_i3d import randomise
from tests.unit.models.test_r101_i3d_nl import published_blobs
from tests.unit.models.test_slowfast_nl import published_shapes

NAMES = get_args(ActorBackboneName)
WIDTH = 0.0625
SMALL = [ActorBackbone("i3d", 3, WIDTH, 8), ActorBackbone("r101_i3d_nl", 3, WIDTH, 16)]
SMALL += [ActorBackbone(name, 3, 0.125, 16) for name in ("slowfast_nl_8x8_r50", "slowfast_nl_16x8_r101")]
BOXES = torch.tensor([[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0], [0.6, 0.3, 0.95, 0.8]])


def some_clips(a: ActorBackbone, count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, a.span, 3, 48, 64), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", NAMES)
def test_published_networks(name: ActorBackboneName) -> None:
    a = ActorBackbone(name, 80)
    span, rate = (64, 25) if name == "i3d" else (128 if "16x8" in name else 64, 30)
    assert (a.span, a.rate, a.short_side, a.bgr) == (span, rate, 256, False)
    size = 1024 if name == "i3d" else 2048 if name == "r101_i3d_nl" else 2304
    assert a.feature_size == size
    with torch.device("meta"), torch.no_grad():
        network = build_actor_backbone(a).eval()
        clips = torch.empty(1, span, 3, 64, 64, dtype=torch.uint8)
        features, logits = network(clips, [torch.empty(2, 4)])
    assert (features.shape, logits.shape) == ((2, size), (2, 80))


def test_what_is_shown() -> None:
    """Frame k has the values k, 2k and 3k in red, green and blue."""
    clips = (torch.arange(64)[:, None] * torch.tensor([1, 2, 3])).view(1, 64, 3, 1, 1).expand(1, 64, 3, 2, 2)
    clips = clips.to(torch.uint8)
    (view,) = show(clips, ActorBackbone("i3d", 2), torch.float64)
    assert view.dtype == torch.float64
    assert torch.allclose(view[0, 1, :, 0, 0], torch.arange(64, dtype=torch.float64) * 2 / 127.5 - 1)
    (view,) = show(clips, ActorBackbone("r101_i3d_nl", 2))
    assert torch.allclose(view[0, 2, :, 0, 0], (torch.arange(0, 64, 2) * 3 / 255 - 0.45) / 0.225)
    slow, fast = show(clips, ActorBackbone("slowfast_nl_8x8_r50", 2))
    assert torch.allclose(fast[0, 0, :, 0, 0], (torch.arange(0, 64, 2) / 255 - 0.45) / 0.225, atol=1e-6)
    assert torch.equal(slow, fast[:, :, [0, 4, 8, 13, 17, 22, 26, 31]])
    assert [view.shape[2] for view in show(clips.repeat(1, 2, 1, 1, 1), ActorBackbone("slowfast_nl_16x8_r50", 2))] == [
        16,
        64,
    ]


def test_blue_first_where_a_network_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    a = ActorBackbone("i3d", 2, frames=1)
    rgb = show(some_clips(a), a)[0]
    table = actor_backbones._PUBLISHED
    monkeypatch.setitem(table, "i3d", table["i3d"]._replace(bgr=True))
    assert torch.equal(show(some_clips(a), a)[0], rgb.flip(1))


@pytest.mark.parametrize("a", SMALL, ids=lambda a: a.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_batch_gives_the_same(a: ActorBackbone, dtype: torch.dtype) -> None:
    module = randomise(build_actor_backbone(a)).to(dtype)
    clips, boxes = some_clips(a), [BOXES[:2], BOXES[:0], BOXES[1:]]
    with torch.inference_mode():
        features, logits = module(clips, boxes)
        one_by_one = [module(clips[i : i + 1], [boxes[i]]) for i in range(3)]
        box_by_box = [module(clips[i : i + 1], [box[None]]) for i in range(3) for box in boxes[i]]
        none = module(clips, [BOXES[:0]] * 3)
    assert features.dtype == logits.dtype == dtype
    assert (features.shape, logits.shape) == ((4, a.feature_size), (4, 3))
    rtol, atol = (1e-9, 1e-10) if dtype == torch.float64 else (1e-3, 1e-4)
    scale = features.abs().max()
    for parts in (one_by_one, box_by_box):
        assert torch.allclose(torch.cat([f for f, _ in parts]) / scale, features / scale, rtol, atol)
    assert (none[0].shape, none[1].shape) == ((0, a.feature_size), (0, 3))
    spread = (features[:, None] - features[None]).abs().amax(2) / scale
    assert (spread[~torch.eye(4, dtype=torch.bool)] > 1e-3).all()


@pytest.mark.parametrize("a", SMALL, ids=lambda a: a.name)
def test_training_on_clips_without_boxes(a: ActorBackbone) -> None:
    """Every weight gets a gradient, be it zero: processes that train together wait for each other's."""
    module = build_actor_backbone(a)
    module.eval()
    module(some_clips(a, 2), [BOXES[:0], BOXES[:0]])[1].sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_freezing() -> None:
    a = SMALL[0]
    module = build_actor_backbone(a, dropout=0.5)
    freeze(module, a)
    module.train()
    trained = {name.split(".")[1] for name, p in module.named_parameters() if p.requires_grad}
    assert trained == {"Mixed_5b", "Mixed_5c", "logits"}
    training = {type(m).__name__ for m in module.modules() if m.training and not list(m.children())}
    assert "BatchNorm3d" not in training
    assert "Dropout" in training
    with pytest.raises(ActaError, match="r101_i3d_nl is not fine-tuned"):
        freeze(build_actor_backbone(SMALL[1]), SMALL[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ActorBackbone("x3d", 80), "there is no actor backbone 'x3d'"),  # type: ignore[arg-type]
        (lambda: ActorBackbone("slowfast_nl_8x8_r50", 80, frames=12), "shown clips of 12 frames; .* multiple of 8"),
        (lambda: ActorBackbone("i3d", 80, frames=0), "shown clips of 0 frames"),
        (lambda: show(some_clips(SMALL[0]), SMALL[1]), "r101_i3d_nl is shown clips of 16 frames, but these have 8"),
        (
            lambda: build_actor_backbone(SMALL[0])(some_clips(SMALL[0]), [BOXES]),
            "there are boxes of 1 clips, but 3 clips",
        ),
    ],
)
def test_errors(make: object, message: str) -> None:
    with pytest.raises(ActaError, match=message):
        make()  # type: ignore[operator]


# ---- published weights


def drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.zeros((), dtype=torch.long) if not shape else torch.rand(shape, generator=generator)
        for name, shape in shapes.items()
        if "tracked" not in name or not shape
    }


def i3d_shapes(classes: int, width: float) -> dict[str, tuple[int, ...]]:
    """Names and shapes of rgb_imagenet.pt, listed by the table of the paper (GoogLeNet's channels)."""
    units: dict[str, tuple[int, int, int]] = {
        "Conv3d_1a_7x7": (3, 64, 7),
        "Conv3d_2b_1x1": (64, 64, 1),
        "Conv3d_2c_3x3": (64, 192, 3),
    }
    before = 192
    for name, row in {
        "3b": "64 96 128 16 32 32",
        "3c": "128 128 192 32 96 64",
        "4b": "192 96 208 16 48 64",
        "4c": "160 112 224 24 64 64",
        "4d": "128 128 256 24 64 64",
        "4e": "112 144 288 32 64 64",
        "4f": "256 160 320 32 128 128",
        "5b": "256 160 320 32 128 128",
        "5c": "384 192 384 48 128 128",
    }.items():
        c = [int(text) for text in row.split()]
        branches = {"b0": (before, c[0], 1), "b1a": (before, c[1], 1), "b1b": (c[1], c[2], 3)}
        branches |= {"b2a": (before, c[3], 1), "b2b": (c[3], c[4], 3), "b3b": (before, c[5], 1)}
        units |= {f"Mixed_{name}.{branch}": unit for branch, unit in branches.items()}
        before = c[0] + c[2] + c[4] + c[5]
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (i, o, k) in units.items():
        channels = int(o * width)
        shapes[f"{name}.conv3d.weight"] = (channels, i if i == 3 else int(i * width), k, k, k)
        shapes |= {f"{name}.bn.{tail}": (channels,) for tail in ("weight", "bias", "running_mean", "running_var")}
    shapes["logits.conv3d.weight"] = (classes, int(before * width), 1, 1, 1)
    return shapes | {"logits.conv3d.bias": (classes,)}


def published(a: ActorBackbone, path: Path, classes: int) -> dict[str, Tensor]:
    """A checkpoint as it is published, with random values; returns them by the names in the file."""
    if a.name == "i3d":
        weights = drawn(i3d_shapes(classes, a.width))
        # Written by torch 0.3, before there was the zip format.
        torch.save(weights, path, _use_new_zipfile_serialization=False)
    elif a.name == "r101_i3d_nl":
        weights = drawn(published_blobs(classes, a.width))
        blobs: dict[str, object] = {name: value.numpy() for name, value in weights.items()}
        blobs |= {"conv1_w_momentum": np.zeros(2), "lr": np.array(0.1, np.float32), "model_iter": 140001}
        path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    else:
        weights = drawn(published_shapes(101 if "r101" in a.name else 50, classes, a.width))
        torch.save({"epoch": 1, "model_state": weights, "optimizer_state": {}, "cfg": "text"}, path)
    return weights


@pytest.mark.parametrize("a", SMALL, ids=lambda a: a.name)
def test_published_weights(a: ActorBackbone, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"  # PySlowFast's torch files have that name, too
    weights = published(a, path, 3)
    module, classifier = load_published(path, a)
    assert classifier
    state = module.network.state_dict()
    if a.name == "r101_i3d_nl":
        assert torch.equal(state["res4.22.branch2c_bn.weight"], weights["res4_22_branch2c_bn_s"])
        assert torch.equal(state["nonlocal3.3.conv_out.bias"], weights["nonlocal_conv3_3_out_b"])
        assert len(state) == len(weights)
    else:
        assert all(torch.equal(state[name], value) for name, value in weights.items())
        assert all(name in weights or name.endswith("num_batches_tracked") for name in state)


def test_a_caffe2_file_of_slowfast(tmp_path: Path) -> None:
    a = SMALL[3]
    shapes = published_shapes(101, 3, a.width)
    ends = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
    blobs = {}
    weights = {name: value for name, value in drawn(shapes).items() if value.dim()}
    for name, value in weights.items():
        stage, _, rest = name.partition(".")
        layer, _, end = rest.rpartition(".")
        prefix = "t_" if "pathway1" in layer else ""
        letter = {"weight": "w", "bias": "b"}
        if stage == "head":
            blob = f"pred_{letter[end]}"
        elif stage.endswith("_fuse"):
            last = {"1": "t_pool1", "2": "t_res2_2_branch2c_bn", "3": "t_res3_3_branch2c_bn"}
            stem = f"{last.get(stage[1], 't_res4_22_branch2c_bn')}_subsample"
            blob = f"{stem}_bn_{ends[end]}" if layer == "bn" else f"{stem}_w"
        elif stage == "s1":
            blob = f"{prefix}res_conv1_bn_{ends[end]}" if layer.endswith("bn") else f"{prefix}conv1_w"
        elif "nonlocal" in layer:
            block, _, part = layer.removeprefix("pathway0_nonlocal").partition(".")
            tail = f"bn_{ends[end]}" if part == "bn" else f"{part.removeprefix('conv_')}_{letter[end]}"
            blob = f"nonlocal_conv{stage[1]}_{block}_{tail}"
        else:
            block, _, part = layer[len("pathway0_res") :].partition(".")
            tail = f"bn_{ends[end]}" if part.endswith("_bn") else "w"
            blob = f"{prefix}res{stage[1]}_{block}_{part.removesuffix('_bn').replace('.', '')}_{tail}"
        blobs[blob] = value.numpy()
    blobs["pred_w"] = blobs["pred_w"][..., None, None, None]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    state = load_published(tmp_path / "a.pkl", a)[0].network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in weights.items())


def test_the_classifier_of_kinetics_is_not_that_of_ava(tmp_path: Path) -> None:
    weights = published(SMALL[0], tmp_path / "rgb_imagenet.pt", 400)
    module, classifier = load_published(tmp_path / "rgb_imagenet.pt", SMALL[0])
    assert not classifier
    state = module.network.state_dict()
    assert state["logits.conv3d.weight"].shape == (3, 64, 1, 1, 1)
    assert torch.equal(state["Mixed_5c.b3b.bn.running_var"], weights["Mixed_5c.b3b.bn.running_var"])
    assert load_published(tmp_path / "rgb_imagenet.pt", replace(SMALL[0], classes=400))[1]


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return __import__("os").system, ("touch /tmp/never",)


def rewrite(path: Path, a: ActorBackbone, what: str) -> None:
    """A checkpoint with one thing wrong."""
    weights = published(a, path, 3)
    blobs = a.name == "r101_i3d_nl"
    name = sorted(name for name in weights if weights[name].dim() == 5)[0]
    match what:
        case "missing":
            del weights[name]
        case "shape":
            weights[name] = weights[name][1:]
        case "more":
            weights["res2_0_branch9_w" if blobs else "more.weight"] = torch.zeros(1)
        case "hostile":
            path.write_bytes(pickle.dumps({"blobs": _Hostile()}, protocol=2))
            return
        case "other":
            path.write_bytes(b"other")
            return
        case "truncated":
            path.write_bytes(path.read_bytes()[:-2000])
            return
        case "absent":
            path.unlink()
            return
    if blobs:
        path.write_bytes(pickle.dumps({"blobs": {name: value.numpy() for name, value in weights.items()}}))
    else:
        torch.save(weights, path)


@pytest.mark.parametrize("a", SMALL[:3], ids=lambda a: a.name)
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "model.pkl holds the weights of another architecture: 1 missing, such as '"),
        ("shape", "model.pkl holds the weights of another architecture: '.*' has the shape"),
        ("more", "model.pkl.* 1 unknown, such as 'more.weight'|model.pkl: 'res2_0_branch9_w' is no weight"),
        ("hostile", r"model.pkl: it asks for \w+.system|model.pkl is no checkpoint: "),
        ("other", "model.pkl is no checkpoint"),
        ("truncated", "model.pkl is no checkpoint"),
        ("absent", "cannot read the checkpoint .*model.pkl"),
    ],
)
def test_bad_checkpoints(a: ActorBackbone, what: str, message: str, tmp_path: Path) -> None:
    rewrite(tmp_path / "model.pkl", a, what)
    with pytest.raises(ActaError, match=message):
        load_published(tmp_path / "model.pkl", a)
    assert not Path("/tmp/never").exists()


@pytest.mark.parametrize("a", SMALL[1:], ids=lambda a: a.name)
def test_the_classifier_of_ava_has_to_fit(a: ActorBackbone, tmp_path: Path) -> None:
    published(a, tmp_path / "model.pkl", 80)
    with pytest.raises(ActaError, match=r"'head.projection.bias' has the shape \[80\] instead of \[3\]"):
        load_published(tmp_path / "model.pkl", a)


# ---- files of our own


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    module = randomise(build_actor_backbone(SMALL[0]))
    provenance = {"task": "train_backbone"}
    save_actor_backbone(tmp_path / "actors.safetensors", module, SMALL[0], ["run", "sit", "talk"], provenance)
    return tmp_path / "actors.safetensors"


@pytest.mark.parametrize("a", SMALL, ids=lambda a: a.name)
def test_written_and_read(a: ActorBackbone, tmp_path: Path) -> None:
    module, path = randomise(build_actor_backbone(a)), tmp_path / "actors.safetensors"
    save_actor_backbone(path, module, a, ["run", "sit", "talk"], {"task": "train_backbone"})
    read, described, actions = load_actor_backbone(path)
    assert (described, actions) == (a, ["run", "sit", "talk"])
    with torch.inference_mode():
        one, other = (m.eval()(some_clips(a, 1), [BOXES])[0] for m in (module, read))
    assert torch.equal(one, other)
    content = json.loads(path.with_suffix(".json").read_text())
    assert (content["format"], content["provenance"]) == ("acta-actor-backbone-1", {"task": "train_backbone"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "acta-model-1"}, "holds 'acta-model-1', but 'acta-actor-backbone-1' is needed"),
        ({"actions": ["run"]}, "actors.json names 1 actions, but the network has 3 outputs"),
        ({"actions": 3}, "actors.json does not describe a model: 'actions' is 3: input should be a valid array"),
        ({"backbone": {"name": "i3d"}}, "actors.json does not describe a model: 'backbone.classes': field required"),
        ({"backbone": {"name": "i3d", "classes": 3, "width": 0.1}}, "actors.safetensors holds .* another architecture"),
        ({"backbone": {"name": "vit", "classes": 3}}, "'backbone.name' is \"vit\": input should be 'i3d'"),
    ],
)
def test_damage_is_named(saved: Path, change: dict[str, object], message: str) -> None:
    description = saved.with_suffix(".json")
    description.write_text(json.dumps(sealed(json.loads(description.read_text()) | change)))
    with pytest.raises(ActaError, match=message):
        load_actor_backbone(saved)


def test_files_that_are_not_there(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-10])
    with pytest.raises(ActaError, match=r"actors\.safetensors is not a whole safetensors file"):
        load_actor_backbone(saved)
    saved.unlink()
    with pytest.raises(ActaError, match="there is no model file"):
        load_actor_backbone(saved)
    saved.with_suffix(".json").write_text("[]")
    with pytest.raises(ActaError, match="does not describe a model: it holds a list"):
        load_actor_backbone(saved)
    saved.with_suffix(".json").unlink()
    with pytest.raises(ActaError, match="cannot read the model's description"):
        load_actor_backbone(saved)
