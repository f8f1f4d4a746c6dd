"""Task `train_stage`: STAGE, or an ablation of it, on feature shards (Sec. 3.2.2)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config.tasks.detect import TrainStage
from pipeline.detect.blocks import Chosen, Graph, Ring, find_runs, join, make_graph, pad
from pipeline.detect.evaluate_files import Truth, evaluate_rows, read_truth
from pipeline.detect.features.entities import FeatureShard, check_alike
from pipeline.detect.scoring import columns_of, detections_of, network_scorer, score_runs
from pipeline.detect.stage_file import StageDescription, save_stage
from pipeline.models.stage import Graphs, Stage
from pipeline.models.stage_architecture import StageArchitecture
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.scratch import near
from pipeline.runtime.store import digest_of
from pipeline.runtime.wheels import file_sha256
from pipeline.training.job import seeded, start_job
from pipeline.training.loop import fit
from pipeline.training.steering import AdamPlateau


def train_stage(
    shards: Sequence[Path],
    output: Output,
    settings: TrainStage,
    *,
    label_map: Path,
    truth: Path,
    evaluated: Path | None = None,
    excluded: Path | None = None,
    workers: int = 0,
    save_every: float = 300.0,
) -> None:
    """Train a network and write ``output`` (.safetensors, with a .json next to it) and ``metrics.json``.

    The weights are those of the epoch with the highest frame-mAP on the validation split. A training that was stopped
    goes on from ``last.ckpt`` in the output's folder, to the same bytes
    on a CPU, and on a GPU where `deterministic` is set.

    Args:
        shards: Feature shards, all of a dataset.
        output: The model file.
        settings: Splits, network, training.
        label_map: Every action with its number (pbtxt).
        truth: Annotated boxes of the validation split (CSV), whose frame-mAP steers.
        evaluated: The actions that count there (pbtxt); None: all.
        excluded: Frames that do not count there (CSV).
        workers: Processes that read features; the result does not depend on it.
        save_every: Seconds between checkpoints.

    Raises:
        ActaError: shards that do not belong together, a split without videos, or a loss that is not finite.
    """
    training = settings.training
    with start_job(output, training, workers, save_every) as job:
        read = [FeatureShard(near(path)) for path in shards]
        first = check_alike(read)
        blocks = Blocks(read, settings)
        columns = columns_of(first.actions, label_map, evaluated)
        validate = validation(read, settings, read_truth(evaluated or label_map, truth, excluded), columns)
        architecture = make_architecture(settings, first)
        with seeded(settings.seed):
            model = Stage(architecture)
        inputs = {"features": digest_of(shards)}
        files = {"label_map": label_map, "truth": truth, "evaluated": evaluated, "excluded": excluded}
        inputs |= {name: file_sha256(path) for name, path in files.items() if path is not None}
        provenance = provenance_of(__name__, settings, inputs=inputs, packages=("torch",))
        about = StageDescription(
            architecture,
            first.actions,
            training.loss,
            training.clips,
            settings.step,
            settings.test_score,
            provenance.content,
        )
        steering = AdamPlateau(settings.learning_rate, training.drop_patience, training.stop_patience, validate)
        losses, identity = losses_of(training.loss), provenance.digest
        done = fit(job, model, blocks, losses, training, settings.seed, steering, identity, collate=collate)
        figures = {"device": job.group.machine, "clips": blocks.ring.total}
        job.finish(done, figures, lambda: save_stage(output, model, about))


def validation(
    shards: Sequence[FeatureShard], settings: TrainStage, truth: Truth, columns: tuple[list[int], list[int]]
) -> Callable[[nn.Module], float]:
    """Frame-mAP of a network on the validation split; ``columns`` are the actions that count (`columns_of`)."""
    runs = find_runs(shards, [settings.validation], settings.step)
    if not runs:
        raise ActaError(f"no video of the features is in the split {settings.validation!r}, which is for validation")

    def validate(network: nn.Module) -> float:
        assert isinstance(network, Stage)
        training = settings.training
        scorer = network_scorer(network, training.loss, training.device, settings.step)
        chosen = Chosen(annotated=False, score=settings.test_score)
        detected = detections_of(score_runs(shards, runs, training.clips, chosen, scorer), *columns)
        score: float = evaluate_rows(truth, detected, capacity=settings.capacity)["mAP"]
        return score

    return validate


def make_architecture(settings: TrainStage, shard: FeatureShard) -> StageArchitecture:
    """The architecture for features of this size; an `ActaError` if it needs objects, but there are none."""
    network = settings.network
    if network.objects and not shard.object_size:
        raise ActaError(f"{shard.path} has no objects; set `objects: false` in the network's settings")
    return StageArchitecture(
        actors=shard.actor_size,
        objects=shard.object_size if network.objects else None,
        classes=len(shard.actions),
        layers=network.layers,
        heads=network.heads or settings.heads,
        receptive_field=network.receptive_field,
        attention=network.attention,
        proximity=network.proximity,
        actor_actor=network.actor_actor,
        object_object=network.object_object,
        dropout=network.dropout,
    )


class Blocks:
    """The training set for the loop: by (epoch, number) a graph of consecutive clips."""

    def __init__(self, shards: Sequence[FeatureShard], settings: TrainStage):
        runs = find_runs(shards, settings.train, settings.step)
        if not runs:
            raise ActaError(f"no video of the features is in the training splits {', '.join(settings.train)}")
        boxes = settings.training.boxes
        self.ring = Ring(runs, settings.training.clips, settings.seed)
        self._shards, self._settings = shards, settings
        score = None if boxes == "annotated" else settings.train_score
        self._chosen = Chosen(annotated=boxes != "detected", score=score)

    def __len__(self) -> int:
        return len(self.ring)

    def __getitem__(self, key: tuple[int, int]) -> Graph:
        graphs = []
        for part in self.ring.block(*key):
            keyframes = self._shards[part.shard].keyframes(part.video, part.start, part.stop)
            objects = self._settings.network.objects
            graphs.append(make_graph(keyframes, self._chosen, with_objects=objects, step=self._settings.step))
        return join(graphs)


def collate(graphs: list[Graph]) -> dict[str, Tensor]:
    """A padded batch as tensors by name, as the loop needs it."""
    batch, actions, there = pad(graphs)
    tensors = {name: value for name, value in vars(batch).items() if value is not None}
    return tensors | {"wanted": actions, "there": there}


def losses_of(loss: str) -> Any:
    """Cross entropy over the actors of a batch: of each action by itself (``sigmoid``), or of one label per actor.

    With one label per actor, detected boxes without a label do not count, since no label says "does nothing".
    """

    def losses(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        device, dtype = batch["actors"].device, next(model.parameters()).dtype
        names = ("actors", "objects", "boxes", "times", "present")
        counts = batch["there"] if loss == "sigmoid" else batch["there"] & batch["wanted"].any(2)
        logits = model(Graphs(*(batch.get(name) for name in names)).to(device, dtype))[counts]  # type: ignore[arg-type]
        wanted = batch["wanted"][counts].to(logits.dtype)
        if loss == "sigmoid":
            each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(1)
        else:
            each = F.cross_entropy(logits, wanted.argmax(1), reduction="none")
        return each.sum() / max(1, len(each)), {"actors": torch.tensor(float(len(each)), device=device)}

    return losses
