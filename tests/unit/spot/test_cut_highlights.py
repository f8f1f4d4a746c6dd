"""A game's highlights as files: the video, and what is where in it."""

from pipeline.runtime.text import read_made
from pipeline.spot.cut import part_of
from pipeline.spot.cut_highlights import make_highlights
from pipeline.spot.events import Spot
from tests.unit.spot.beeps import write_half


def test_list_and_chapters_say_what_is_where(config, tmp_path):
    parts = {half: part_of(write_half(tmp_path / f"{half}.mkv", 10, 10)) for half in (1, 2)}
    spots = [Spot(1, 5, "soccer", 0.9), Spot(2, 4, "card", 0.75), Spot(2, 5, "subs", 0.1)]
    done: list[float] = []
    written = make_highlights(parts, spots, tmp_path / "out.mp4", config.spot.highlights, done.append)
    assert [(place.start, place.end) for place in written] == [(0, 10), (10, 20)]
    assert done[-1] == written[-1].end
    assert read_made(tmp_path / "out.json") == {
        "length": 20.0,
        "clips": [
            {
                "half": 1,
                "start": 0.0,
                "end": 10.0,
                "highlights_start": 0.0,
                "highlights_end": 10.0,
                "events": [{"label": "soccer", "time": 5.0, "confidence": 0.9}],
            },
            {
                "half": 2,
                "start": 0.0,
                "end": 10.0,
                "highlights_start": 10.0,
                "highlights_end": 20.0,
                "events": [{"label": "card", "time": 4.0, "confidence": 0.75}],
            },
        ],
    }
    assert (tmp_path / "out.vtt").read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:10.000\n1 - 00:05 soccer 90 %\n\n"
        "00:00:10.000 --> 00:00:20.000\n2 - 00:04 card 75 %\n"
    )
