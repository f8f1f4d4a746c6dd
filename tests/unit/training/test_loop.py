"""The training loop: the same bytes however it is stopped, the same result for any number of processes."""

import itertools
import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from pipeline.runtime.errors import ActaError
from pipeline.training.distributed import Group, RunningStatistics
from pipeline.training.job import Job
from pipeline.training.loop import fit
from pipeline.training.steering import AdamPlateau, SgdSchedule
from pipeline.training.stopping import last_step_is_saved, listening
from tests.networks import finish, start, train_settings

ALONE = Group(0, 1, torch.device("cpu"))


class Numbers:
    """Eight samples: the number itself."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        self.asked.append(key)
        return {"x": torch.tensor([float(key[1])])}


def mean_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    loss = model(batch["x"]).mean()
    return loss, {"twice": 2 * loss}


def one(value: float = 1.0) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def settings(config, **changes):
    small = train_settings(config, recipe__schedule="step", recipe__learning_rate=0.001, training__weight_decay=0.0)
    values = small.model_dump(mode="json")
    for name, value in changes.items():
        part, key = name.split("__")
        values[part][key] = value
    parsed = type(small).model_validate_json(json.dumps(values))
    return parsed.recipe, parsed.training


def run(config, tmp_path: Path, model: nn.Module, losses=mean_loss, samples=None, identity="same", **changes):
    recipe, training = settings(config, **changes)
    job = Job(tmp_path / "model.safetensors", training, ALONE, 0, 0)
    steering = SgdSchedule(recipe, training)
    return fit(job, model, samples or Numbers(), losses, recipe, training.seed, steering, identity)


def test_two_steps_of_sgd_with_momentum_by_hand(config, tmp_path):
    """The gradient is the mean of 0 to 7, 3.5, in both epochs; momentum 0.9 makes the second step 1.9 times as long."""
    model = one()
    done = run(config, tmp_path, model)
    assert model.weight.item() == pytest.approx(1 - 0.001 * 3.5 * (1 + 1.9))
    assert [epoch["loss"] for epoch in done.history] == pytest.approx([3.5, 3.5 * (1 - 0.0035)])
    assert done.history[0]["twice"] == pytest.approx(7.0)
    assert done.history[0]["compute_seconds"] > 0


def test_every_sample_once_an_epoch_in_another_order(config, tmp_path):
    samples = Numbers()
    run(config, tmp_path, one(), samples=samples)
    epochs = [[number for epoch, number in samples.asked if epoch == k] for k in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(8))
    assert epochs[0] != epochs[1]


def test_a_loss_that_is_not_finite_stops_before_the_step(config, tmp_path):
    def bad(model, batch):
        loss, figures = mean_loss(model, batch)
        return loss * float("nan"), figures

    model = one()
    with pytest.raises(ActaError, match=r"the loss is nan at step 1 of epoch 1 \(learning rate 0.001\)"):
        run(config, tmp_path, model, bad)
    assert model.weight.item() == 1.0


@pytest.mark.parametrize(
    ("changes", "group", "message"),
    [
        ({"recipe__batch": 12}, ALONE, "an epoch has 8 clips, fewer than one batch of 12"),
        (
            {"recipe__micro_batch": 8},
            Group(0, 2, torch.device("cpu")),
            "a batch of 8 is 1 micro-batches of 8, which 2 processes cannot share equally",
        ),
    ],
)
def test_batches_that_cannot_be(config, tmp_path, changes, group, message):
    recipe, training = settings(config, **changes)
    job = Job(tmp_path / "model.safetensors", training, group, 0, 300)
    with pytest.raises(ActaError, match=message):
        fit(job, one(), Numbers(), mean_loss, recipe, training.seed, SgdSchedule(recipe, training), "")


def test_a_checkpoint_of_other_settings_is_left_alone(config, tmp_path, capsys):
    first = one()
    run(config, tmp_path, first)
    second = one()
    run(config, tmp_path, second, identity="other")
    assert "belongs to other settings, code or inputs; training starts from the beginning" in capsys.readouterr().err
    assert second.weight.item() == first.weight.item()


def test_a_damaged_checkpoint_is_left_alone(config, tmp_path, capsys):
    (tmp_path / "last.ckpt").write_bytes(b"half")
    run(config, tmp_path, one())
    assert "last.ckpt cannot be read and is left alone" in capsys.readouterr().err


def test_a_finished_checkpoint_has_nothing_left_to_do(config, tmp_path):
    first = one()
    run(config, tmp_path, first)
    again, samples = one(), Numbers()
    run(config, tmp_path, again, samples=samples)
    assert samples.asked == []
    assert again.weight.item() == first.weight.item()


def test_asked_to_stop_in_the_last_step_the_checkpoint_is_what_remains(config, tmp_path):
    """What would be written after it is lost with the workflow's job; the next run has only that left to do."""

    def ask(model, batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return mean_loss(model, batch)

    recipe = settings(config)[0]
    assert recipe.batch == len(Numbers()), "a step is an epoch"
    with pytest.raises(SystemExit) as stopped:
        run(config, tmp_path, one(), ask, training__epochs=1)
    assert stopped.value.code == 128 + signal.SIGTERM
    samples = Numbers()
    run(config, tmp_path, one(), samples=samples, training__epochs=1)
    assert samples.asked == []


def test_asked_to_stop_after_the_last_step():
    with listening() as stop:
        last_step_is_saved()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGUSR1) is stop
    with listening() as stop:
        stop.wanted = signal.SIGTERM
        with pytest.raises(SystemExit):
            last_step_is_saved()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    last_step_is_saved()  # nobody listens: nothing to do


