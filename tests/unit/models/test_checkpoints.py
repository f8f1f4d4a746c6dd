"""Checkpoints of other people: the weights out of every wrapper, or one line that says what the file is."""

import argparse
import collections
import io
import os
import pickle
import random
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pipeline.models.checkpoints import read_checkpoint, read_state
from pipeline.models.opened import Opened
from pipeline.runtime.errors import ActaError

FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


NETWORK = network()
STATE: dict[str, Tensor] = dict(NETWORK.state_dict())


def renamed(prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in STATE.items()}


def optimiser() -> dict[str, Any]:
    model = network()
    adam = torch.optim.Adam(model.parameters())
    model(torch.zeros(1, 1, 5, 5)).sum().backward()
    adam.step()
    return adam.state_dict()


TRAINED = {"epoch": 3, "best": torch.tensor(0.5), "optimizer": optimiser(), "rng": torch.get_rng_state()}
SETTINGS = {
    **{"args": argparse.Namespace(lr=0.1), "cfg": "TRAIN: true", "path": Path("a")},
    **{"classes": np.array(["run", "sit"]), "objects": np.array([{}, None]), "one": np.str_("run")},
    **{"times": np.array(["2020-01-01"], "M8[D]"), "time": np.datetime64("2020"), "loss": np.float64(0.5)},
}
WRAPPED: dict[str, Any] = {
    "bare": STATE,
    "ordered": NETWORK.state_dict(),
    "parameters": {name: nn.Parameter(value, requires_grad=False) for name, value in STATE.items()},
    "DDP": renamed("module."),
    "compiled": renamed("_orig_mod."),
    "compiled under DDP": renamed("module._orig_mod."),
    "a compiled part": {name.replace("0.", "0._orig_mod."): value for name, value in STATE.items()},
    "DDP twice": renamed("module.module."),
    "averaged": AveragedModel(NETWORK).state_dict(),
    "averaged by mmengine": {**renamed("module."), "steps": torch.tensor(7)},
    "Lightning": {"state_dict": renamed("model."), "callbacks": {}, "pytorch-lightning_version": "2.0", **TRAINED},
    "state_dict": {"state_dict": renamed("module."), **TRAINED},
    "model": {"model": STATE, **SETTINGS, **TRAINED},
    "model_state": {"model_state": STATE, "optimizer_state": optimiser(), "cfg": "", "scaler_state": {"scale": 1.0}},
    "model_state_dict": {"model_state_dict": STATE, **TRAINED},
    "network": {"network": STATE},
    "ema_state_dict": {"ema_state_dict": renamed("module."), "epoch": 1},
    "model_ema": {"model_ema": STATE},
    "nested": {"checkpoint": {"model": {"state_dict": renamed("_orig_mod.")}, **SETTINGS}},
    "an unknown name": {"my_network": STATE, **TRAINED},
}


def saved(folder: Path, content: Any, *, zipped: bool = True, name: str = "a.pkl") -> Path:
    torch.save(content, folder / name, _use_new_zipfile_serialization=zipped)
    return folder / name


def check_is_state(state: dict[str, Tensor]) -> None:
    assert list(state) == list(STATE)
    for name, value in state.items():
        assert (value.shape, value.dtype) == (STATE[name].shape, STATE[name].dtype)
        assert torch.equal(value, STATE[name])


@FORMS
@pytest.mark.parametrize("wrapper", WRAPPED)
def test_weights_out_of_every_wrapper(tmp_path: Path, wrapper: str, zipped: bool) -> None:
    found = read_checkpoint(saved(tmp_path, WRAPPED[wrapper], zipped=zipped))
    assert found.caffe2 is False
    check_is_state(found.state)


@pytest.mark.parametrize("first", ["model", "model_ema"])
def test_trained_weights_go_before_their_average_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str
) -> None:
    both = {"model": STATE, "model_ema": {name: value + 1 for name, value in STATE.items()}}
    path = saved(tmp_path, {name: both[name] for name in sorted(both, key=lambda name: name != first)})
    check_is_state(read_state(path))
    assert capsys.readouterr().err == f"{path} holds 'model' and, averaged, 'model_ema'; 'model' is taken\n"


def test_safetensors_under_the_name_of_torch(tmp_path: Path) -> None:
    save_file(renamed("module."), tmp_path / "a.pth")
    state = read_state(tmp_path / "a.pth")
    check_is_state({name: state[name] for name in STATE})
    assert state.keys() == STATE.keys()


