"""Task `store_teacher_logits`: a teacher's logits of every clip that its students will be shown, stored once.

Cuts and batches of a training follow from (seed, epoch, number), so they can be replayed: 25 students then read what
each would otherwise compute. Batch norm sees the same micro-batches as in the trainings, in either mode.

While it computes, what it has lies in parts next to the output, each of the logits of some steps in a row. A part that
is whole stays, whatever ends the task, and the same command goes on after the last one.
"""

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from pipeline.classify.teaching import as_teacher, load_teacher, replay_key
from pipeline.classify.video_clips import TrainingClips, Videos
from pipeline.config.tasks.shrink import StoreTeacherLogits
from pipeline.models.architecture import Architecture, frames_needed
from pipeline.models.backbones import pathways
from pipeline.models.opened import Opened
from pipeline.models.precision import DTYPES, mixed
from pipeline.runtime.device import check_device, deterministic_algorithms, pinned_threads
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, check_room, write_json
from pipeline.runtime.progress import Progress
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.sealed import Sealed, create_sealed
from pipeline.runtime.store import digest_of
from pipeline.shrink.base_network import read_base
from pipeline.training.batches import MicroBatches, load, steps_of
from pipeline.training.distributed import Group
from pipeline.training.stopping import Stop, deaf_children, last_step_is_saved, listening, say_stopped


