"""Task `show_highlights`: a match's highlights as one page: a small silent copy of the video, and its clips."""

import base64
from fractions import Fraction
from pathlib import Path

import av

from pipeline.media.decode import open_video
from pipeline.report.tables import cell, escape, html_table, page
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output, atomic, make_private
from pipeline.runtime.temporary import private_folder
from pipeline.runtime.text import read_made

# Bytes of the copy. Browsers open no page of more than 2 MB from another page's data, and Base64 twice is 16/9.
LARGEST = 1_000_000
_WIDTH, _RATE = 426, 12
_LEAST = 30_000  # bits per second below which nothing can be recognised


def show_highlights(video: Path, output: Output) -> None:
    """Write a page (HTML) with a small copy of the video and the list of its clips.

    Args:
        video: Highlights (`acta highlights`), with the JSON of their clips next to them. For a video that is too long
            for a copy of 1 MB the page only names the file.
        output: The page; its folder becomes private (mode 0700), as it shows what the video shows.

    Raises:
        ActaError: the video or its JSON cannot be read.
    """
    make_private(output.parent)
    try:
        rows = [
            [
                f"{clip['highlights_start']:.1f}",
                str(clip["half"]),
                f"{int(clip['start']) // 60:02}:{clip['start'] % 60:04.1f}",
                f"{clip['end'] - clip['start']:.1f}",
                ", ".join(f"{event['label']} {100 * event['confidence']:.0f} %" for event in clip["events"]),
            ]
            for clip in read_made(video.with_suffix(".json"))["clips"]
        ]
        with private_folder() as folder:
            small = _small_copy(video, folder / "small.mp4")
            content = small.read_bytes() if small else b""
    except (VideoError, OSError, ValueError, KeyError, TypeError, av.error.FFmpegError) as error:
        raise ActaError(f"cannot read the highlights {video}: {error}") from None
    title = f"Highlights: {video.stem}"
    shown = f"<p>The video itself, of full size and with its sound, is {escape(video.name)}.</p>\n"
    if content and len(content) <= LARGEST:
        uri = f"data:video/mp4;base64,{base64.b64encode(content).decode()}"
        shown = f'<video controls preload="metadata" style="max-width: 100%" src="{uri}"></video>\n{shown}'
    columns = ("from s", "half", "in the half", "seconds", "events")
    table = html_table("clips", columns, [[cell(value) for value in row] for row in rows], labels=("half",))
    with atomic(output) as temporary:
        temporary.write_text(page(title, f"<h1>{escape(title)}</h1>\n{shown}{table}"), encoding="utf-8")


def _small_copy(video: Path, output: Path) -> Path | None:
    """A smaller, silent copy with fewer frames, of at most `LARGEST` bytes; None: the video is too long."""
    with open_video(video) as (source, stream):
        seconds = (source.duration or 0) / av.time_base
        rate = int(0.9 * 8 * LARGEST / max(1.0, seconds))
        if rate < _LEAST:
            return None
        width = min(_WIDTH, stream.width) // 2 * 2
        height = round(stream.height * width / stream.width) // 2 * 2
        with av.open(output, "w", options={"movflags": "+faststart"}) as target:
            made = target.add_stream("libx264", rate=_RATE)
            made.width, made.height, made.pix_fmt = width, height, "yuv420p"
            made.bit_rate = min(rate, 400_000)
            made.options = {"maxrate": str(rate), "bufsize": str(rate), "preset": "veryfast"}
            number = 0
            for frame in source.decode(stream):
                while frame.time is not None and number <= frame.time * _RATE:
                    small = frame.reformat(width, height, "yuv420p")
                    small.pts, small.time_base = number, Fraction(1, _RATE)
                    target.mux(made.encode(small))
                    number += 1
            target.mux(made.encode())
    return output
