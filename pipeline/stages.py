"""The one table of stages: which settings each reads and on which modules its result depends.

The Snakefile puts both into the rules' parameters, so this table decides what reruns; the stages write both into the
provenance of what they make. A test follows the imports and fails when a module is missing here.
"""

import hashlib
from dataclasses import dataclass

from pipeline.config.base import Settings
from pipeline.config.page import OverviewStage
from pipeline.config.report import (
    ReportArchitectureStage,
    ReportClassificationStage,
    ReportDetectionStage,
    ReportShrinkingStage,
)
from pipeline.config.spot_stages import (
    EvaluateSpotsStage,
    FitPcaStage,
    FrameFeaturesStage,
    HighlightsStage,
    PredictSpotsStage,
    ReportSpottingStage,
    SpotFramesStage,
    SpotGameStage,
    TrainSpottingStage,
)
from pipeline.config.stages import (
    ActorFeaturesStage,
    AuditStage,
    ContactSheetStage,
    DetectObjectsStage,
    DetectStage,
    EvaluateDetectionStage,
    EvaluateStage,
    ExportStage,
    FramesStage,
    HalveStage,
    HypothesisStage,
    ImportFeaturesStage,
    ImportObjectsStage,
    NoSettings,
    ObfuscateStage,
    SelectStage,
    TeacherLogitsStage,
    TrainBackboneStage,
    TrainDetectionStage,
    TrainDetectorStage,
    TrainStage,
)
from pipeline.digest import digest_code

