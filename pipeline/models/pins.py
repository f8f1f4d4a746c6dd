"""Pins: the whole sha256 of weights for which nobody publishes it, kept next to the file in the cache.

A pin is as good as the folder that it lies in, so it counts only where nobody else can have written it.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import write_json
from pipeline.runtime.text import read_json

HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Pin:
    """``by``: whether the user gave the hash, or it is that of the first file that came."""

    sha256: str
    by: Literal["given", "first fetch"]

    @property
    def note(self) -> str | None:
        """What a provenance says of the hash; None if somebody vouched for it."""
        return "trusted at the first fetch" if self.by == "first fetch" else None


def pin_path(weights: Path) -> Path:
    """Where the pin of a file in the cache is."""
    return weights.with_name(f"{weights.name}.pin.json")


def write_pin(weights: Path, pin: Pin, url: str) -> None:
    """Pin a file in the cache, which may be written by nobody else from then on."""
    path = pin_path(weights)
    write_json(path, {"sha256": pin.sha256, "by": pin.by, "url": url})
    path.chmod(0o644)


def read_pin(weights: Path) -> Pin | None:
    """The pin of a file in the cache; None: there is none.

    Raises:
        ActaError: it is damaged, or somebody else could have written it.
    """
    path = pin_path(weights)
    if not os.path.lexists(path):
        return None
    _check_own(path, path)
    check_folder(weights)
    content = read_json(path, "the pin")
    pin = content if isinstance(content, dict) else {}
    sha256, by = pin.get("sha256"), pin.get("by")
    if not isinstance(sha256, str) or not HASH.fullmatch(sha256) or by not in ("given", "first fetch"):
        raise ActaError(f"{path} is no pin; delete it and fetch the weights again")
    return Pin(sha256, by)


def check_folder(weights: Path) -> None:
    """Refuse, by an `ActaError`, a place in the cache that others can write to, where no pin can be trusted."""
    path = pin_path(weights)
    for place in (*path.parent.absolute().parents, path.parent):
        _check_own(place, path)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, that nobody else can write to; existing ones stay as they are."""
    for place in reversed((folder, *folder.absolute().parents)):
        if not place.exists():
            place.mkdir(exist_ok=True)
            place.chmod(stat.S_IMODE(place.stat().st_mode) & ~0o022)


def _check_own(place: Path, pin: Path) -> None:
    status = place.lstat() if place == pin else place.stat()
    kept = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX  # as /tmp: nobody replaces another's files
    if place == pin and not stat.S_ISREG(status.st_mode):
        raise ActaError(f"{pin} is no regular file; delete it and fetch the weights again")
    if status.st_uid not in (0, os.geteuid()):
        whose = "belongs to another user"
    elif status.st_mode & 0o022 and not kept:
        whose = "can be written by others"
    else:
        return
    raise ActaError(
        f"{place} {whose}, so the pin {pin.name} is not trusted; take it from them (chmod go-w {place}), or set "
        "ACTA_CACHE to a folder of your own and fetch the weights again"
    )
