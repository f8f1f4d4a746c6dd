"""Model files: written whole, read back equal, refused with a reason."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.cli import main
from pipeline.commands.convert_checkpoint import read_checkpoint
from pipeline.config.classify import ViewSettings
from pipeline.models.architecture import Architecture, parse_reductions
from pipeline.models.backbones import build
from pipeline.models.caffe2 import caffe2_name
from pipeline.models.classifier_file import Description, load_model, save_model
from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import sealed

ARCHITECTURE = Architecture("r3d_18", 3, 0.05, (1, 1, 1, 1), 4, parse_reductions("c"))
VIEW = ViewSettings(size=(32, 48), short_side=None, crop=32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    description = Description(ARCHITECTURE, ["a", "b", "c"], "faces", 5.0, VIEW, {"task": "train_classifier"})
    save_model(tmp_path / "model.safetensors", build(ARCHITECTURE), description)
    return tmp_path / "model.safetensors"


def test_written_and_read(path: Path) -> None:
    model, description = load_model(path)
    assert description == Description(ARCHITECTURE, ["a", "b", "c"], "faces", 5.0, VIEW, {"task": "train_classifier"})
    stored = load_file(path)
    assert all(torch.equal(value, stored[name]) for name, value in model.state_dict().items())


def damage(path: Path, what: str) -> None:
    description = path.with_suffix(".json")
    content = json.loads(description.read_text())
    match what:
        case "no weights":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[:-10])
        case "no json":
            description.unlink()
        case "not json":
            description.write_text("{")
        case "a list":
            description.write_text("[]")
        case "another format":
            description.write_text(json.dumps(sealed(content | {"format": "other"})))
        case "a wider network":
            content["architecture"]["width"] = 0.1
            description.write_text(json.dumps(sealed(content)))
        case "a weight less":
            state = load_file(path)
            del state["fc.bias"]
            save_file(state, path)
        case "a weight more":
            save_file(load_file(path) | {"more": torch.zeros(1)}, path)
    if what.startswith("a weight"):
        del content["weights"]  # as whoever changes them on purpose
        description.write_text(json.dumps(sealed(content)))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no weights", "there is no model file"),
        ("truncated", "is not a whole safetensors file"),
        ("no json", "cannot read the model's description .*model.json"),
        ("not json", "model.json, line 1: .*; it is no JSON"),
        ("a list", "model.json does not describe a model"),
        ("another format", "holds 'other', but 'acta-model-1' is needed"),
        (
            "a wider network",
            "weights of another architecture: 'fc.weight' has the shape|weights of another architecture",
        ),
        ("a weight less", "another architecture: 1 missing, such as 'fc.bias'"),
        ("a weight more", "another architecture: 1 unknown, such as 'more'"),
    ],
)
def test_damage_is_named(path: Path, what: str, message: str) -> None:
    damage(path, what)
    with pytest.raises(ActaError, match=message):
        load_model(path)


# ---- published checkpoints


def caffe2_names(model: torch.nn.Module) -> dict[str, str]:
    """The names that PySlowFast's Caffe2 files give to a SlowFast's weights, made from the rules of those files."""
    last = {"2": 0, "3": 0, "4": 0}
    norms = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
    plain = {"weight": "w", "bias": "b"}
    names = {}
    for name in model.state_dict():
        if name.endswith("num_batches_tracked"):
            continue
        *path, end = name.split(".")
        if path[0] == "head":
            names[name] = f"pred_{plain[end]}"
        elif path[0] == "s1":
            prefix = "t_" if path[1] == "pathway1_stem" else ""
            names[name] = f"{prefix}conv1_w" if path[2] == "conv" else f"{prefix}res_conv1_bn_{norms[end]}"
        elif path[0].endswith("_fuse"):
            stage = path[0][1]
            stem = "t_pool1_subsample" if stage == "1" else f"t_res{stage}_{last[stage]}_branch2c_bn_subsample"
            names[name] = f"{stem}_w" if path[1] == "conv_f2s" else f"{stem}_bn_{norms[end]}"
        else:
            pathway, block = path[1].removeprefix("pathway").split("_res")
            prefix = "t_" if pathway == "1" else ""
            layer = "".join(path[2:])
            norm = layer.endswith("_bn")
            tail = f"_bn_{norms[end]}" if norm else f"_{plain[end]}"
            names[name] = f"{prefix}res{path[0][1]}_{block}_{layer.removesuffix('_bn')}{tail}"
    return names


def small_slowfast() -> tuple[Architecture, torch.nn.Module]:
    architecture = Architecture("slowfast_4x16_r50", 2, 0.1, (1, 1, 1, 1))
    return architecture, build(architecture)


def test_caffe2_names_of_every_weight() -> None:
    names = caffe2_names(small_slowfast()[1])
    assert names["s2.pathway1_res0.branch2.a_bn.running_var"] == "t_res2_0_branch2a_bn_riv"
    assert {caffe2_name(theirs): theirs for theirs in names.values()} == names
    with pytest.raises(ActaError, match="'fc7_w' is no weight of SlowFast"):
        caffe2_name("fc7_w")


def test_a_caffe2_file_is_read(tmp_path: Path) -> None:
    _, model = small_slowfast()
    names = caffe2_names(model)
    blobs = {names[key]: value.numpy() for key, value in model.state_dict().items() if key in names}
    blobs["pred_w"] = blobs["pred_w"][..., None, None, None]
    blobs |= {"pred_w_momentum": np.zeros(2), "lr": np.float32(0.1), "model_iter": np.int64(5)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    state = read_checkpoint(tmp_path / "a.pkl")
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items() if key in names)
    assert len(state) == len(names)


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return __import__("os").system, ("touch /tmp/never",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            pickle.dumps({"blobs": _Hostile()}),
            r"a.pkl is no checkpoint: it asks for \w+.system, which is no",
        ),
        (b"no pickle", "a.pkl is no checkpoint"),
        (pickle.dumps({"other": 1}), "a.pkl is no checkpoint: it holds 'other', but no weights"),
        (b"", "a.pkl is no checkpoint: it is empty"),
    ],
)
def test_a_bad_caffe2_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(ActaError, match=message):
        read_checkpoint(tmp_path / "a.pkl")


def test_command_converts_a_torchvision_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from torchvision.models.video import r3d_18

    theirs = r3d_18(num_classes=2)
    torch.save(theirs.state_dict(), tmp_path / "r3d.pth")
    (tmp_path / "classes.txt").write_text("run\nwalk\n")
    command = ["model", "convert", str(tmp_path / "r3d.pth"), "--backbone", "r3d_18"]
    command += ["--classes", str(tmp_path / "classes.txt"), "-o", str(tmp_path / "r3d.safetensors")]
    assert main(command) == 0
    model, description = load_model(tmp_path / "r3d.safetensors")
    assert description.classes == ["run", "walk"]
    assert description.view == ViewSettings(size=(128, 171), short_side=None, crop=112)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in theirs.state_dict().items())
    capsys.readouterr()
    assert main([*command[:4], "r2plus1d_18", *command[5:]]) == 1
    assert "r3d.safetensors exists; --overwrite replaces it" in capsys.readouterr().err
    assert main([*command[:4], "r2plus1d_18", *command[5:], "--overwrite"]) == 1
    assert "r3d.pth holds the weights of another architecture" in capsys.readouterr().err


def test_a_pyslowfast_checkpoint_is_read(tmp_path: Path) -> None:
    _, model = small_slowfast()
    torch.save({"epoch": 3, "model_state": model.state_dict(), "cfg": "text"}, tmp_path / "a.pyth")
    assert set(read_checkpoint(tmp_path / "a.pyth")) == set(model.state_dict())