def test_dropout_and_order_do_not_touch_the_caller_s_random_state(config, tmp_path):
    model, before = one(), torch.random.get_rng_state()
    run(config, tmp_path, model)
    assert torch.equal(torch.random.get_rng_state(), before)


class Together:
    """Processes whose buffers are summed as if they had been sent."""

    def __init__(self, world: int, theirs: list[float] | float = 0.0):
        self.world = world
        self._theirs = torch.tensor(theirs)

    def total(self, values: Tensor) -> Tensor:
        return values + self._theirs


def test_processes_that_resume_at_different_steps_are_an_error(config, tmp_path):
    recipe, training = settings(config)
    group = SimpleNamespace(
        rank=0,
        world=2,
        device=torch.device("cpu"),
        total=lambda steps: steps + torch.tensor([0, 7]),  # the other process has found step 7
    )
    job = Job(tmp_path / "model.safetensors", training, group, 0, 300)
    with pytest.raises(ActaError, match=r"would go on from different steps, \[0, 7\]"):
        fit(job, one(), Numbers(), mean_loss, recipe, training.seed, SgdSchedule(recipe, training), "")


@pytest.mark.parametrize("world", [1, 2, 4])
def test_running_statistics_are_those_of_a_single_process(world: int) -> None:
    """Four micro-batches of a step, of which each process computes every ``world``-th."""
    parts = torch.arange(24, dtype=torch.float64).reshape(4, 3, 2) ** 2
    alone = nn.BatchNorm1d(2, dtype=torch.float64)
    for part in parts:
        alone(part)
    ended = []
    for rank in range(world):
        model = nn.BatchNorm1d(2, dtype=torch.float64)
        statistics = RunningStatistics(model, Together(world))  # type: ignore[arg-type]
        for number in range(rank, 4, world):
            statistics.before(number)
            model(parts[number])
        statistics.add_up(4)
        ended.append(model)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(sum(getattr(model, name) for model in ended), getattr(alone, name))


def test_running_statistics_are_summed_over_the_processes() -> None:
    model = nn.BatchNorm1d(2, momentum=0.5)
    model.running_mean.copy_(torch.tensor([8.0, 16.0]))  # type: ignore[union-attr]
    RunningStatistics(model, Together(2, [3.0, 4.0, 5.0, 1.0])).add_up(1)  # type: ignore[arg-type]
    assert model.running_mean.tolist() == [2.0 + 3.0, 4.0 + 4.0]  # type: ignore[union-attr]
    assert model.running_var.tolist() == [0.25 + 5.0, 0.25 + 1.0]  # type: ignore[union-attr]
    assert model.num_batches_tracked == 0


