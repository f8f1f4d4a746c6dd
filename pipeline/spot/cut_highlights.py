"""A game's highlights as files, and the task `cut_highlights`, which makes them of a network's predictions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.config.spot import HighlightSettings
from pipeline.config.tasks.spot import CutHighlights
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, atomic, make_private, write_json
from pipeline.spot.cut import Part, Written, cut_video
from pipeline.spot.events import Spot
from pipeline.spot.games import read_game
from pipeline.spot.highlights import choose_clips
from pipeline.spot.soccernet_files import PREDICTIONS, read_predictions


def cut_highlights(manifest: Path, root: Path, predictions: Path, output: Output, settings: CutHighlights) -> None:
    """Write a game's highlights (.mp4), with a JSON and a chapter list (.vtt). Their folder becomes private.

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


def make_highlights(
    parts: Mapping[int, Part],
    spots: Sequence[Spot],
    output: Path,
    settings: HighlightSettings,
    progress: Callable[[float], object] | None = None,
) -> list[Written]:
    """Write a game's highlights: the video (.mp4), and next to it a list of the clips (.json) and of chapters (.vtt).

    ``progress`` is called with the seconds of the video that are written.

    Returns:
        The clips and where they lie in the video.

    Raises:
        ActaError: there is no event to show, or one outside its half, or the disk is full.
        VideoError: a half's video is damaged.
    """
    clips = choose_clips(spots, {half: part.duration for half, part in parts.items()}, settings)
    written = cut_video(parts, clips, output, caption=settings.overlay, progress=progress)
    write_json(
        output.with_suffix(".json"), {"length": round(written[-1].end, 3), "clips": [_about(w) for w in written]}
    )
    with atomic(output.with_suffix(".vtt")) as temporary:
        cues = [f"{_clock(w.start)} --> {_clock(w.end)}\n{_escaped(w.clip.title)}\n" for w in written]
        temporary.write_text("\n".join(["WEBVTT\n", *cues]), encoding="utf-8")
    return written


def _about(written: Written) -> dict[str, object]:
    """Seconds of the half, seconds of the highlights, and the events."""
    clip = written.clip
    return {
        "half": clip.half,
        "start": round(clip.start, 3),
        "end": round(clip.end, 3),
        "highlights_start": round(written.start, 3),
        "highlights_end": round(written.end, 3),
        "events": [
            {"label": event.label, "time": round(event.time, 3), "confidence": round(event.confidence, 4)}
            for event in clip.events
        ],
    }


def _clock(seconds: float) -> str:
    """A time in WebVTT's notation."""
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _escaped(text: str) -> str:
    """A title without the arrow that WebVTT forbids ("Yellow->red card")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