def store_teacher_logits(
    teacher: Path,
    shards: Sequence[Path],
    output: Output,
    settings: StoreTeacherLogits,
    *,
    workers: int = 0,
    save_every: float = 300.0,
) -> None:
    """Write the logits of a teacher, (epochs, clips, classes), to HDF5, and the seconds it took to a JSON next to it.

    A clip that an epoch leaves out, as it does not fill a batch, is NaN. What was computed before the task was stopped
    is in a folder ``.parts`` next to the output; the same command goes on from there, to the same bytes on a CPU, and
    on a GPU where `deterministic` is set.

    Args:
        teacher: Its model file.
        shards: Frame shards that it sees.
        output: The file to write.
        settings: Recipe, epochs, seed and the teacher's mode.
        workers: Processes that load data; the result does not depend on it.
        save_every: Seconds between parts. One is also written on SIGTERM and SIGUSR1.

    Raises:
        ActaError: a teacher that does not fit the recipe, too few clips for a batch, or no room on the disk.
        SystemExit: a signal asked to stop. After the warning of a time limit (SIGUSR1) Slurm was also asked to start
            the job again.
    """
    recipe, training = settings.recipe, settings.training
    check_device(training.device, training.precision, alone=True)
    classes = read_base(teacher, shards, settings).classes
    file = Opened(teacher, "the model file")
    inputs, weights = {"frames": digest_of(shards)}, {"teacher": file.stated}
    identity = provenance_of(__name__, settings, inputs=inputs, weights=weights).digest
    clips, said = _teaching(file, shards, settings, classes)
    kind = np.dtype(np.float64 if training.precision == "float64" else np.float32)
    shape = (training.epochs, len(clips), len(classes))
    steps = steps_of(len(clips), recipe, said.group)
    parts = _Parts(output.with_suffix(".parts"), identity, recipe.batch)
    room = math.prod(shape) * kind.itemsize
    done, seconds = parts.find(training.epochs * steps)
    there = done * recipe.batch * len(classes) * kind.itemsize
    check_room(output.parent, 2 * room - there, f"logits of {shape} epochs, clips and classes, and once more in parts")
    with listening() as stop:
        seconds += _compute(said, clips, parts, (done, steps, training.epochs), workers, save_every, stop)
        last_step_is_saved()
    key = replay_key(file, shards, settings.split.train, recipe, training, settings.mode)
    with create_sealed(output, room) as target:
        stored = target.create_dataset("logits", shape, kind)
        numbers = iter(MicroBatches(len(clips), recipe, training.epochs, training.seed, said.group))
        for epoch in range(training.epochs):
            block = np.full(shape[1:], np.nan, kind)
            for rows in parts.read(epoch * steps, steps):
                micros = islice(numbers, len(rows) // recipe.micro_batch)
                block[[number for micro in micros for _, number in micro]] = rows
            stored[epoch] = block
        target.attrs["key"] = key
        target.attrs["settings"] = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    write_json(output.with_suffix(".json"), {"device_seconds": seconds, "clips": training.epochs * len(clips)})
    shutil.rmtree(parts.folder)


@dataclass(frozen=True)
class _Said:
    """What a teacher says of clips."""

    teacher: torch.nn.Module
    positions: Sequence[int]
    settings: StoreTeacherLogits
    architecture: Architecture
    group: Group

    def of(self, clip: torch.Tensor) -> np.ndarray:
        training = self.settings.training
        dtype = DTYPES[training.precision]
        with mixed(training.device, training.precision):
            view = pathways(clip.to(self.group.device), self.positions, self.architecture, dtype)
            logits: torch.Tensor = self.teacher(view)
        return logits.to(dtype).cpu().numpy()


def _teaching(
    file: Opened, shards: Sequence[Path], settings: StoreTeacherLogits, classes: list[str]
) -> tuple[TrainingClips, _Said]:
    recipe, training = settings.recipe, settings.training
    group = Group(0, 1, torch.device(training.device))
    teacher = load_teacher(file, classes, recipe.clip.frames)
    network, architecture = as_teacher(teacher, settings.mode, group.device, DTYPES[training.precision])
    positions = frames_needed([architecture])
    clips = TrainingClips(Videos(shards, settings.split.train, classes), None, recipe.clip, positions, training.seed)
    return clips, _Said(network, positions, settings, architecture, group)


def _compute(
    said: _Said,
    clips: TrainingClips,
    parts: "_Parts",
    where: tuple[int, int, int],
    workers: int,
    save_every: float,
    stop: Stop,
) -> float:
    """Write the parts that are missing; the seconds that it took. ``where``: steps done, of an epoch, and epochs."""
    recipe, training = said.settings.recipe, said.settings.training
    done, steps, epochs = where
    batches = MicroBatches(len(clips), recipe, epochs, training.seed, said.group, done)
    first, rows, spent, began = done, [], 0.0, time.monotonic()
    with (
        pinned_threads(training.threads),
        deterministic_algorithms(training.deterministic),
        torch.random.fork_rng(),
        torch.no_grad(),
        Progress(total=epochs * steps, done=done, unit="steps", desc="store_teacher_logits") as bar,
    ):
        with deaf_children():
            loader = iter(load(clips, batches, workers))
        while done < epochs * steps:
            rows += [said.of(batch["student"]) for batch in islice(loader, recipe.batch // recipe.micro_batch)]
            done += 1
            bar.update(1)
            seconds = time.monotonic() - began
            if stop.wanted or seconds >= save_every or done % steps == 0:
                parts.write(first, np.concatenate(rows), seconds)
                first, rows, spent, began = done, [], spent + seconds, time.monotonic()
            if stop.wanted and done < epochs * steps:
                say_stopped(done, [stop.wanted])
                raise SystemExit(128 + stop.wanted)
    return spent


@dataclass(frozen=True)
class _Parts:
    """Files of logits (steps x batch, classes), clips in the order of the batches; the first step is in the name.

    None is of two epochs. ``identity``: digest of all that decides the logits; parts with another one do not count.
    """

    folder: Path
    identity: str
    batch: int

    def find(self, last: int) -> tuple[int, float]:
        """How many steps there are from the first on, of ``last``, and the seconds that they took."""
        done, seconds = 0, 0.0
        while done < last and self._path(done).exists():
            path = self._path(done)
            try:
                file = Sealed(path)
                if file.attribute("identity") != self.identity:
                    print(f"{path} belongs to other settings, code or inputs and is left alone", file=sys.stderr)
                    break
                rows = file.array("logits")[:]
                seconds += float(file.attribute("seconds"))
            except ActaError as error:
                print(f"{error}; it is left alone", file=sys.stderr)
                break
            done += len(rows) // self.batch
        if done:
            print(f"resumed at step {done} from {self.folder}", file=sys.stderr)
        return done, seconds

    def write(self, step: int, rows: np.ndarray, seconds: float) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with create_sealed(self._path(step), rows.nbytes) as file:
            file.create_dataset("logits", data=rows)
            file.attrs["identity"], file.attrs["seconds"] = self.identity, repr(seconds)

    def read(self, step: int, count: int) -> Iterator[np.ndarray]:
        """The parts of the ``count`` steps from this one on."""
        end = step + count
        while step < end:
            rows = Sealed(self._path(step)).array("logits")[:]
            yield rows
            step += len(rows) // self.batch

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:09}.h5"
