"""Task `store_teacher_logits`: a teacher's logits of every clip that its students will be shown, stored once.

Cuts and batches of a training follow from (seed, epoch, number), so they can be replayed: 25 students then read what
each would otherwise compute. Batch norm sees the same micro-batches as in the trainings, in either mode.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.classify.teaching import as_teacher, load_teacher, replay_key
from pipeline.classify.video_clips import TrainingClips, Videos
from pipeline.config.tasks.shrink import StoreTeacherLogits
from pipeline.models.architecture import frames_needed
from pipeline.models.backbones import pathways
from pipeline.models.opened import Opened
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.files import Output, check_room, write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.sealed import create_sealed
from pipeline.shrink.base_network import read_base
from pipeline.training.batches import MicroBatches, load
from pipeline.training.distributed import Group
from pipeline.training.loop import DTYPES


def store_teacher_logits(
    teacher: Path, shards: Sequence[Path], output: Output, settings: StoreTeacherLogits, *, workers: int = 0
) -> None:
    """Write the logits of a teacher, (epochs, clips, classes), to HDF5, and the seconds it took to a JSON next to it.

    A clip that an epoch leaves out, as it does not fill a batch, is NaN.

    Args:
        teacher: Its model file.
        shards: Frame shards that it sees.
        output: The file to write.
        settings: Recipe, epochs, seed and the teacher's mode.
        workers: Processes that load data; the result does not depend on it.

    Raises:
        ActaError: a teacher that does not fit the recipe.
    """
    recipe, training = settings.recipe, settings.training
    check_device(training.device, training.precision, alone=True)
    classes = read_base(teacher, shards, settings).classes
    written_by = Opened(teacher, "the model file")
    group = Group(0, 1, torch.device(training.device))
    dtype = DTYPES[training.precision]
    network, architecture = as_teacher(
        load_teacher(written_by, classes, recipe.clip.frames), settings.mode, group.device, dtype
    )
    positions = frames_needed([architecture])
    clips = TrainingClips(Videos(shards, settings.split.train, classes), None, recipe.clip, positions, training.seed)
    batches = MicroBatches(len(clips), recipe, training.epochs, training.seed, group)
    loader = load(clips, batches, workers)
    total = training.epochs * (len(clips) // recipe.batch) * (recipe.batch // recipe.micro_batch)
    began = time.perf_counter()
    kind = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
    shape = (training.epochs, len(clips), len(classes))
    room = math.prod(shape) * kind.itemsize
    check_room(output.parent, room, f"logits of {shape} epochs, clips and classes")
    with create_sealed(output, room) as file:
        stored = file.create_dataset("logits", shape, kind)
        for epoch in range(training.epochs):
            stored[epoch] = np.nan
        file.attrs["key"] = replay_key(written_by, shards, settings.split.train, recipe, training, settings.mode)
        file.attrs["settings"] = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
        with pinned_threads(training.threads), torch.random.fork_rng(), torch.no_grad():
            for keys, batch in progress(
                zip(batches, loader, strict=True), total=total, unit="batches", desc="store_teacher_logits"
            ):
                clip = batch["student"].to(group.device)
                with torch.autocast(group.device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
                    said = network(pathways(clip, positions, architecture, dtype)).to(dtype).cpu().numpy()
                order = np.argsort([number for _, number in keys])  # HDF5 writes in ascending order
                stored[keys[0][0], [keys[place][1] for place in order]] = said[order]
    seconds = time.perf_counter() - began
    write_json(output.with_suffix(".json"), {"device_seconds": seconds, "clips": training.epochs * len(clips)})
