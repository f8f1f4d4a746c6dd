"""Task `try_hypothesis`: one reduction operator applied to the previous winner, which is then trained (Algorithm 1)."""

import operator
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.classify.fitting import Lesson, random_network, train_model
from pipeline.classify.teaching import load_teacher, replay_key
from pipeline.config.tasks.shrink import TryHypothesis
from pipeline.models.architecture import Architecture, Reduction
from pipeline.models.backbones import build
from pipeline.models.classifier_file import model_weights, read_description, save_absent, save_model
from pipeline.models.complexity import complexity
from pipeline.models.opened import Opened
from pipeline.models.slowfast import SlowFast
from pipeline.models.state import load_state
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, atomic, write_json
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.store import digest_of
from pipeline.runtime.text import read_made
from pipeline.shrink.base_network import read_base
from pipeline.training.job import spent, start_job

STATE = "state.ckpt"


def try_hypothesis(
    base: Path,
    previous: Path,
    shards: Sequence[Path],
    output: Output,
    settings: TryHypothesis,
    *,
    stored: Path | None = None,
    until: int | None = None,
    started: Path | None = None,
    survivors: Path | None = None,
    workers: int = 0,
    save_every: float = 300.0,
) -> None:
    """Train one hypothesis; write ``output`` (.safetensors, with a .json next to it) and ``metrics.json``.

    One that is impossible (an axis that cannot shrink further) or was stopped early is written as absent, with the
    reason. A training that was killed goes on from ``last.ckpt`` in the output's folder, to the same bytes
    on a CPU, and on a GPU where `deterministic` is set.

    Args:
        base: Model file of the base network B, which teaches.
        previous: Model file of R_(τ-1), to which the operators are applied; B itself in the first iteration.
        shards: Frame shards, the same for the network (reduced clips) and its teacher (unreduced ones).
        output: The model file.
        settings: Operators, recipe, losses.
        stored: The teacher's logits (`pipeline.shrink.store_teacher_logits`) in place of the teacher.
        until: Train to the end of this epoch only, and leave the state in ``state.ckpt`` for another job to go on.
        started: Such a state to go on from.
        survivors: JSON with the operators that go on (`pipeline.shrink.halve_hypotheses.halve_hypotheses`).
        workers: Processes that load data; the result does not depend on it.
        save_every: Seconds between checkpoints.

    Raises:
        ActaError: models that do not fit one another or the recipe, bad data, or a loss that is not finite.
    """
    recipe, training = settings.recipe, settings.training
    before = read_description(previous)
    operators = "".join(letter for letter, _ in settings.reductions)
    if survivors is not None and operators not in read_made(survivors)["survivors"]:
        _write_absent(output, "stopped", f"not among the best after the first epochs ({survivors.name})")
        return
    view = recipe.clip.view.test
    try:
        architecture = before.architecture.reduced([Reduction(*one) for one in settings.reductions], view.crop)
    except ActaError as error:
        _write_absent(output, "infeasible", str(error))
        if until is not None:
            with atomic(output.parent / STATE) as temporary:
                temporary.touch()
        return
    with start_job(output, training, workers, save_every) as job:
        read_base(base, shards, settings)
        files = {name: Opened(path, "the model file") for name, path in {"base": base, "previous": previous}.items()}
        lesson = _lesson(settings, files["base"], before.classes, shards, stored)
        model = random_network(architecture, recipe, training)
        if settings.start == "previous":
            load_state(model, model_weights(files["previous"]), str(previous))
        elif settings.start == "part":
            inherit_part(model, model_weights(files["previous"]), before.architecture)
        weights = {name: file.sha256 for name, file in files.items()}
        inputs = {"frames": digest_of(shards)}
        provenance = provenance_of(__name__, settings, inputs=inputs, weights=weights, packages=("torch", "simplejpeg"))
        description = replace(before, architecture=architecture, view=recipe.clip.view, provenance=provenance.content)
        done, figures = train_model(
            job, model, description, lesson, recipe, training, provenance.digest, until, started
        )
        figures = {
            "status": "trained",
            "operators": operators,
            "start": settings.start,
            "device_seconds": spent(done.history)["seconds"] * job.group.world,
            **_cost(architecture, before.architecture, view.crop),
            **figures,
        }
        state = None if until is None else output.parent / STATE
        job.finish(done, figures, lambda: save_model(output, model, description), state)


def _lesson(
    settings: TryHypothesis, base: Opened, classes: Sequence[str], shards: Sequence[Path], stored: Path | None
) -> Lesson:
    """What a hypothesis learns from: the frames, and the base network or its stored logits."""
    recipe, train, mode = settings.recipe, settings.split.train, settings.teacher_mode
    taught = settings.strategy.teacher is not None
    return Lesson(
        train,
        shards,
        settings.strategy,
        load_teacher(base, classes, recipe.clip.frames) if taught else None,
        shards,
        mode,
        stored,
        replay_key(base, shards, train, recipe, settings.training, mode) if stored else "",
        settings.features,
        settings.feature_weight,
    )


def _cost(architecture: Architecture, before: Architecture, size: int) -> dict[str, object]:
    return {
        **asdict(complexity(architecture, size)),
        "previous_gflops": complexity(before, size).gflops,
    }


def _write_absent(output: Path, status: str, reason: str) -> None:
    write_json(output.with_name("metrics.json"), {"status": status, "reason": reason, "device_seconds": 0.0})
    save_absent(output, f"{status}: {reason}")
    print(f"{status}: {reason}")


def inherit_part(model: nn.Module, previous: dict[str, Tensor], before: Architecture) -> None:
    """Fill a smaller network with a part of a larger one's weights (Sec. 6.1.4, future work).

    The first entries along each axis of a tensor are kept: the first channels (operator c; where SlowFast has joined
    two pathways, the first of each), and the first blocks of a stage (operator l), which have the same names.

    Args:
        model: The smaller network, changed in place.
        previous: Weights of the larger one by name.
        before: The larger one.

    Raises:
        ActaError: it has weights that the larger one lacks or that are larger there.
    """
    with torch.device("meta"):
        larger = build(before)
    joined = [net.joined_inputs() if isinstance(net, SlowFast) else {} for net in (larger, model)]
    state = model.state_dict()
    for name, mine in state.items():
        theirs = previous.get(name)
        if theirs is None or theirs.ndim != mine.ndim or any(map(operator.lt, theirs.shape, mine.shape)):
            found = "missing" if theirs is None else f"of shape {list(theirs.shape)}"
            raise ActaError(f"cannot inherit {name!r} of shape {list(mine.shape)}: it is {found} in the larger network")
        if name in joined[1]:
            parts = zip(theirs.split(joined[0][name], 1), joined[1][name], strict=True)
            theirs = torch.cat([part[:, :count] for part, count in parts], 1)
        mine.copy_(theirs[tuple(slice(size) for size in mine.shape)])
    model.load_state_dict(state)
