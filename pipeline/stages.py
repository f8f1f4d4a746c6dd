"""The one table of stages: which settings each reads and on which modules its result depends.

The Snakefile puts both into the rules' parameters, so this table decides what reruns; the stages write both into the
provenance of what they make. A test follows the imports and fails when a module is missing here.
"""

import hashlib
from dataclasses import dataclass

from pipeline.config.base import Settings
from pipeline.config.stages import (
    AuditStage,
    ContactSheetStage,
    DetectStage,
    EvaluateStage,
    ExportStage,
    FramesStage,
    HalveStage,
    HypothesisStage,
    NoSettings,
    ObfuscateStage,
    ReportShrinkingStage,
    SelectStage,
    TeacherLogitsStage,
    TrainStage,
)
from pipeline.digest import digest_code

_DECODE = ("pipeline/media/decode.py",)
_STORE = ("pipeline/store.py",)
_INSTANCES = ("pipeline/privacy/instances.py",)
_DETECTORS = (
    *_INSTANCES,
    "pipeline/privacy/detectors.py",
    "pipeline/privacy/face_detectors.py",
    "pipeline/privacy/body_detectors.py",
)
_NETWORKS = (
    "pipeline/models/architecture.py",
    "pipeline/models/backbones.py",
    "pipeline/models/saved.py",
    "pipeline/models/slowfast.py",
    "pipeline/models/video_resnet.py",
)
_LOOP = (
    "pipeline/classify/teaching.py",
    "pipeline/training/distributed.py",
    "pipeline/training/loop.py",
    "pipeline/training/schedule.py",
)
_TRAINING = (
    "pipeline/classify/fitting.py",
    "pipeline/training/features.py",
    "pipeline/training/losses.py",
    *_LOOP,
)
_COMPLEXITY = "pipeline/models/complexity.py"
_CLIPS = ("pipeline/classify/clips.py", *_NETWORKS, *_STORE)


@dataclass(frozen=True)
class Stage:
    """``settings``: the class that the stage is given; ``code``: modules that decide its result."""

    settings: type[Settings]
    code: tuple[str, ...]


STAGES = {
    "manifest": Stage(NoSettings, ("pipeline/data/manifest.py", "pipeline/media/probe.py", *_DECODE)),
    "frames": Stage(FramesStage, ("pipeline/media/frames.py", *_DECODE, *_STORE)),
    "detect": Stage(
        DetectStage, ("pipeline/privacy/detect.py", "pipeline/privacy/gaps.py", *_DETECTORS, *_DECODE, *_STORE)
    ),
    "obfuscate": Stage(
        ObfuscateStage, ("pipeline/privacy/obfuscate.py", "pipeline/privacy/filters.py", *_INSTANCES, *_STORE)
    ),
    "audit": Stage(AuditStage, ("pipeline/privacy/audit.py", *_DETECTORS, *_STORE)),
    "certify": Stage(NoSettings, ("pipeline/privacy/certify.py",)),
    "statistics": Stage(NoSettings, ("pipeline/report/statistics.py", *_INSTANCES, *_STORE)),
    "contact-sheet": Stage(ContactSheetStage, ("pipeline/report/contact_sheet.py", *_STORE)),
    "train": Stage(
        TrainStage,
        ("pipeline/classify/train.py", *_TRAINING, *_CLIPS),
    ),
    "evaluate": Stage(EvaluateStage, ("pipeline/classify/evaluate.py", "pipeline/metrics/accuracy.py", *_CLIPS)),
    "hypothesis": Stage(HypothesisStage, ("pipeline/shrink/hypothesis.py", _COMPLEXITY, *_TRAINING, *_CLIPS)),
    "teacher-logits": Stage(TeacherLogitsStage, ("pipeline/shrink/teacher_logits.py", *_LOOP, *_CLIPS)),
    "select": Stage(SelectStage, ("pipeline/shrink/select.py", _COMPLEXITY, *_NETWORKS)),
    "export": Stage(ExportStage, ("pipeline/shrink/export.py", _COMPLEXITY, *_NETWORKS)),
    "halve": Stage(HalveStage, ("pipeline/shrink/halving.py", "pipeline/shrink/select.py", _COMPLEXITY, *_NETWORKS)),
    "report-classification": Stage(NoSettings, ("pipeline/report/classification.py", "pipeline/report/thesis.py")),
    "report-shrinking": Stage(
        ReportShrinkingStage, ("pipeline/report/shrinking.py", "pipeline/report/thesis_shrinkage.py")
    ),
    "quarantine": Stage(NoSettings, ("pipeline/data/quarantine.py", *_STORE)),
}


def code_digest(stage: str) -> str:
    """Digest of the code on which a stage's result depends."""
    return digest_code(STAGES[stage].code)


def sha256_text(text: str) -> str:
    """The sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
