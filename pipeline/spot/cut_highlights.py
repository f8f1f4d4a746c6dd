"""Task `cut_highlights`: a game's highlights, from its manifest and a network's predictions."""

from pathlib import Path

from pipeline.config.tasks.spot import CutHighlights
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, make_private
from pipeline.spot.cut import Part
from pipeline.spot.games import read_game
from pipeline.spot.highlights_video import make_highlights
from pipeline.spot.soccernet_files import PREDICTIONS, read_predictions


def cut_highlights(manifest: Path, root: Path, predictions: Path, output: Output, settings: CutHighlights) -> None:
    """Write a game's highlights (.mp4), and a JSON and a chapter list (.vtt) beside them. Their folder becomes private.

    Args:
        manifest: The game's manifest.
        root: Folder of the videos.
        predictions: Folder of SoccerNet's prediction files.
        output: The video.
        settings: Version of the labels, and how to cut.

    Raises:
        ActaError: a bad game, one without videos, or no event to show.
        VideoError: a half's video is damaged.
    """
    game = read_game(manifest)
    if game.quarantine:
        raise ActaError(f"{game.name} is left out: {game.quarantine[0].reason}")
    parts = {}
    for half in game.halves:
        if half.video is None:
            raise ActaError(f"{game.name} has features only, no video to cut")
        parts[half.number] = Part(root / half.video, half.start, half.duration)
    spots = read_predictions(predictions / game.name / PREDICTIONS, settings.version).spots
    make_private(output.parent)
    make_highlights(parts, spots, output, settings.highlights)
