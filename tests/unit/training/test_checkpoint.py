"""What a training resumes from: taken up whole, or passed over with a line, and then nothing has changed."""

import copy
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.training.checkpoint import Progress, resume, save

OPTIMISERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "Adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.1, fused=True),
}


class Training:
    """A network and its optimiser, after ``steps`` steps."""

    def __init__(self, kind: str, steps: int):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.optimizer = OPTIMISERS[kind](self.model)
        for _ in range(steps):
            self.model(torch.randn(4, 2)).square().sum().backward()
            self.optimizer.step()

    def everything(self) -> list[Tensor]:
        kept = [value for state in self.optimizer.state_dict()["state"].values() for value in state.values()]
        return [value.detach().clone() for value in (*self.model.state_dict().values(), *kept)]


def done(model: nn.Module) -> Progress:
    best = {name: value + 1 for name, value in model.state_dict().items()}
    scaler = torch.amp.GradScaler("cpu").state_dict()
    return Progress(7, [{"epoch": 1, "loss": 0.5}], {"loss": 0.25, "data_seconds": 1.0}, best, scaler)


@pytest.fixture(params=OPTIMISERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def checkpoint(tmp_path: Path, kind: str) -> Path:
    trained = Training(kind, 2)
    save(tmp_path / "last.ckpt", "same", trained.model, trained.optimizer, done(trained.model))
    return tmp_path / "last.ckpt"


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_state_comes_back_whole(checkpoint: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    trained, fresh = Training(kind, 2), Training(kind, 0)
    found = resume(checkpoint, "same", fresh.model, fresh.optimizer)
    wanted = done(trained.model)
    assert (found.step, found.history, found.sums) == (wanted.step, wanted.history, wanted.sums)
    assert found.scaler == wanted.scaler
    assert found.scaler["scale"] == 65536
    assert found.best is not None
    assert wanted.best is not None
    assert same(list(found.best.values()), list(wanted.best.values()))
    assert same(fresh.everything(), trained.everything())
    assert capsys.readouterr().err == f"resumed at step 7 from {checkpoint}\n"


def passed_over(path: Path, kind: str) -> None:
    """It changes nothing, and the training begins at its beginning."""
    fresh = Training(kind, 1)
    before = fresh.everything()
    assert resume(path, "same", fresh.model, fresh.optimizer) == Progress()
    assert same(fresh.everything(), before)


def test_none_is_there(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    passed_over(tmp_path / "last.ckpt", kind)
    assert capsys.readouterr().err == ""


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no model": (lambda s: s.pop("model"), "model"),
    "a model that is none": (lambda s: s.update(model=3), "model"),
    "a weight less": (lambda s: s["model"].pop("0.bias"), "model"),
    "a weight more": (lambda s: s["model"].update(more=torch.zeros(1)), "model"),
    "a weight of another shape": (lambda s: s["model"].update({"0.bias": torch.zeros(4)}), "model"),
    "a weight of another type": (lambda s: s["model"].update({"0.bias": torch.zeros(3).double()}), "model"),
    "a weight that is a number": (lambda s: s["model"].update({"0.bias": 1.0}), "model"),
    "no optimiser": (lambda s: s.pop("optimizer"), "optimizer"),
    "an optimiser that is a list": (lambda s: s.update(optimizer=[]), "optimizer"),
    "an optimiser without groups": (lambda s: s["optimizer"].pop("param_groups"), "optimizer"),
    "groups that are none": (lambda s: s["optimizer"].update(param_groups=[1]), "optimizer"),
    "no groups": (lambda s: s["optimizer"].update(param_groups=[]), "optimizer"),
    "an optimiser without a state": (lambda s: s["optimizer"].pop("state"), "optimizer"),
    "other parameters": (lambda s: s["optimizer"]["param_groups"][0].update(params=[0]), "optimizer"),
    "another setting": (lambda s: s["optimizer"]["param_groups"][0].update(weight_decay=5), "optimizer"),
    "a rate that is a text": (lambda s: s["optimizer"]["param_groups"][0].update(lr="0.1"), "optimizer"),
    "no rate": (lambda s: s["optimizer"]["param_groups"][0].pop("lr"), "optimizer"),
    "momenta of nothing": (lambda s: s["optimizer"]["state"].update({9: s["optimizer"]["state"][0]}), "optimizer"),
    "a momentum less": (lambda s: s["optimizer"]["state"][0].popitem(), "optimizer"),
    "a momentum more": (lambda s: s["optimizer"]["state"][0].update(more=torch.zeros(3, 2)), "optimizer"),
    "momenta that are none": (lambda s: s["optimizer"]["state"].update({0: 1}), "optimizer"),
    "a momentum of another shape": (lambda s: _replace(s, torch.zeros(2, 3)), "optimizer"),
    "a momentum of integers": (lambda s: _replace(s, torch.zeros(3, 2, dtype=torch.int64)), "optimizer"),
    "a momentum that is none": (lambda s: _replace(s, "text"), "optimizer"),
    "no step": (lambda s: s.pop("step"), "step"),
    "a step that is a text": (lambda s: s.update(step="7"), "step"),
    "half a step": (lambda s: s.update(step=7.5), "step"),
    "a step that is true": (lambda s: s.update(step=True), "step"),
    "a step before the first": (lambda s: s.update(step=-1), "step"),
    "no history": (lambda s: s.pop("history"), "history"),
    "a history that is none": (lambda s: s.update(history={}), "history"),
    "an epoch that is none": (lambda s: s.update(history=[1]), "history"),
    "a figure that is a text": (lambda s: s.update(history=[{"loss": "1"}]), "history"),
    "a figure without a name": (lambda s: s.update(history=[{1: 1.0}]), "history"),
    "no sums": (lambda s: s.pop("sums"), "sums"),
    "sums that are none": (lambda s: s.update(sums=[]), "sums"),
    "no best": (lambda s: s.pop("best"), "best"),
    "a best that is none": (lambda s: s.update(best=3), "best"),
    "no scaler": (lambda s: s.pop("scaler"), "scaler"),
    "a scaler that is none": (lambda s: s.update(scaler=None), "scaler"),
    "a scaler without a scale": (lambda s: s["scaler"].pop("scale"), "scaler"),
    "a scaler with more": (lambda s: s["scaler"].update(more=1.0), "scaler"),
    "a scale that is a text": (lambda s: s["scaler"].update(scale="1"), "scaler"),
    "a scale of nothing": (lambda s: s["scaler"].update(scale=0.0), "scaler"),
    "a scale without end": (lambda s: s["scaler"].update(scale=float("inf")), "scaler"),
    "fewer steps than none": (lambda s: s["scaler"].update(_growth_tracker=-1), "scaler"),
    "a best of another shape": (lambda s: s["best"].update({"0.bias": torch.zeros(4)}), "best"),
}


def _replace(state: dict[str, Any], value: Any) -> None:
    kept = state["optimizer"]["state"][0]
    kept[next(reversed(kept))] = value


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_of_a_wrong_kind_is_passed_over(
    checkpoint: Path, kind: str, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.load(checkpoint, weights_only=True)
    function, part = CHANGES[change]
    function(state)
    torch.save(state, checkpoint)
    passed_over(checkpoint, kind)
    assert capsys.readouterr().err == (
        f"{checkpoint} is damaged and is left alone: its '{part}' does not fit; training starts from the beginning\n"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "it is no checkpoint of a training"),
        ({"model": {}}, "it is no checkpoint of a training"),
        (nn.Linear(1, 1), "it is no checkpoint of a training"),
        (torch.zeros(1), "it is no checkpoint of a training"),
    ],
)
def test_another_file_of_torch_is_passed_over(
    tmp_path: Path, kind: str, content: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    passed_over(tmp_path / "last.ckpt", kind)
    assert capsys.readouterr().err == f"{tmp_path / 'last.ckpt'} cannot be read and is left alone: {said}\n"


@pytest.mark.parametrize("content", [b"", b"half", b"PK\x03\x04", b"<html>", b"\x80\x02N."])
def test_a_file_of_no_kind_is_passed_over(
    tmp_path: Path, kind: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    passed_over(tmp_path / "last.ckpt", kind)
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path / 'last.ckpt'} cannot be read and is left alone: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("what", ["folder", "pipe"])
def test_what_is_no_file_is_passed_over(
    tmp_path: Path, kind: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "last.ckpt"
    path.mkdir() if what == "folder" else os.mkfifo(path)
    passed_over(path, kind)
    assert "cannot be read and is left alone" in capsys.readouterr().err


@pytest.mark.parametrize("identity", ["other", 3, None])
def test_a_state_of_other_settings_is_passed_over(
    tmp_path: Path, kind: str, identity: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = Training(kind, 2)
    save(tmp_path / "last.ckpt", identity, trained.model, trained.optimizer, done(trained.model))
    passed_over(tmp_path / "last.ckpt", kind)
    assert capsys.readouterr().err == (
        f"{tmp_path / 'last.ckpt'} belongs to other settings, code or inputs; training starts from the beginning\n"
    )


def test_nothing_of_a_state_is_run(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.system, ("touch never",)

    monkeypatch.chdir(tmp_path)
    torch.save({"identity": Hostile()}, tmp_path / "last.ckpt")
    passed_over(tmp_path / "last.ckpt", kind)
    assert not (tmp_path / "never").exists()


def test_random_damage_is_passed_over(checkpoint: Path, kind: str) -> None:
    """A zip archive has a checksum of each of its parts, so no damage of what is read goes unseen."""
    draw = random.Random(0)
    whole = checkpoint.read_bytes()
    fresh = Training(kind, 1)
    before = fresh.everything()
    right = Training(kind, 2).everything()
    for _ in range(100):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        checkpoint.write_bytes(content)
        taken = copy.deepcopy(fresh)
        found = resume(checkpoint, "same", taken.model, taken.optimizer)
        assert same(taken.everything(), right if found.step else before)
