"""The table of commands: what each is for, which module builds its parser, and how it is called.

Light to import, as ``acta --help`` needs nothing else: a command's module is imported when the command is named.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """One command of ``acta``; its examples work as they stand, given such files."""

    name: str
    about: str
    examples: tuple[str, ...]

    @property
    def module(self) -> str:
        """Its ``add_options`` fills in the command's parser."""
        return f"pipeline.commands.{self.name.replace('-', '_')}"


_SPOTTER = "results/demo/spot/networks/rms_net/seed_1/model.safetensors"
_STAGE_MODEL = "results/demo/detect/networks/i3d/stage/seed_1/model.safetensors"
_R2PLUS1D = "results/demo/models/split1/r2plus1d/none/cross_entropy/model.safetensors"

# By heading of the help and by name: what a command is for, and its examples.
_ROWS: dict[str, dict[str, tuple[str, ...]]] = {
    "Use on your own files": {
        "anonymize": (
            "hide faces or bodies in videos and photographs",
            "acta anonymize in.mp4 out.mp4",
            "acta anonymize recordings/ anonymised/ --what bodies --jobs 4 --skip-existing",
        ),
        "classify": (
            "name the action in video files",
            f"acta classify clip.mp4 --model {_R2PLUS1D}",
        ),
        "detect": (
            "who does what in a video: boxes, actions and scores",
            f"acta detect clip.mp4 -o clip.csv --video clip_actions.mp4 --model {_STAGE_MODEL}",
        ),
        "spot": (
            "what happens when in a soccer match",
            f"acta spot 1_HQ.mkv 2_HQ.mkv --ini video.ini -o events.json --model {_SPOTTER}",
        ),
        "highlights": (
            "a video of a soccer game's events",
            "acta highlights 1_HQ.mkv 2_HQ.mkv --ini video.ini --events events.json --length 120 -o highlights.mp4",
        ),
    },
    "Measure": {
        "evaluate": (
            "files of action detections or of spots, by the official protocols",
            "acta evaluate detections --labelmap labels.pbtxt --groundtruth ava_val_v2.2.csv "
            "--detections found.csv --exclusions ava_val_excluded_timestamps_v2.2.csv",
            "acta evaluate spots --labels /datasets/soccernet --predictions spots.zip --version 2 "
            "--metric tight --games SoccerNetGamesTest.json",
        ),
        "validate-submission": (
            "check an archive for SoccerNet's evaluation server",
            "acta validate-submission submission.zip --games SoccerNetGamesChallenge.json",
        ),
        "complexity": (
            "multiply-adds, parameters and memory of a network",
            "acta complexity --backbone r2plus1d_18 --reduce c,f,t",
            "acta complexity --model stage --features i3d",
        ),
    },
    "Prepare": {
        "weights": (
            "fetch or list pretrained models",
            "acta weights fetch",
            "acta weights fetch retinaface resnet18",
            "acta weights list",
        ),
        "config": (
            "check a configuration, explain its keys, print its schema",
            "acta config check my.yaml",
            "acta config reference",
            "acta config schema",
        ),
        "model": (
            "make model files of published checkpoints",
            "acta model convert r2plus1d_18-91a641e6.pth --backbone r2plus1d_18 --classes kinetics400.txt "
            "-o r2plus1d.safetensors",
        ),
        "convert-annotations": (
            "annotations of J-HMDB-21 or UCF101-24 as files like AVA's",
            "acta convert-annotations jhmdb21 /datasets/jhmdb -o /datasets/jhmdb/ava",
        ),
        "completion": (
            "print a script that completes commands in a shell",
            "acta completion bash",
        ),
    },
    "Run": {
        "task": (
            "run one task of the workflow alone: what its rules call",
            "acta task",
            "acta task build_manifest --videos list.json --root videos -o manifest.json",
        ),
        "plan": (
            "what a run will cost, before it is submitted",
            "acta plan --configfile config/kinetics400.yaml",
        ),
        "clean": (
            "remove what no plan needs: shards of deleted videos, leftovers",
            "acta clean --dry-run --configfile my.yaml",
            "acta clean --configfile my.yaml",
        ),
        "submit": (
            "run one command as a Slurm job",
            "acta submit --gpus 1 --minutes 1440 -- task train_classifier --lists results/demo/lists "
            "--shards results/demo/frames/none/{shard}.h5 --settings @train.json -o model.safetensors",
        ),
    },
}

GROUPS = {
    title: tuple(Command(name, about, tuple(examples)) for name, (about, *examples) in rows.items())
    for title, rows in _ROWS.items()
}
COMMANDS = {command.name: command for group in GROUPS.values() for command in group}
OWN_FILES = frozenset(command.name for command in GROUPS["Use on your own files"])
