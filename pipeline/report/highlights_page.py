"""Stage `report-highlights`: a match's highlights as one page, the video inside of it."""

import base64
import json
from pathlib import Path

from pipeline.errors import ActaError
from pipeline.files import atomic, make_private
from pipeline.report.tables import cell, escape, html_table, page

LARGEST = 64_000_000  # bytes; browsers load a page as a whole


def write_highlights_page(video: Path, output: Path) -> None:
    """Write a page (HTML) with the video and the list of its clips.

    Args:
        video: Highlights (`acta highlights`), with the JSON of their clips beside them. A video of more than 64 MB is
            named, not embedded.
        output: The page; its folder becomes private (mode 0700), as it shows what the video shows.

    Raises:
        ActaError: the video or its JSON cannot be read.
    """
    make_private(output.parent)
    try:
        clips = json.loads(video.with_suffix(".json").read_text())["clips"]
        size = video.stat().st_size
        content = video.read_bytes() if size <= LARGEST else None
        rows = [
            [
                f"{clip['highlights_start']:.1f}",
                str(clip["half"]),
                f"{int(clip['start']) // 60:02}:{clip['start'] % 60:04.1f}",
                f"{clip['end'] - clip['start']:.1f}",
                ", ".join(f"{event['label']} {100 * event['confidence']:.0f} %" for event in clip["events"]),
            ]
            for clip in clips
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ActaError(f"cannot read the highlights {video}: {error}") from None
    title = f"Highlights: {video.stem}"
    if content is None:
        shown = f"<p>The video has {size / 1e6:.0f} MB and stays where it is: {escape(str(video))}</p>\n"
    else:
        uri = f"data:video/mp4;base64,{base64.b64encode(content).decode()}"
        shown = f'<video controls preload="metadata" style="max-width: 100%" src="{uri}"></video>\n'
    columns = ("from s", "half", "in the half", "seconds", "events")
    table = html_table("clips", columns, [[cell(value) for value in row] for row in rows], labels=("half",))
    with atomic(output) as temporary:
        temporary.write_text(page(title, f"<h1>{escape(title)}</h1>\n{shown}{table}"), encoding="utf-8")
