"""Predictions of two games, and archives of them."""

import json
import zipfile
from pathlib import Path
from typing import Any

from pipeline.spot.events import Spot
from pipeline.spot.soccernet_files import write_predictions

A, B = "league/season/a", "league/season/bé"
ROW = {"gameTime": "1 - 00:10", "label": "Goal", "position": "10000", "half": "1", "confidence": "0.5"}
CAPITALS = "; capitals count: 'Goal', not 'goal'"


def write_folder(folder: Path) -> Path:
    """Four predictions of two games."""
    write_predictions(folder, A, [Spot(1, 10.5, "Goal", 0.5), Spot(1, 10.5, "Foul", 0.5), Spot(2, 10.5, "Goal", 0.0)])
    write_predictions(folder, B, [Spot(1, 7199.9999 - 0.001, "Goal", 1.0)])
    return folder


def write_archive(path: Path, *members: tuple[str, str | bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """An archive of files by name."""
    with zipfile.ZipFile(path, "w", compression) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


def game(*rows: Any, url: str = A) -> str:
    """The content of a game's file."""
    return json.dumps({"UrlLocal": url, "predictions": rows})