def test_a_pickle_of_arrays(tmp_path: Path) -> None:
    content = {"model": {"a.weight": np.arange(6, dtype=">f4").reshape(2, 3), "a.n": np.int64(3)}, "__author__": "x"}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    state = read_state(tmp_path / "a.pkl")
    assert {name: (value.dtype, value.tolist()) for name, value in state.items()} == {
        "a.weight": (torch.float32, [[0, 1, 2], [3, 4, 5]]),
        "a.n": (torch.int64, 3),
    }


def test_a_caffe2_file_is_told_by_its_content(tmp_path: Path) -> None:
    kept = {"w_momentum": np.zeros(2), "lr": np.float32(0.1), "model_iter": np.int64(5), "epoch": 3}
    for protocol in (2, 5):
        content = {"blobs": {"conv_w": np.arange(4.0).reshape(2, 2), "lrn_b": np.zeros(1), **kept}}
        (tmp_path / "a.pth").write_bytes(pickle.dumps(content, protocol=protocol))
        found = read_checkpoint(tmp_path / "a.pth")
        assert found.caffe2 is True
        assert {name: value.tolist() for name, value in found.state.items()} == {
            "conv_w": [[0, 1], [2, 3]],
            "lrn_b": [0],
        }
        assert {value.dtype for value in found.state.values()} == {torch.float32}
    with pytest.raises(ActaError, match=r"a\.pth is a Caffe2 file; this network is not published as one"):
        read_state(tmp_path / "a.pth")


@FORMS
def test_views_and_types(tmp_path: Path, zipped: bool) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    content = {
        "a.turned": whole.t()[1:, ::2],
        "a.part": whole[1, 2:5],
        "a.again": whole,
        "a.none": torch.zeros(0, 3),
        "a.repeated": torch.tensor([2.0]).expand(3, 4),
        "a.bf16": torch.tensor([1.5, -2.0]).bfloat16(),
        "a.half": torch.tensor([0.25]).half(),
        "a.double": torch.tensor(0.1, dtype=torch.float64),
        "a.flags": torch.tensor([True, False]),
        "a.bytes": torch.tensor([200], dtype=torch.uint8),
        "a.f8": torch.tensor([1.0, 2.0]).to(torch.float8_e4m3fn),
        "a.u16": torch.tensor([65535], dtype=torch.uint16),
    }
    state = read_state(saved(tmp_path, content, zipped=zipped))
    assert list(state) == list(content)
    for name, value in content.items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name].float(), value.float())
    assert state["a.again"].untyped_storage().data_ptr() == state["a.part"].untyped_storage().data_ptr()


@FORMS
def test_files_are_read_as_torch_reads_them(tmp_path: Path, zipped: bool) -> None:
    from torchvision.models import mobilenet_v2

    path = saved(tmp_path, mobilenet_v2().state_dict(), zipped=zipped)
    theirs = torch.load(path, weights_only=True)
    ours = read_state(Opened(path))
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


# ---- what is refused


class _Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch never",)


def archive(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name.replace("__", "/"), content)
    return made.getvalue()


def tape() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    return made.getvalue()


PICKLED = (
    "is a pickled object, {}, which is code to be run; where that is trusted, save its weights alone: "
    "torch.save(model.state_dict(), path)"
)
PAGE = "it is a web page, such as a login or an error, not the file behind the link; open the link in a browser"
BYTES = {
    "nothing": (b"", "it is empty; copy or fetch it again"),
    "page": (b"<!DOCTYPE html><html></html>", PAGE),
    "page after lines": (b"\xef\xbb\xbf\r\n  <html>", PAGE),
    "error of a store": (b'<?xml version="1.0"?><Error/>', PAGE),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "it is a pointer of Git LFS, not the file itself; `git lfs pull` brings it",
    ),
    "gzip": (b"\x1f\x8b\x08", "it is a gzip archive; unpack it first"),
    "bzip2": (b"BZh9", "it is a bzip2 archive; unpack it first"),
    "xz": (b"\xfd7zXZ\x00", "it is an xz archive; unpack it first"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c", "it is a 7-Zip archive; unpack it first"),
    "RAR": (b"Rar!\x1a", "it is a RAR archive; unpack it first"),
    "tar": (tape(), "it is a tar archive; unpack it first"),
    "Keras": (
        b"\x89HDF\r\n\x1a\n",
        "it is an HDF5 file, such as Keras writes; the weights of PyTorch's version of the network are needed",
    ),
    "npy": (b"\x93NUMPY\x01", "it is one array of NumPy, without names of weights"),
    "npz": (archive(**{"a.npy": b""}), "it is a NumPy archive, not a file of torch.save"),
    "zip": (archive(a=b"b"), "it is a zip archive, not a file of torch.save"),
    "text": (
        b"hello",
        "it is neither a file of torch.save nor safetensors nor a pickle; it begins with b'hello'",
    ),
    "answer of a server": (
        b'{"message": "Not Found"}',
        'it is neither a file of torch.save nor safetensors nor a pickle; it begins with b\'{"message": "Not\'',
    ),
    "command": (
        pickle.dumps({"blobs": _Hostile()}),
        f"it asks for {os.system.__module__}.system, which is no part of a table of weights; it is not opened",
    ),
    "big-endian": (
        archive(a__data__=b"", **{"a__data.pkl": b"", "a__byteorder": b"big"}),
        "it was saved on a big-endian machine; save it again on another",
    ),
    "two networks in an archive": (
        archive(**{"a__data.pkl": b"", "b__data.pkl": b""}),
        "it is a zip archive, not a file of torch.save",
    ),
}


