"""The table of the workflow's tasks, a row each."""

from functools import cache
from typing import TYPE_CHECKING

from pipeline.plan import work
from pipeline.plan.work import CLASSIFYING, JOBS, MULTIPLY_ADDS, SPOTTING, Kind, where
from pipeline.task import Task

if TYPE_CHECKING:
    from pipeline.config.base import Settings
    from pipeline.config.whole import Config

_VIDEO, _KEYFRAMES, _KEYFRAME_EPOCHS, _CLIP_EPOCHS = (
    "bytes of video",
    "keyframes",
    "keyframes, by epochs",
    "clips, by epochs",
)
_SHARD = Kind(_VIDEO, work.video_shard, grows=True)
_GAME = Kind(_VIDEO, work.game, grows=True)
_KEYFRAMES_OF_SHARD = Kind(_KEYFRAMES, work.keyframes_of_shard, grows=True)

_ROWS = (
    # The demo's data sets.
    Task("demo.get_footage"),
    Task("demo.make_actions"),
    Task("demo.make_interactions"),
    Task("demo.make_matches"),
    # Videos and anonymisation (Ch. 5).
    Task("data.build_manifest", weight=_SHARD),
    Task("data.extract_frames", weight=_SHARD),
    Task("data.collect_quarantine"),
    Task("privacy.detect_people", weight=Kind(_VIDEO, work.video_shard, work.searching, grows=True)),
    Task("privacy.obfuscate", weight=_SHARD),
    Task("privacy.audit", weight=_SHARD),
    Task("report.certify"),
    Task("report.draw_sensitive_information"),
    Task("report.draw_contact_sheet"),
    Task("report.draw_face_sample"),
    # Action recognition (Ch. 5).
    Task(
        "classify.train_classifier",
        weight=Kind(MULTIPLY_ADDS, work.classifier_training, CLASSIFYING, writes=work.parameters),
        launched=True,
    ),
    Task("classify.evaluate_classifier", weight=Kind(MULTIPLY_ADDS, work.evaluation, CLASSIFYING)),
    Task("report.draw_classification"),
    # Progressive architecture shrinkage (Ch. 6).
    Task(
        "shrink.try_hypothesis",
        weight=Kind(MULTIPLY_ADDS, work.hypothesis, CLASSIFYING, writes=work.parameters),
        launched=True,
    ),
    Task("shrink.halve_hypotheses"),
    Task("shrink.store_teacher_logits", weight=Kind(MULTIPLY_ADDS, work.logits, CLASSIFYING)),
    Task("shrink.select_hypothesis"),
    Task("shrink.export_network", weight=Kind("jobs", JOBS.amount, CLASSIFYING)),
    Task("shrink.measure_resources", weight=Kind("jobs", JOBS.amount, CLASSIFYING)),
    Task("report.draw_shrinkage"),
    # Action detection (Ch. 3).
    Task(
        "detect.features.train_detector",
        weight=Kind(_KEYFRAME_EPOCHS, work.detector_training, where(lambda site, job: site.config.detect.detector)),
        launched=True,
    ),
    Task(
        "detect.features.detect_objects",
        weight=Kind(
            _KEYFRAMES, work.keyframes_of_shard, where(lambda site, job: site.config.detect.objects), grows=True
        ),
    ),
    Task("detect.features.import_objects", weight=_KEYFRAMES_OF_SHARD),
    Task(
        "detect.features.train_backbone",
        weight=Kind(_KEYFRAME_EPOCHS, work.backbone_keyframes, where(work.backbone_training)),
        launched=True,
    ),
    Task(
        "detect.features.extract_actor_features",
        weight=Kind(_KEYFRAMES, work.keyframes_of_shard, where(work.features_backbone), grows=True),
    ),
    Task("detect.features.import_actor_features", weight=_KEYFRAMES_OF_SHARD),
    Task("detect.features.average_actor_features", weight=_KEYFRAMES_OF_SHARD),
    Task(
        "detect.train_stage",
        weight=Kind(_KEYFRAME_EPOCHS, work.graph_training, where(lambda site, job: site.config.detect.training)),
        launched=True,
    ),
    Task("detect.evaluate_stage", weight=Kind(_KEYFRAMES, work.tested_keyframes, work.evaluating_graphs, grows=True)),
    Task("report.draw_detection"),
    # Soccer event spotting (Ch. 4).
    Task("spot.build_game", weight=Kind(_VIDEO, work.game)),
    Task("spot.extract_game_frames", weight=_GAME),
    Task(
        "spot.extract_frame_features",
        weight=Kind(_VIDEO, work.game, where(work.frame_features), grows=True),
    ),
    Task("spot.fit_pca", weight=Kind(_VIDEO, work.games("train"))),
    Task("spot.project_features", weight=_GAME),
    Task("spot.train_spotter", weight=Kind(_CLIP_EPOCHS, work.spotter_training, SPOTTING), launched=True),
    Task("spot.predict_spots", weight=Kind(_VIDEO, work.games("split"), SPOTTING, grows=True)),
    Task("spot.evaluate_spots"),
    Task("spot.count_votes", weight=Kind(_VIDEO, work.games("test"), SPOTTING)),
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
