"""A game's highlights as files: the video, and what is where in it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.config.spot import HighlightSettings
from pipeline.runtime.files import atomic, write_json
from pipeline.spot.cut import Part, Written, cut_video
from pipeline.spot.events import Spot
from pipeline.spot.highlights import choose_clips


def make_highlights(
    parts: Mapping[int, Part],
    spots: Sequence[Spot],
    output: Path,
    settings: HighlightSettings,
    progress: Callable[[float], object] | None = None,
) -> list[Written]:
    """Write a game's highlights: the video, and beside it a list of the clips (.json) and of chapters (.vtt).

    Args:
        parts: Where the halves are.
        spots: Predicted events.
        output: The video (.mp4).
        settings: Which events, how much around them, how long in all.
        progress: Called with the seconds of the video that are written.

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
    """As WebVTT writes times."""
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _escaped(text: str) -> str:
    """WebVTT forbids an arrow in a title ("Yellow->red card")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
