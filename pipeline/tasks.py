"""The table of the workflow's tasks, a row each."""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pipeline.plan import storage, work
from pipeline.plan.work import CLASSIFYING, JOBS, MULTIPLY_ADDS, PIXELS, SPOTTING, Kind, where
from pipeline.task import Task

if TYPE_CHECKING:
    from pipeline.config.base import Settings
    from pipeline.config.whole import Config

_VIDEO, _FRAMES, _KEYFRAMES, _KEYFRAME_EPOCHS, _CLIP_EPOCHS = (
    "bytes of video",
    "frames",
    "keyframes",
    "keyframes, by epochs",
    "clips, by epochs",
)
# What the bytes that a job writes follow from, where not from those of earlier jobs.
_PICTURES, _ANNOTATION, _NETWORK = "a sample of the videos", "the annotation", "the network"
_SHARD = Kind(_VIDEO, work.video_shard, grows=True)
_KEYFRAMES_OF_SHARD = Kind(_KEYFRAMES, work.keyframes_of_shard, grows=True)
_ACTORS = Kind(_KEYFRAMES, work.keyframes_of_shard, grows=True, writes=storage.actors, told=_ANNOTATION)

_ROWS = (
    # The demo's data sets.
    Task("demo.get_footage"),
    Task("demo.make_actions"),
    Task("demo.make_interactions"),
    Task("demo.make_matches"),
    # Videos and anonymisation (Ch. 5).
    Task("data.build_manifest", weight=_SHARD),
    Task(
        "data.extract_frames",
        weight=Kind(PIXELS, work.decoded_pixels, grows=True, writes=storage.frames, told=_PICTURES),
    ),
    Task("data.collect_quarantine"),
    Task(
        "privacy.detect_people",
        weight=Kind(PIXELS, work.searched_pixels, work.searching, grows=True, writes=storage.people, told=_PICTURES),
    ),
    Task(
        "privacy.obfuscate",
        weight=Kind(PIXELS, work.stored_pixels, grows=True, writes=storage.obfuscated, told=_PICTURES),
    ),
    Task("privacy.audit", weight=Kind(PIXELS, work.stored_pixels)),
    Task("report.certify"),
    Task("report.draw_sensitive_information"),
    Task("report.draw_contact_sheet"),
    Task("report.draw_face_sample"),
    # Action recognition (Ch. 5).
    Task(
        "classify.train_classifier",
        weight=Kind(MULTIPLY_ADDS, work.classifier_training, CLASSIFYING, writes=storage.classifier, told=_NETWORK),
        launched=True,
    ),
    Task("classify.evaluate_classifier", weight=Kind(MULTIPLY_ADDS, work.evaluation, CLASSIFYING)),
    Task("report.draw_classification"),
    # Progressive architecture shrinkage (Ch. 6).
    Task(
        "shrink.try_hypothesis",
        weight=Kind(MULTIPLY_ADDS, work.hypothesis, CLASSIFYING, writes=storage.hypothesis, told=_NETWORK),
        launched=True,
    ),
    Task("shrink.halve_hypotheses"),
    Task(
        "shrink.store_teacher_logits",
        weight=Kind(MULTIPLY_ADDS, work.logits, CLASSIFYING, writes=storage.logits, told=_NETWORK),
        launched=True,
    ),
    Task("shrink.select_hypothesis", weight=Kind("jobs", JOBS.amount, writes=storage.classifier, told=_NETWORK)),
    Task(
        "shrink.export_network",
        weight=Kind("jobs", JOBS.amount, CLASSIFYING, writes=storage.exported, told=_NETWORK),
    ),
    Task("shrink.measure_resources", weight=Kind("jobs", JOBS.amount, CLASSIFYING)),
    Task("report.draw_shrinkage"),
    # Action detection (Ch. 3).
    Task(
        "detect.features.train_detector",
        weight=Kind(
            _KEYFRAME_EPOCHS,
            work.detector_training,
            where(lambda site, job: site.config.detect.detector),
            writes=storage.detector,
            told=_NETWORK,
        ),
        launched=True,
    ),
    Task(
        "detect.features.detect_objects",
        weight=Kind(
            _KEYFRAMES,
            work.keyframes_of_shard,
            where(lambda site, job: site.config.detect.objects),
            grows=True,
            writes=storage.objects,
            told=_ANNOTATION,
        ),
    ),
    Task(
        "detect.features.import_objects",
        weight=Kind(_KEYFRAMES, work.keyframes_of_shard, grows=True, writes=storage.objects, told=_ANNOTATION),
    ),
    Task(
        "detect.features.train_backbone",
        weight=Kind(
            _KEYFRAME_EPOCHS,
            work.backbone_keyframes,
            where(work.backbone_training),
            writes=storage.actor_backbone,
            told=_NETWORK,
        ),
        launched=True,
    ),
    Task(
        "detect.features.extract_actor_features",
        weight=replace(_ACTORS, gpu=where(work.features_backbone)),
    ),
    Task("detect.features.import_actor_features", weight=_KEYFRAMES_OF_SHARD),
    Task("detect.features.average_actor_features", weight=_ACTORS),
    Task(
        "detect.train_stage",
        weight=Kind(
            _KEYFRAME_EPOCHS,
            work.graph_training,
            where(lambda site, job: site.config.detect.training),
            writes=storage.stage,
            told=_NETWORK,
        ),
        launched=True,
    ),
    Task("detect.evaluate_stage", weight=Kind(_KEYFRAMES, work.tested_keyframes, work.evaluating_graphs, grows=True)),
    Task("report.draw_detection"),
    # Soccer event spotting (Ch. 4).
    Task("spot.build_game", weight=Kind(_VIDEO, work.game)),
    Task(
        "spot.extract_game_frames",
        weight=Kind(PIXELS, work.decoded_pixels, grows=True, writes=storage.frames, told=_PICTURES),
    ),
    Task(
        "spot.extract_frame_features",
        weight=Kind(
            PIXELS,
            work.stored_pixels,
            where(work.frame_features),
            grows=True,
            writes=storage.frame_features,
            told=_PICTURES,
        ),
    ),
    Task("spot.fit_pca", weight=Kind(_FRAMES, work.frames_of_games("train"))),
    Task(
        "spot.project_features",
        weight=Kind(_FRAMES, work.game_frames, grows=True, writes=storage.projected_features, told=_PICTURES),
    ),
    Task(
        "spot.train_spotter",
        weight=Kind(_CLIP_EPOCHS, work.spotter_training, SPOTTING, writes=storage.spotter, told=_NETWORK),
        launched=True,
    ),
    Task("spot.predict_spots", weight=Kind(_FRAMES, work.frames_of_games("split"), SPOTTING, grows=True)),
    Task("spot.evaluate_spots"),
    Task("spot.count_votes", weight=Kind(_FRAMES, work.frames_of_games("test"), SPOTTING)),
    Task("spot.pack_submission"),
    Task("spot.cut_highlights"),
    Task("spot.collect_game_quarantine"),
    Task("report.draw_spotting"),
    Task("report.show_highlights"),
    # The page of a run.
    Task("report.draw_architecture"),
    Task("report.report_costs"),
    Task("report.report_overview"),
)

TASKS = {row.name: row for row in _ROWS}


def task_settings(config: "Config", task: str, **names: str) -> "Settings | None":
    """The part of the configuration that a task reads, and nothing else: what decides whether it reruns.

    ``names`` are what the settings' ``from_config`` asks for, such as that of a split.
    """
    settings = TASKS[task].settings
    return None if settings is None else settings.from_config(config, **names)  # type: ignore[attr-defined]


@cache
def task_of(rule: str) -> Task | None:
    """The task that a rule runs: that of its name, or whose name it begins with (``train_classifier_alone``)."""
    owners = [task for name, task in TASKS.items() if rule == name or rule.startswith(f"{name}_")]
    return max(owners, key=lambda task: len(task.name), default=None)


def weight_of(rule: str) -> Kind | None:
    """How the jobs of a rule are weighed; None: it runs no task."""
    task = task_of(rule)
    return None if task is None else task.weight or JOBS