def test_frozen_statistics_are_left_alone() -> None:
    """A third of all numbers, summed over three processes, is not always the number again."""
    model = nn.Sequential(nn.BatchNorm1d(2).eval(), nn.Linear(2, 2))
    RunningStatistics(model, Together(3, [9.0])).add_up(2)  # type: ignore[arg-type]
    assert model[0].running_mean.tolist() == [0.0, 0.0]  # type: ignore[union-attr]


# ---- float16


SMALL = 1 / 64  # with it the gradients of `Numbers` are far from float16's largest number at any scale


def small_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    loss = SMALL * model(batch["x"]).float().mean()
    return loss, {}


def half(config, folder: Path, model: nn.Module, losses=small_loss, **changes):
    return run(config, folder, model, losses, **{"training__precision": "float16"} | changes)


def overflowing(at: set[int]):
    """The small loss, whose gradient is infinite in the backward passes of these numbers; from 0."""
    passes = itertools.count()

    def losses(model, batch):
        loss, figures = small_loss(model, batch)
        number = next(passes)
        loss.register_hook(lambda gradient: gradient * float("inf") if number in at else gradient)
        return loss, figures

    return losses


def test_float16_steps_as_float32_where_nothing_is_rounded(config, tmp_path):
    """Numbers of a few bits: the scale of the loss is taken out of the gradients again."""
    models = [one(), one()]
    histories = [
        [{key: value for key, value in epoch.items() if "seconds" not in key} for epoch in done.history]
        for done in (
            half(config, tmp_path / "32", models[0], training__precision="float32"),
            half(config, tmp_path / "16", models[1]),
        )
    ]
    assert models[1].weight.item() == pytest.approx(models[0].weight.item(), abs=1e-8)
    assert models[1].weight.item() < 1
    assert [epoch.pop("overflows") for epoch in histories[1]] == [0.0, 0.0]
    assert histories[0][0] == pytest.approx(histories[1][0], rel=1e-3)
    assert models[1].weight.dtype == torch.float32


def test_a_step_whose_gradients_overflow_is_skipped_and_counted(config, tmp_path):
    """One of two micro-batches is enough; the position moves on, and the next step is taken."""
    model = one()
    done = half(config, tmp_path, model, overflowing({1}), recipe__micro_batch=4)
    assert [epoch["overflows"] for epoch in done.history] == [1.0, 0.0]
    assert [epoch["loss"] for epoch in done.history] == pytest.approx([3.5 * SMALL] * 2)
    assert model.weight.item() == pytest.approx(1 - 0.001 * 3.5 * SMALL, abs=1e-7)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert state["scaler"]["scale"] == 2.0**15


def test_gradients_that_always_overflow_are_an_error(config, tmp_path):
    model = one()
    with pytest.raises(ActaError, match=r"overflow float16 at step 1 of epoch 17 although .* only scaled by 1, "):
        half(config, tmp_path, model, overflowing(set(range(100))), training__epochs=30)
    assert model.weight.item() == 1.0


def test_a_loss_that_is_not_finite_is_an_error_in_float16_too(config, tmp_path):
    def bad(model, batch):
        loss, figures = mean_loss(model, batch)
        return loss * float("inf"), figures

    with pytest.raises(ActaError, match="the loss is inf at step 1 of epoch 1"):
        half(config, tmp_path, one(), bad)


def test_float16_resumes_with_the_scale_that_it_had(config, tmp_path):
    """Stopped after the step that overflowed; the scale decides how small gradients are rounded."""

    def ended(folder: Path, stops: bool):
        model, losses = one(), overflowing({0})

        def asked(model, batch):
            if stops and not (folder / "last.ckpt").exists():
                os.kill(os.getpid(), signal.SIGTERM)
            return losses(model, batch)

        if stops:
            with pytest.raises(SystemExit):
                half(config, folder, model, asked, training__epochs=4)
        return half(config, folder, model, asked, training__epochs=4), torch.load(folder / "last.ckpt"), model

    (calm, state, model), (shot, again, other) = ended(tmp_path / "calm", False), ended(tmp_path / "shot", True)
    assert [epoch["overflows"] for epoch in shot.history] == [1.0, 0.0, 0.0, 0.0]
    assert [epoch["loss"] for epoch in calm.history] == [epoch["loss"] for epoch in shot.history]
    assert torch.equal(model.weight, other.weight)
    assert state["scaler"] == again["scaler"]
    assert state["scaler"]["_growth_tracker"] == 3