_DECODE = ("pipeline/media/decode.py", "pipeline/media/timeline.py")
_SOURCE = "pipeline/media/source.py"
_PROBE = ("pipeline/media/probe.py", "pipeline/media/structure.py")
_STORE = ("pipeline/sealed.py", "pipeline/store.py")
_JPEG = "pipeline/media/jpeg.py"
_INSTANCES = ("pipeline/privacy/instances.py",)
_BOXES = "pipeline/privacy/boxes.py"
_KINDS = "pipeline/config/detectors.py"
_PICKLES = "pipeline/models/pickles.py"
_TORCH_FILES = ("pipeline/models/torch_files.py", _PICKLES)
_CHECKPOINTS = ("pipeline/models/checkpoints.py", *_TORCH_FILES)
_STATE = "pipeline/models/state.py"
_DESCRIBED = ("pipeline/models/described.py", _STATE)
_DETECTORS = (
    *_INSTANCES,
    _BOXES,
    _KINDS,
    "pipeline/privacy/detectors.py",
    "pipeline/privacy/face_detectors.py",
    "pipeline/privacy/body_detectors.py",
    "pipeline/privacy/people.py",
    "pipeline/privacy/pose.py",
    "pipeline/privacy/ssdlite.py",
    "pipeline/models/frozen_graph.py",
    "pipeline/models/litert.py",
    "pipeline/models/onnx_session.py",
    _STATE,
    *_CHECKPOINTS,
)
_NETWORKS = (
    "pipeline/models/architecture.py",
    "pipeline/models/backbones.py",
    "pipeline/models/saved.py",
    "pipeline/models/slowfast.py",
    "pipeline/models/video_resnet.py",
    *_DESCRIBED,
)
_SHARED_LOOP = (
    "pipeline/training/checkpoint.py",
    "pipeline/training/distributed.py",
    "pipeline/training/loop.py",
    "pipeline/training/schedule.py",
    "pipeline/training/steering.py",
    *_TORCH_FILES,
)
_LOOP = ("pipeline/classify/teaching.py", *_SHARED_LOOP)
_TRAINING = (
    "pipeline/classify/fitting.py",
    "pipeline/training/features.py",
    "pipeline/training/losses.py",
    *_LOOP,
)
_COMPLEXITY = "pipeline/models/complexity.py"
_DETECTOR = ("pipeline/models/object_detector.py", *_DESCRIBED, *_CHECKPOINTS)
_AVA = ("pipeline/data/ava.py", "pipeline/data/pbtxt.py", "pipeline/text.py")
_ANNOTATION = ("pipeline/data/annotation.py", *_AVA)
_PROPOSALS = ("pipeline/data/proposals.py", "pipeline/unfolded.py", *_ANNOTATION)
_KEYFRAMES = ("pipeline/features/keyframes.py", *_PROPOSALS)
_TIMED = ("pipeline/features/timed.py", *_STORE)
_OBJECTS = ("pipeline/features/objects.py", *_KEYFRAMES, *_TIMED)
_ACTOR_BACKBONES = (
    "pipeline/models/actor_backbones.py",
    "pipeline/models/architecture.py",
    "pipeline/models/caffe2.py",
    "pipeline/models/i3d.py",
    "pipeline/models/nonlocal_block.py",
    "pipeline/models/r101_i3d_nl.py",
    "pipeline/models/slowfast.py",
    "pipeline/models/slowfast_nl.py",
    *_DESCRIBED,
    *_CHECKPOINTS,
)
_STAGE = (
    *_AVA,
    "pipeline/detect/blocks.py",
    "pipeline/detect/evaluate_files.py",
    "pipeline/detect/saved.py",
    "pipeline/detect/scoring.py",
    "pipeline/features/entities.py",
    "pipeline/metrics/frame_map.py",
    "pipeline/metrics/video_map.py",
    "pipeline/models/stage.py",
    *_DESCRIBED,
    *_STORE,
)
_EVENTS = "pipeline/spot/events.py"
_GAMES = ("pipeline/spot/games.py", _EVENTS)
_SOCCERNET = ("pipeline/spot/soccernet_files.py", _EVENTS)
_FRAME_FEATURES = (
    "pipeline/features/frame_features.py",
    "pipeline/models/frame_backbones.py",
    _STATE,
    *_CHECKPOINTS,
    *_STORE,
)
_INPUTS = ("pipeline/spot/inputs.py", *_GAMES, *_FRAME_FEATURES)
_SOURCES = ("pipeline/spot/sources.py", "pipeline/spot/halves.py", *_INPUTS)
_SPOTTER = (
    "pipeline/spot/inference.py",
    "pipeline/spot/saved.py",
    "pipeline/models/rms_net.py",
    *_DESCRIBED,
    *_SOURCES,
)
_PREDICT = ("pipeline/spot/predict.py", "pipeline/spot/soccernet_files.py", *_SPOTTER)
_EVALUATE_SPOTS = (
    "pipeline/spot/evaluation.py",
    "pipeline/spot/official.py",
    "pipeline/spot/game_files.py",
    "pipeline/metrics/average_map.py",
    "pipeline/data/soccernet.py",
)
_STYLE = "pipeline/report/style.py"
_TABLES = ("pipeline/report/catalogue.py", "pipeline/report/tables.py", "pipeline/report/thesis.yaml")
_DIFFERS = ("pipeline/report/differs.py", "pipeline/models/architecture.py", *_TABLES)
_CHAPTER = (_STYLE, *_DIFFERS)
_DETECTION_CHAPTER = (
    "pipeline/report/detection.py",
    "pipeline/report/thesis_detection.py",
    "pipeline/features/entities.py",
    "pipeline/models/stage.py",
    *_CHAPTER,
    *_STORE,
)
_CLIPS = ("pipeline/classify/clips.py", "pipeline/data/classes.py", "pipeline/text.py", *_NETWORKS, *_STORE)


@dataclass(frozen=True)
class Stage:
    """``settings``: the class that the stage is given; ``code``: modules that decide its result, each once."""

    settings: type[Settings]
    code: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", tuple(dict.fromkeys(self.code)))  # the groups of modules overlap


