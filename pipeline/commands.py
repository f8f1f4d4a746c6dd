"""The table of commands: what each is for, which module builds its parser, and how it is called.

Light to import, as ``acta --help`` needs nothing else: a command's module is imported when the command is named.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """One command of ``acta``.

    Args:
        name: What is typed.
        about: One line.
        parser: ``module:function`` below `pipeline`; the function adds the parser to argparse's subparsers.
        examples: Command lines that work as they stand, given such files.
    """

    name: str
    about: str
    parser: str
    examples: tuple[str, ...]


_VIDEO = "video_stages:add_video_stages"
_CLASSIFICATION = "classification_stages:add_classification_stages"
_SHRINK = "shrink_command:add_shrink"
_DETECTION = "detection_stages:add_detection_stages"
_SPOTTING = "spotting_stages:add_spotting_stages"
_SHARDS = "--lists results/demo/lists results/demo/frames/none/{shard}.h5"
_DETECT_LISTS = "--lists results/demo/detect/lists"
_LABEL_MAP = "--label-map resources/demo_detection/label_map.pbtxt"
_BOXES = "--boxes train=resources/demo_detection/train.csv"
_GAMES = "--lists results/demo/spot/lists/train --games results/demo/spot/games/{shard}.json"
_SPOT_FEATURES = "--shards results/demo/spot/features/mobilenet/projected/{shard}.h5"
_SPOTTER = "results/demo/spot/networks/rms_net/seed_1/model.safetensors"
_STAGE_MODEL = "results/demo/detect/networks/i3d/stage/seed_1/model.safetensors"
_R2PLUS1D = "results/demo/models/split1/r2plus1d/none/cross_entropy/model.safetensors"

GROUPS: dict[str, tuple[Command, ...]] = {
    "Use on your own files": (
        Command(
            "anonymize",
            "hide faces or bodies in videos and photographs",
            "anonymize_command:add_anonymize",
            (
                "acta anonymize in.mp4 out.mp4",
                "acta anonymize recordings/ anonymised/ --what bodies --jobs 4 --skip-existing",
            ),
        ),
        Command(
            "classify",
            "name the action in video files",
            "classify_command:add_classify",
            (f"acta classify clip.mp4 --model {_R2PLUS1D}",),
        ),
        Command(
            "detect",
            "who does what in a video: boxes, actions and scores",
            "detect_command:add_detect",
            (f"acta detect clip.mp4 -o clip.csv --video clip_actions.mp4 --model {_STAGE_MODEL}",),
        ),
        Command(
            "spot",
            "what happens when in a soccer match",
            "spot_command:add_spot",
            (f"acta spot 1_HQ.mkv 2_HQ.mkv --ini video.ini -o events.json --model {_SPOTTER}",),
        ),
        Command(
            "highlights",
            "a video of a soccer game's events",
            "highlights_command:add_highlights",
            ("acta highlights 1_HQ.mkv 2_HQ.mkv --ini video.ini --events events.json --length 120 -o highlights.mp4",),
        ),
    ),
    "Measure": (
        Command(
            "evaluate-detections",
            "frame-mAP of a file of action detections",
            "detect_command:add_detect",
            (
                "acta evaluate-detections --labelmap labels.pbtxt --groundtruth ava_val_v2.2.csv "
                "--detections found.csv --exclusions ava_val_excluded_timestamps_v2.2.csv",
            ),
        ),
        Command(
            "evaluate-spotting",
            "Average-mAP of SoccerNet's prediction files",
            "evaluate_spotting_command:add_evaluate_spotting",
            (
                "acta evaluate-spotting --labels /datasets/soccernet --predictions spots.zip --version 2 "
                "--metric tight --games SoccerNetGamesTest.json",
            ),
        ),
        Command(
            "validate-submission",
            "check an archive for SoccerNet's evaluation server",
            "evaluate_spotting_command:add_evaluate_spotting",
            ("acta validate-submission submission.zip --games SoccerNetGamesChallenge.json",),
        ),
        Command(
            "complexity",
            "multiply-adds, parameters and memory of a network",
            "classify_command:add_classify",
            (
                "acta complexity --backbone r2plus1d_18 --reduce c,f,t",
                "acta complexity --model stage --features i3d",
            ),
        ),
    ),
    "Prepare": (
        Command(
            "weights",
            "fetch or list pretrained models",
            "weights_command:add_weights",
            ("acta weights fetch", "acta weights fetch retinaface resnet18", "acta weights list"),
        ),
        Command(
            "config",
            "check a configuration, explain its keys, print its schema",
            "config_command:add_config",
            ("acta config check my.yaml", "acta config reference", "acta config schema"),
        ),
        Command(
            "model",
            "make model files of published checkpoints",
            "classify_command:add_classify",
            (
                "acta model convert r2plus1d_18-91a641e6.pth --backbone r2plus1d_18 --classes kinetics400.txt "
                "-o r2plus1d.safetensors",
            ),
        ),
        Command(
            "convert-annotations",
            "annotations of J-HMDB-21 or UCF101-24 as files like AVA's",
            "detect_command:add_detect",
            ("acta convert-annotations jhmdb21 /datasets/jhmdb -o /datasets/jhmdb/ava",),
        ),
        Command(
            "completion",
            "print a script that completes commands in a shell",
            "completion_command:add_completion",
            ("acta completion bash",),
        ),
    ),
    "Run": (
        Command(
            "plan",
            "what a run will cost, before it is submitted",
            "plan_command:add_plan",
            ("acta plan --configfile config/kinetics400.yaml",),
        ),
        Command(
            "clean",
            "remove what no plan needs: shards of deleted videos, leftovers",
            "clean_command:add_clean",
            ("acta clean --dry-run --configfile my.yaml", "acta clean --configfile my.yaml"),
        ),
        Command(
            "submit",
            "run one command as a Slurm job",
            "submit_command:add_submit",
            (
                "acta submit --gpus 1 --minutes 1440 -- train --lists results/demo/lists "
                "results/demo/frames/none/{shard}.h5 --settings @train.json -o model.safetensors",
            ),
        ),
    ),
    "Stages of the workflow, each works alone: videos and anonymisation (Ch. 5)": (
        Command(
            "get-footage",
            "put the demo clips into a folder",
            _VIDEO,
            ("acta get-footage resources/demo",),
        ),
        Command(
            "make-actions",
            "make the demo's action videos from its footage",
            _VIDEO,
            ("acta make-actions resources/demo --workers 2",),
        ),
        Command(
            "manifest",
            "probe the videos of one list",
            _VIDEO,
            ("acta manifest results/demo/lists/0-of-2.json --root resources/demo -o manifest.json",),
        ),
        Command(
            "frames",
            "store a shard's frames as JPEG in HDF5",
            _VIDEO,
            (
                "acta frames results/demo/manifest/0-of-2.json --root resources/demo --settings "
                '\'{"sampling":{"rate":5},"frames":{"size":128,"jpeg_quality":90}}\' -o shard.h5',
            ),
        ),
        Command(
            "quarantine",
            "every video that was left out, and why",
            _VIDEO,
            (
                "acta quarantine --lists results/demo/lists --manifests results/demo/manifest/{shard}.json "
                "--frames results/demo/frames/none/{shard}.h5 -o quarantine.tsv",
            ),
        ),
        Command(
            "detect-people",
            "find faces or bodies in a shard's videos",
            _VIDEO,
            (
                "acta detect-people results/demo/manifest/0-of-2.json --root resources/demo "
                "--settings @detect_people.json --workers 2 -o detections.h5",
            ),
        ),
        Command(
            "obfuscate",
            "hide what was detected in a frame shard",
            _VIDEO,
            (
                "acta obfuscate results/demo/frames/none/0-of-2.h5 "
                "--detections results/demo/detections/faces/0-of-2.h5 --settings @obfuscate.json -o shard.h5",
            ),
        ),
        Command(
            "audit",
            "count what independent detectors still find",
            _VIDEO,
            (
                "acta audit results/demo/frames/none/0-of-2.h5 results/demo/frames/faces/0-of-2.h5 "
                "--detections results/demo/detections/faces/0-of-2.h5 --settings @audit.json -o audit.json",
            ),
        ),
        Command(
            "certify",
            "one certificate and table for a dataset's audits",
            _VIDEO,
            (
                "acta certify --lists results/demo/lists results/demo/audit/faces/shards/{shard}.json "
                "--certificate certificate.json --table audit.csv",
            ),
        ),
        Command(
            "statistics",
            "sensitive information per class (Figure 5.3)",
            _VIDEO,
            (
                "acta statistics --lists results/demo/lists --faces results/demo/detections/faces/{shard}.h5 "
                "--table sensitive_information.csv --figure figure_5_3.png",
            ),
        ),
        Command(
            "contact-sheet",
            "original and anonymised frames side by side",
            _VIDEO,
            (
                "acta contact-sheet --lists results/demo/lists --none results/demo/frames/none/{shard}.h5 "
                "--faces results/demo/frames/faces/{shard}.h5 --settings @contact_sheet.json -o sheet.png",
            ),
        ),
        Command(
            "sample-faces",
            "frames of a video with its face boxes (Figure 5.4)",
            "sample_faces_command:add_sample_faces",
            (
                "acta sample-faces --lists results/demo/lists --frames results/demo/frames/none/{shard}.h5 "
                "--detections results/demo/detections/faces/{shard}.h5 --settings @sample_faces.json -o faces.png",
            ),
        ),
    ),
    "… classification (Ch. 5)": (
        Command(
            "train",
            "train a network on a dataset's frame shards",
            _CLASSIFICATION,
            (f"acta train {_SHARDS} --settings @train.json --workers 2 -o model.safetensors",),
        ),
        Command(
            "evaluate",
            "the accuracy of a network on test videos",
            _CLASSIFICATION,
            (
                f"acta evaluate --lists results/demo/lists {_R2PLUS1D} results/demo/frames/none/{{shard}}.h5 "
                "--settings @evaluate.json --predictions predictions.tsv -o evaluation.json",
            ),
        ),
        Command(
            "report-classification",
            "a table or figure of Ch. 5 from evaluations",
            "report_classification_command:add_report_classification",
            (
                "acta report-classification table_5_1 --evaluations results/demo/evaluations "
                "--settings @report.json -o table_5_1.csv",
            ),
        ),
    ),
    "… smaller networks (Ch. 6)": (
        Command(
            "hypothesis",
            "reduce a network by operators and train what is left",
            _SHRINK,
            (
                "acta hypothesis results/demo/shrink/r2plus1d_deep/pas/iteration_1/selected.safetensors "
                "results/demo/frames/none/{shard}.h5 --lists results/demo/lists "
                f"--base {_R2PLUS1D} --settings @hypothesis.json -o model.safetensors",
            ),
        ),
        Command(
            "teacher-logits",
            "store what a teacher says of every clip of a training",
            _SHRINK,
            (
                f"acta teacher-logits {_R2PLUS1D} results/demo/frames/none/{{shard}}.h5 --lists results/demo/lists "
                "--settings @teacher_logits.json -o logits.h5",
            ),
        ),
        Command(
            "select",
            "choose among the hypotheses of an iteration",
            _SHRINK,
            (
                f"acta select s t f c l --base {_R2PLUS1D} --base-evaluation evaluation.json "
                "--settings @select.json -o selected.safetensors",
            ),
        ),
        Command(
            "halve",
            "choose the hypotheses that go on after their first epochs",
            _SHRINK,
            ("acta halve s/started t/started f/started --settings @halve.json -o survivors.json",),
        ),
        Command(
            "export",
            "write a network as files that run without this project",
            _SHRINK,
            (f"acta export selected.safetensors --base {_R2PLUS1D} --settings @export.json -o exported",),
        ),
        Command(
            "report-shrinking",
            "a table or figure of Ch. 6",
            _SHRINK,
            ("acta report-shrinking table_6_1 --results results/demo --settings @report.json -o table_6_1.csv",),
        ),
    ),
    "… action detection (Ch. 3)": (
        Command(
            "make-interactions",
            "make the demo's AVA-style videos from its footage",
            _DETECTION,
            ("acta make-interactions resources/demo resources/demo_detection --workers 2",),
        ),
        Command(
            "train-detector",
            "train a detector of people and objects on one's own boxes",
            _DETECTION,
            (
                f"acta train-detector {_DETECT_LISTS} results/demo/detect/frames/none/{{shard}}.h5 "
                "--boxes resources/demo_detection/objects.csv --settings @train_detector.json -o detector.safetensors",
            ),
        ),
        Command(
            "detect-objects",
            "people and objects on a shard's keyframes",
            _DETECTION,
            (
                f"acta detect-objects results/demo/detect/frames/none/0-of-2.h5 {_LABEL_MAP} "
                f"{_BOXES} --settings @detect_objects.json -o objects.h5",
            ),
        ),
        Command(
            "import-objects",
            "another detector's objects on a shard's keyframes",
            _DETECTION,
            (
                f"acta import-objects results/demo/detect/frames/none/0-of-2.h5 --published train=objects.h5 "
                f"{_LABEL_MAP} {_BOXES} --settings @import_objects.json -o shard.h5",
            ),
        ),
        Command(
            "train-backbone",
            "fine-tune an actor backbone on annotated boxes",
            _DETECTION,
            (
                f"acta train-backbone {_DETECT_LISTS} results/demo/detect/frames/none/{{shard}}.h5 {_LABEL_MAP} "
                f"{_BOXES} --settings @train_backbone.json -o backbone.safetensors",
            ),
        ),
        Command(
            "actor-features",
            "features of people, with those of objects, of a shard",
            _DETECTION,
            (
                "acta actor-features results/demo/detect/frames/none/0-of-2.h5 --model backbone.safetensors "
                f"--objects objects.h5 {_LABEL_MAP} {_BOXES} --settings @actor_features.json "
                "-o features.h5",
            ),
        ),
        Command(
            "import-features",
            "published features as a feature shard",
            _DETECTION,
            (
                f"acta import-features results/ava/detect/lists/0-of-8.json --actors train=i3d/train val=i3d/val "
                f"{_LABEL_MAP} {_BOXES} --settings @import_features.json -o features.h5",
            ),
        ),
        Command(
            "average-features",
            "the mean of two backbones' features",
            _DETECTION,
            ("acta average-features i3d/0-of-2.h5 slowfast/0-of-2.h5 -o average/0-of-2.h5",),
        ),
        Command(
            "train-detection",
            "train STAGE on feature shards",
            _DETECTION,
            (
                f"acta train-detection {_DETECT_LISTS} results/demo/detect/features/i3d/{{shard}}.h5 {_LABEL_MAP} "
                "--groundtruth resources/demo_detection/val.csv --settings @train_detection.json -o model.safetensors",
            ),
        ),
        Command(
            "evaluate-detection",
            "frame-mAP of STAGE on a split",
            _DETECTION,
            (
                f"acta evaluate-detection {_DETECT_LISTS} results/demo/detect/features/i3d/{{shard}}.h5 "
                f"--model {_STAGE_MODEL} {_LABEL_MAP} --groundtruth resources/demo_detection/test.csv "
                "--settings @evaluate_detection.json --detections detections.csv -o evaluation.json",
            ),
        ),
        Command(
            "report-detection",
            "a table or figure of Ch. 3",
            "report_detection_command:add_report_detection",
            (
                f"acta report-detection table_3_2 --results results/demo/detect {_LABEL_MAP} "
                "--settings @report.json -o table_3_2.csv",
            ),
        ),
    ),
    "… event spotting (Ch. 4)": (
        Command(
            "make-matches",
            "make the demo's matches, laid out as SoccerNet's",
            _SPOTTING,
            ("acta make-matches resources/demo_matches --workers 2",),
        ),
        Command(
            "spot-game",
            "look at a game: videos, labels, features",
            _SPOTTING,
            (
                "acta spot-game results/demo/spot/lists/train/game.json --root resources/demo_matches "
                "--settings @spot_game.json -o game.json",
            ),
        ),
        Command(
            "spot-frames",
            "store a game's frames as JPEG in HDF5",
            _SPOTTING,
            (
                "acta spot-frames results/demo/spot/games/game.json --root resources/demo_matches "
                "--settings @spot_frames.json -o frames.h5",
            ),
        ),
        Command(
            "frame-features",
            "a backbone's features of a game's frames",
            _SPOTTING,
            ("acta frame-features frames.h5 --settings @frame_features.json -o features.h5",),
        ),
        Command(
            "fit-pca",
            "fit a projection of features to fewer numbers",
            _SPOTTING,
            (
                "acta fit-pca --lists results/demo/spot/lists/train "
                "--shards results/demo/spot/features/mobilenet/full/{shard}.h5 --settings @fit_pca.json "
                "-o pca.safetensors",
            ),
        ),
        Command(
            "project-features",
            "project a game's features",
            _SPOTTING,
            ("acta project-features features.h5 --projection pca.safetensors -o projected.h5",),
        ),
        Command(
            "train-spotting",
            "train RMS-Net on games",
            _SPOTTING,
            (f"acta train-spotting {_GAMES} {_SPOT_FEATURES} --settings @train_spotting.json -o model.safetensors",),
        ),
        Command(
            "predict-spots",
            "a network's spots in the games of a split",
            _SPOTTING,
            (
                f"acta predict-spots {_GAMES} {_SPOT_FEATURES} --model {_SPOTTER} --about games.json "
                "--settings @predict_spots.json -o predictions",
            ),
        ),
        Command(
            "evaluate-spots",
            "Average-mAP of the predictions for a split",
            _SPOTTING,
            (
                f"acta evaluate-spots {_GAMES} --predictions predictions --about games.json "
                "--settings @evaluate_spots.json -o evaluation.json",
            ),
        ),
        Command(
            "spot-votes",
            "how often each frame around an event is predicted",
            _SPOTTING,
            (f"acta spot-votes {_GAMES} {_SPOT_FEATURES} --model {_SPOTTER} --settings @votes.json -o votes.json",),
        ),
        Command(
            "submit-spots",
            "an archive for SoccerNet's evaluation server",
            _SPOTTING,
            ("acta submit-spots predictions --split SoccerNetGamesChallenge.json --version 2 -o submission.zip",),
        ),
        Command(
            "cut-highlights",
            "a video of a game's events",
            _SPOTTING,
            (
                "acta cut-highlights results/demo/spot/games/game.json --root resources/demo_matches "
                "--predictions predictions --settings @highlights.json -o highlights.mp4",
            ),
        ),
        Command(
            "spot-quarantine",
            "every game that was left out, and why",
            _SPOTTING,
            (f"acta spot-quarantine {_GAMES} {_SPOT_FEATURES} -o quarantine.tsv",),
        ),
        Command(
            "report-spotting",
            "a table or figure of Ch. 4",
            "report_spotting_command:add_report_spotting",
            ("acta report-spotting table_4_2 --results results/demo/spot --settings @report.json -o table_4_2.csv",),
        ),
    ),
    "… the report": (
        Command(
            "report-architecture",
            "the layers of the networks (Tables 3.1, 4.1 and 6.10)",
            "report_architecture_command:add_report_architecture",
            ("acta report-architecture table_6_10 --results results/demo --settings @report.json -o table_6_10.csv",),
        ),
        Command(
            "report-overview",
            "what a run has measured, on one page",
            "report_page_command:add_report_page",
            (
                "acta report-overview --results results/demo --costs results/demo/report/costs.csv "
                "--settings @overview.json -o overview.html",
            ),
        ),
        Command(
            "report-highlights",
            "the highlights of the games, on one page",
            "report_page_command:add_report_page",
            ("acta report-highlights results/demo/spot/highlights/game.mp4 -o highlights.html",),
        ),
        Command(
            "report-costs",
            "what a run has cost, beside what was expected",
            "report_costs_command:add_costs",
            (
                "acta report-costs --logs logs/demo --plan logs/demo/plan.json -o results/demo/report/costs.csv "
                "--figure results/demo/report/costs.png",
            ),
        ),
    ),
}

COMMANDS = {command.name: command for group in GROUPS.values() for command in group}
OWN_FILES = frozenset(command.name for command in GROUPS["Use on your own files"])