def test_adam_skips_too(config, tmp_path):
    """Its fused form takes the scale itself."""
    recipe, training = settings(config, training__precision="float16")
    job = Job(tmp_path / "model.safetensors", training, ALONE, 0, 0)
    model, steering = one(), AdamPlateau(0.1, 5, 5, lambda model: 0.0)
    done = fit(job, model, Numbers(), overflowing({0}), recipe, training.seed, steering, "same")
    assert [epoch["overflows"] for epoch in done.history] == [1.0, 0.0]
    # The first step of Adam is as long as the rate.
    final = torch.load(tmp_path / "last.ckpt", weights_only=True)["model"]["weight"].item()
    assert final == pytest.approx(0.9, abs=1e-4)


TOGETHER = """
import sys
from pathlib import Path
import torch
from pipeline.config.base import parse
from pipeline.config.tasks.classify import TrainClassifier
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.training.distributed import process_group
from pipeline.training.job import Job, seeded
from pipeline.training.loop import fit
from pipeline.training.steering import SgdSchedule
from tests.unit.training.test_loop import Numbers, one, small_loss

chosen = parse(TrainClassifier, sys.argv[1])

def train(name, model, losses, **changes):
    training = chosen.training.model_copy(update=changes)
    job = Job(Path(sys.argv[2]) / name / "model.safetensors", training, group, 0, 300)
    return fit(job, model, Numbers(), losses, chosen.recipe, 1, SgdSchedule(chosen.recipe, training), "same")

passes = []

def overflows(model, batch):
    loss, figures = small_loss(model, batch)
    passes.append(1)
    if group.rank == 1 and len(passes) == 1:
        loss.register_hook(lambda gradient: gradient * float("inf"))
    return loss, figures

def of_clips(model, batch):
    clips = torch.rand(4, 3, 2, 16, 16) * batch["x"].view(-1, 1, 1, 1, 1)
    return model([clips]).square().mean(), {}

with process_group("cpu") as group:
    model = one()
    done = train("skip", model, overflows, precision="float16")
    print("END", [epoch["overflows"] for epoch in done.history], model.weight.item())
    for again in (False, True):
        with seeded(1):
            model = build(Architecture("r3d_18", 3, 0.05), dropout=0.3)
        train(str(again), model, of_clips, recompute_activations=again)
"""


def test_two_processes_skip_the_same_steps_and_recompute_the_same_activations(config, tmp_path):
    """Gradients overflow in one process, and their mean shows it to the other; dropout and statistics are the same."""
    changed = train_settings(config, recipe__schedule="step")
    arguments = [sys.executable, "-c", TOGETHER, changed.model_dump_json(), str(tmp_path)]
    ends = [line for printed in finish(start(arguments, 2)) for line in printed.splitlines() if line.startswith("END")]
    assert len(ends) == 2
    assert ends[0] == ends[1]
    assert ends[0].startswith("END [1.0, 0.0] ")
    assert not ends[0].endswith(" 1.0")
    states = [torch.load(tmp_path / name / "last.ckpt", weights_only=True)["model"] for name in ("False", "True")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert states[0]["stem.1.num_batches_tracked"] == 2


# ---- the same bytes, computed otherwise


def test_deterministic_algorithms_are_for_the_training_alone(config, tmp_path):
    seen = []

    def watched(model, batch):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return mean_loss(model, batch)

    for wanted in (True, False):
        run(config, tmp_path / str(wanted), one(), watched, training__deterministic=wanted)
        assert not torch.are_deterministic_algorithms_enabled()
    assert seen == [True] * 4 + [False] * 4
