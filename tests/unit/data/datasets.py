"""Folders of videos and the lists of UCF101, HMDB51 and Kinetics-400, as tests make them."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pipeline.config.data import DataSettings
from pipeline.data.adapters import list_videos
from pipeline.media.lists import Listed
from pipeline.runtime.errors import ActaError

THEN = 1_600_000_000
HEADER = "label,youtube_id,time_start,time_end,split\n"


def settings(adapter: str, root: Path, annotations: Path | None = None) -> DataSettings:
    return DataSettings(
        adapter=adapter,  # type: ignore[arg-type]
        root=str(root),
        annotations=None if annotations is None else str(annotations),
        shards=2,
        max_bad_fraction=0.1,
    )


def put(root: Path, *names: str) -> Path:
    """Files of three bytes, last changed THEN."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"abc")
        os.utime(path, (THEN, THEN))
    return root


def by_id(videos: Iterable[Listed]) -> list[Listed]:
    return sorted(videos, key=lambda video: video.id)


def in_folder(root: Path) -> list[Listed]:
    return by_id(list_videos(settings("folder", root)))


def message(read: Callable[[], object]) -> str:
    with pytest.raises(ActaError) as caught:
        read()
    return str(caught.value)


def ucf101(folder: Path, train: str = "", test: str = "", split: int = 1) -> Path:
    lists = folder / "lists"
    lists.mkdir(exist_ok=True)
    (lists / f"trainlist0{split}.txt").write_text(train)
    (lists / f"testlist0{split}.txt").write_text(test)
    return lists


def hmdb51(folder: Path, files: dict[str, str]) -> Path:
    lists = folder / "lists"
    lists.mkdir(exist_ok=True)
    for name, content in files.items():
        (lists / name).write_text(content)
    return lists


def kinetics(folder: Path, rows: str, header: str = HEADER) -> Path:
    path = folder / "kinetics.csv"
    path.write_text(header + rows)
    return path