@pytest.mark.parametrize("what", BYTES)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, what: str) -> None:
    content, message = BYTES[what]
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ActaError) as caught:
        read_checkpoint(tmp_path / "a.pth")
    assert str(caught.value) == f"{tmp_path / 'a.pth'} is no checkpoint: {message}"


CONTENTS: dict[str, tuple[Any, str]] = {
    "a network": (NETWORK, "it " + PICKLED.format("torch.nn.modules.container.Sequential")),
    "a network among others": (
        {"epoch": 1, "model": NETWORK},
        "'model' " + PICKLED.format("torch.nn.modules.container.Sequential"),
    ),
    "several": (
        {"student": STATE, "teacher": STATE},
        "it holds several networks, 'student', 'teacher'; save one alone: "
        "torch.save(torch.load(path)['student'], path)",
    ),
    "no weights": ({"epoch": 1, "loss": 0.5}, "it holds 'epoch', 'loss', but no weights"),
    "an optimiser": (optimiser(), "it holds 'state', 'param_groups', but no weights"),
    "nothing": ({}, "it holds nothing, but no weights"),
    "a list": ([STATE], "it holds a list, not weights by name"),
    "a tensor": (torch.zeros(2), "it holds a Tensor, not weights by name"),
    "sparse": ({"a.b": torch.eye(2).to_sparse()}, "'a.b' is no plain tensor (torch._utils._rebuild_sparse_tensor)"),
    "a name among weights": ({"a.b": torch.zeros(1), "c": "text"}, "'c' is no tensor, but a str"),
    "an object among weights": ({"a.b": torch.zeros(1), "c": Path("a")}, "'c' is no tensor, but a pathlib.P"),
    "too deep": (
        {"a": {"a": {"a": {"a": {"a.b": torch.zeros(1)}}}}},
        "its weights are wrapped more than 4 times; save them alone: torch.save(state, path)",
    ),
}


@FORMS
@pytest.mark.parametrize("what", CONTENTS)
def test_what_holds_no_weights_says_what_it_holds(tmp_path: Path, what: str, zipped: bool) -> None:
    content, message = CONTENTS[what]
    with pytest.raises(ActaError) as caught:
        read_checkpoint(saved(tmp_path, content, zipped=zipped))
    assert str(caught.value).startswith(f"{tmp_path / 'a.pkl'} is no checkpoint: {message}")


@pytest.mark.filterwarnings("ignore")
def test_a_program_and_quantised_numbers(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(NETWORK), tmp_path / "a.pth")
    with pytest.raises(ActaError) as caught:
        read_checkpoint(tmp_path / "a.pth")
    assert str(caught.value).endswith(
        "it is a TorchScript archive, which is a program; save its weights alone: "
        "torch.save(torch.jit.load(path).state_dict(), path)"
    )
    path = saved(tmp_path, {"a.b": torch.quantize_per_tensor(torch.zeros(2), 1.0, 0, torch.qint8)})
    with pytest.raises(ActaError, match=r"it has numbers of the type torch\.QInt8Storage, which are not read"):
        read_checkpoint(path)