STAGES = {
    "manifest": Stage(NoSettings, ("pipeline/data/manifest.py", *_PROBE, *_DECODE)),
    "frames": Stage(FramesStage, ("pipeline/media/frames.py", _SOURCE, *_DECODE, *_STORE)),
    "detect-people": Stage(
        DetectStage,
        (
            "pipeline/privacy/detect.py",
            _SOURCE,
            "pipeline/privacy/gaps.py",
            "pipeline/privacy/motion.py",
            "pipeline/privacy/search.py",
            *_DETECTORS,
            *_DECODE,
            *_STORE,
        ),
    ),
    "obfuscate": Stage(
        ObfuscateStage,
        ("pipeline/privacy/obfuscate.py", "pipeline/privacy/filters.py", _JPEG, _BOXES, *_INSTANCES, *_STORE),
    ),
    "audit": Stage(AuditStage, ("pipeline/privacy/audit.py", _JPEG, *_DETECTORS, *_STORE)),
    "certify": Stage(
        NoSettings,
        (
            "pipeline/privacy/certify.py",
            "pipeline/privacy/certificate_page.py",
            "pipeline/privacy/unusual.py",
            _KINDS,
            "pipeline/report/tables.py",
        ),
    ),
    "statistics": Stage(NoSettings, ("pipeline/report/statistics.py", _STYLE, *_TABLES, *_INSTANCES, *_STORE)),
    "contact-sheet": Stage(ContactSheetStage, ("pipeline/report/contact_sheet.py", _STYLE, *_STORE)),
    "sample-faces": Stage(ContactSheetStage, ("pipeline/report/sample_faces.py", _STYLE, *_INSTANCES, *_STORE)),
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
    "report-classification": Stage(
        ReportClassificationStage,
        (
            "pipeline/report/classification_figures.py",
            "pipeline/report/classification.py",
            "pipeline/report/thesis.py",
            *_CHAPTER,
        ),
    ),
    "report-shrinking": Stage(
        ReportShrinkingStage,
        (
            "pipeline/report/shrinking_figures.py",
            "pipeline/report/shrinking.py",
            "pipeline/report/thesis_shrinkage.py",
            *_CHAPTER,
        ),
    ),
    "report-architecture": Stage(
        ReportArchitectureStage,
        (
            "pipeline/report/architectures.py",
            "pipeline/report/differs.py",
            *_TABLES,
            "pipeline/models/frame_backbones.py",
            "pipeline/models/rms_net.py",
            "pipeline/models/stage.py",
            *_CHECKPOINTS,
            *_NETWORKS,
        ),
    ),
    "train-detector": Stage(
        TrainDetectorStage,
        (
            "pipeline/features/train_detector.py",
            "pipeline/data/named_boxes.py",
            "pipeline/text.py",
            *_DETECTOR,
            *_SHARED_LOOP,
            *_TIMED,
        ),
    ),
    "detect-objects": Stage(
        DetectObjectsStage,
        ("pipeline/features/detect_objects.py", *_DETECTOR, *_OBJECTS),
    ),
    "train-backbone": Stage(
        TrainBackboneStage,
        (
            "pipeline/features/train_backbone.py",
            "pipeline/features/clips.py",
            *_ANNOTATION,
            *_ACTOR_BACKBONES,
            *_SHARED_LOOP,
            *_TIMED,
        ),
    ),
    "actor-features": Stage(
        ActorFeaturesStage,
        (
            "pipeline/features/actors.py",
            "pipeline/features/clips.py",
            "pipeline/features/entities.py",
            *_DETECTOR,
            *_OBJECTS,
            *_ACTOR_BACKBONES,
        ),
    ),
    "import-objects": Stage(
        ImportObjectsStage,
        (
            "pipeline/features/import_objects.py",
            "pipeline/features/entities.py",
            "pipeline/features/foreign.py",
            "pipeline/features/published.py",
            _PICKLES,
            *_OBJECTS,
        ),
    ),
    "import-features": Stage(
        ImportFeaturesStage,
        (
            "pipeline/features/importing.py",
            "pipeline/features/entities.py",
            "pipeline/features/foreign.py",
            "pipeline/features/published.py",
            _PICKLES,
            *_PROPOSALS,
            *_STORE,
        ),
    ),
    "average-features": Stage(NoSettings, ("pipeline/features/average.py", "pipeline/features/entities.py", *_STORE)),
    "train-detection": Stage(TrainDetectionStage, ("pipeline/detect/train.py", *_STAGE, *_SHARED_LOOP)),
    "evaluate-detection": Stage(EvaluateDetectionStage, ("pipeline/detect/evaluate.py", *_STAGE)),
    "report-detection": Stage(
        ReportDetectionStage,
        ("pipeline/report/detection_figures.py", *_AVA, _BOXES, *_DETECTION_CHAPTER),
    ),
    "report-costs": Stage(
        NoSettings,
        (
            "pipeline/report/costs.py",
            "pipeline/costs.py",
            "pipeline/plan/outlook.py",
            _STYLE,
            "pipeline/report/tables.py",
        ),
    ),
    "report-overview": Stage(OverviewStage, ("pipeline/report/overview.py", *_TABLES)),
    "report-highlights": Stage(
        NoSettings, ("pipeline/report/highlights_page.py", "pipeline/report/tables.py", *_DECODE)
    ),
    "quarantine": Stage(NoSettings, ("pipeline/data/quarantine.py", *_STORE)),
    "spot-game": Stage(
        SpotGameStage,
        (
            "pipeline/spot/build_game.py",
            "pipeline/spot/frames.py",
            "pipeline/spot/games.py",
            "pipeline/data/soccernet.py",
            *_PROBE,
            *_SOCCERNET,
            *_DECODE,
            *_STORE,
        ),
    ),
    "spot-frames": Stage(SpotFramesStage, ("pipeline/spot/frames.py", *_GAMES, *_DECODE, *_STORE)),
    "frame-features": Stage(FrameFeaturesStage, _FRAME_FEATURES),
    "fit-pca": Stage(FitPcaStage, ("pipeline/features/pca.py", *_DESCRIBED, *_FRAME_FEATURES)),
    "project-features": Stage(NoSettings, ("pipeline/features/pca.py", *_DESCRIBED, *_FRAME_FEATURES)),
    "train-spotting": Stage(
        TrainSpottingStage,
        (
            "pipeline/spot/train.py",
            "pipeline/spot/clips.py",
            "pipeline/spot/losses.py",
            *_EVALUATE_SPOTS,
            *_PREDICT,
            *_SHARED_LOOP,
        ),
    ),
    "predict-spots": Stage(PredictSpotsStage, _PREDICT),
    "evaluate-spots": Stage(
        EvaluateSpotsStage,
        ("pipeline/spot/evaluate_spots.py", "pipeline/spot/games.py", *_EVALUATE_SPOTS, *_SOCCERNET, *_STORE),
    ),
    "spot-votes": Stage(PredictSpotsStage, ("pipeline/spot/votes.py", *_SPOTTER)),
    "submit-spots": Stage(
        NoSettings,
        (
            "pipeline/spot/submission.py",
            "pipeline/spot/official.py",
            "pipeline/spot/game_files.py",
            "pipeline/metrics/average_map.py",
            *_SOCCERNET,
        ),
    ),
    "cut-highlights": Stage(
        HighlightsStage,
        (
            "pipeline/spot/game_highlights.py",
            "pipeline/spot/games.py",
            "pipeline/spot/highlights.py",
            "pipeline/spot/highlights_video.py",
            "pipeline/media/canvas.py",
            "pipeline/media/cut.py",
            "pipeline/media/encode.py",
            "pipeline/media/picture.py",
            "pipeline/media/sound_headers.py",
            "pipeline/media/subtitles.py",
            "pipeline/media/tracks.py",
            *_PROBE,
            *_SOCCERNET,
            *_DECODE,
            *_STORE,
        ),
    ),
    "report-spotting": Stage(
        ReportSpottingStage,
        (
            "pipeline/report/spotting_figures.py",
            "pipeline/report/spotting.py",
            "pipeline/report/thesis_spotting.py",
            _EVENTS,
            *_DETECTION_CHAPTER,
        ),
    ),
    "spot-quarantine": Stage(NoSettings, ("pipeline/spot/left_out.py", *_INPUTS)),
}


def code_digest(stage: str) -> str:
    """Digest of the code on which a stage's result depends."""
    return digest_code(STAGES[stage].code)


def sha256_text(text: str) -> str:
    """The sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
