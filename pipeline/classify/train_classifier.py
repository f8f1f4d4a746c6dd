"""Task `train_classifier`: one network on the frames of one variant, alone or taught by another (Sec. 5.2)."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.classify.fitting import Lesson, open_initial, random_network, start_from, train_model
from pipeline.classify.teaching import load_teacher
from pipeline.classify.video_clips import check_splits, find_classes
from pipeline.config.tasks.classify import TrainClassifier
from pipeline.models.architecture import Architecture
from pipeline.models.classifier_file import Description, read_description, save_model
from pipeline.models.opened import Opened
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.provenance import provenance_of, sha256_text
from pipeline.runtime.store import FrameShard
from pipeline.training.job import start_job


def train_classifier(
    shards: Sequence[Path],
    output: Output,
    settings: TrainClassifier,
    *,
    teacher: Path | None = None,
    teacher_shards: Sequence[Path] = (),
    like: Path | None = None,
    keep_weights: bool = False,
    workers: int = 0,
    save_every: float = 300.0,
) -> None:
    """Train a network and write ``output`` (.safetensors, with a .json next to it) and ``metrics.json``.

    A training that was stopped goes on from ``last.ckpt`` in the output's folder, to the same bytes
    on a CPU, and on a GPU where `deterministic` is set.

    Args:
        shards: Frame shards that the network sees.
        output: The model file.
        settings: Recipe, strategy, classes.
        teacher: The teacher's model file, where the strategy has one.
        teacher_shards: Frame shards that the teacher sees; those of the network itself for self-distillation.
        like: A model file whose architecture is used instead of the recipe's, such as a reduced one.
        keep_weights: Start from that file's weights, with a new classifier where the classes differ (Table 6.6).
        workers: Processes that load data; the result does not depend on it.
        save_every: Seconds between checkpoints.

    Raises:
        ActaError: bad classes, splits, teacher or initial weights (before the first step), or a loss not finite.
    """
    recipe, training = settings.recipe, settings.training
    if (settings.strategy.teacher is None) != (teacher is None):
        raise ActaError(f"the strategy's teacher is {settings.strategy.teacher!r}, but the model given is {teacher}")
    with start_job(output, training, workers, save_every) as job:
        check_splits(shards, settings.split.train, settings.split.test)
        classes = find_classes(shards, settings.split.train, settings.classes)
        base, frames = recipe.backbone, recipe.clip.frames
        if like is None:
            architecture = Architecture(base.name, len(classes), base.width, base.blocks, frames)
        else:
            architecture = replace(read_description(like).architecture, classes=len(classes))
        model = random_network(architecture, recipe, training)
        given = {"teacher": teacher, "like": like}
        files = {name: Opened(path, "the model file") for name, path in given.items() if path is not None}
        if recipe.initial and like is None:
            files["initial"] = open_initial(recipe.initial)
        start = files.get("initial", files.get("like") if keep_weights else None)
        if start is not None:
            start_from(model, start, architecture)
        network = load_teacher(files["teacher"], classes, frames) if teacher else None
        inputs = {f"frames/{place}": FrameShard(path).digest for place, path in enumerate(shards)}
        inputs |= {f"teacher_frames/{place}": FrameShard(path).digest for place, path in enumerate(teacher_shards)}
        provenance = provenance_of(
            __name__,
            settings,
            inputs={"frames": sha256_text(json.dumps(inputs, sort_keys=True))},
            weights={name: file.stated for name, file in files.items()},
            packages=("torch", "simplejpeg"),
        )
        rate, content = settings.sampling.rate, json.loads(provenance.to_json())
        description = Description(architecture, classes, settings.variant, rate, recipe.clip.view, content)
        lesson = Lesson(settings.split.train, shards, settings.strategy, network, teacher_shards)
        done, figures = train_model(job, model, description, lesson, recipe, training, provenance.digest)
        job.finish(done, figures, lambda: save_model(output, model, description))