@pytest.mark.parametrize("what", ["folder", "pipe", "nothing there"])
def test_what_is_no_file(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.pth"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    message = "No such file or directory" if what == "nothing there" else "it is no regular file"
    with pytest.raises(ActaError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == f"cannot read the checkpoint {path}: {message}"


@FORMS
def test_nothing_of_a_file_is_run(tmp_path: Path, zipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"state_dict": STATE, "hook": _Hostile(), "more": collections.Counter("aab"), "odd": {_Hostile(), 1}}
    check_is_state(read_state(saved(tmp_path, content, zipped=zipped)))
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("cut", [1, 10, 100, 400])
@FORMS
def test_a_file_that_is_cut_off(tmp_path: Path, zipped: bool, cut: int) -> None:
    path = saved(tmp_path, STATE, zipped=zipped)
    path.write_bytes(path.read_bytes()[:-cut])
    message = "its archive is cut off; copy or fetch it again" if zipped else "it "
    with pytest.raises(ActaError, match=f"is no checkpoint: {message}"):
        read_checkpoint(path)


def remade(path: Path, change: Any, compression: int = zipfile.ZIP_STORED) -> Path:
    """The archive with every member changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_name("b.pth"), "w", compression) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
    return path.with_name("b.pth")


def test_compressed_parts_are_not_unpacked(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a.b": torch.zeros(1 << 20)})
    small = remade(path, lambda name, content: content, zipfile.ZIP_DEFLATED)
    assert small.stat().st_size < 10_000
    with pytest.raises(ActaError, match=r"its parts are compressed, as torch\.save never does; it is not unpacked"):
        read_checkpoint(small)


def test_parts_that_say_they_are_larger_than_the_file_are_not_unpacked(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a.b": torch.zeros(1 << 10)})
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"a/data/0"))
    assert content[entry + 20 : entry + 28] == 2 * (4096).to_bytes(4, "little")
    content[entry + 20 : entry + 28] = 2 * (1 << 30).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ActaError, match="is no checkpoint: its parts are larger than the file; it is not unpacked"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.replace(b"K\x04t", b"J\0\0\x10\0t"), "it has a tensor of shape [4] in 16 bytes"),
        (lambda s: s.replace(b"K\0K\x04\x85", b"K\x01K\x04\x85"), "it has a tensor of shape [4] in 16 bytes"),
        (lambda s: s.replace(b"K\0K\x04\x85", b"K\0K\x05\x85"), "it has a tensor of shape [5] in 16 bytes"),
        (lambda s: s.replace(b"K\0K\x04\x85", b"J\xff\xff\xff\xffK\x04\x85"), "it has a tensor that is none"),
        (lambda s: s.replace(b"K\x01\x85", b"K\x02\x85"), "it has a tensor of shape [4] in 16 bytes"),
        (lambda s: s.replace(b"K\x01\x85", b"K\x01K\x01\x86"), "it has a tensor that is none"),
        (lambda s: s.replace(b"FloatStorage", b"DoubleStorage"), "it has a tensor of shape [4] in 16 bytes"),
        (lambda s: s.replace(b"K\x04t", b"Nt"), "it has a storage that is none"),
        (lambda s: s.replace(b"X\x01\0\0\x000", b"X\x01\0\0\x001"), "\"There is no item named 'a/data/1' in the"),
    ],
)
def test_sizes_are_checked_against_the_bytes_that_are_there(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a.b": torch.arange(4.0)}, path)

    def changed(name: str, content: bytes) -> bytes:
        return change(content) if name.endswith("data.pkl") else content

    assert read_state(remade(path, lambda name, content: content))["a.b"].tolist() == [0, 1, 2, 3]
    with pytest.raises(ActaError) as caught:
        read_checkpoint(remade(path, changed))
    assert str(caught.value).split(" is no checkpoint: ")[1].startswith(message)


def test_more_kinds_of_objects_than_any_training_has(tmp_path: Path) -> None:
    def pickled(count: int) -> bytes:
        return b"\x80\x02(" + b"".join(b"cmodule\nname%d\n" % n for n in range(count)) + b"l."

    for count, message in ((1000, "it holds a list, not weights by name"), (1001, "more than 1000 things that are no")):
        (tmp_path / "a.pth").write_bytes(archive(**{"a__data.pkl": pickled(count)}))
        with pytest.raises(ActaError, match=message):
            read_checkpoint(tmp_path / "a.pth")


def test_random_damage_gives_weights_or_one_line(tmp_path: Path) -> None:
    draw = random.Random(0)
    whole = [saved(tmp_path, {"model": STATE, **TRAINED}, zipped=zipped).read_bytes() for zipped in (True, False)]
    save_file(STATE, tmp_path / "a.safetensors")
    whole.append((tmp_path / "a.safetensors").read_bytes())
    read = 0
    for _ in range(300):
        content = bytearray(draw.choice(whole))
        for _ in range(draw.randint(1, 8)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        (tmp_path / "b.pth").write_bytes(content)
        try:
            assert all(isinstance(value, Tensor) for value in read_state(tmp_path / "b.pth").values())
            read += 1
        except ActaError:
            continue
    assert 0 < read < 300
