"""The files in config/ for the thesis's data sets, and what each is used on top of, as its head says."""

from pathlib import Path

from tests import PROJECT

BELOW = {
    "ucf101_scratch": ("ucf101",),
    "ava_2_2": ("ava",),
    "ava_2_2_released": ("ava_released",),
    "jhmdb21_split2": ("jhmdb21",),
    "jhmdb21_split3": ("jhmdb21",),
    "ucf101_24": ("jhmdb21",),
    "soccernet_finetuned": ("soccernet",),
}
OVERLAYS = sorted(path.stem for path in (PROJECT / "config").glob("*.yaml") if path.stem not in ("full", "own_classes"))


def files_of(overlay: str) -> list[Path]:
    """What is given to ``--configfile``, in this order."""
    return [PROJECT / "config" / f"{name}.yaml" for name in (*BELOW.get(overlay, ()), overlay)]
