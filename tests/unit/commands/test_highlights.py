"""`acta highlights`: what is written and said, where halves and events come from, and what is refused."""

import json
from pathlib import Path

import av
import pytest

from pipeline.cli import parse
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made
from pipeline.spot.events import Spot
from tests.clips import read_number
from tests.unit.spot.beeps import write_half


def run(*arguments: object) -> None:
    options = parse(["highlights", *map(str, arguments)])
    options.run(options)


def write_events(path: Path, spots: list[Spot]) -> Path:
    predictions = [
        {
            "gameTime": f"{spot.half} - {int(spot.time) // 60:02}:{int(spot.time) % 60:02}",
            "label": spot.label,
            "position": str(round(1000 * spot.time)),
            "half": str(spot.half),
            "confidence": str(spot.confidence),
        }
        for spot in spots
    ]
    path.write_text(json.dumps({"UrlLocal": "league/season/game", "predictions": predictions}))
    return path


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two halves of 10 seconds, events of version 1 and of version 2, and where the halves lie in the videos."""
    folder = tmp_path_factory.mktemp("game")
    for half in (1, 2):
        write_half(folder / f"{half}_HQ.mkv", 10, 10, sound=48_000 if half == 1 else None)
    write_events(folder / "v1.json", [Spot(1, 5, "soccer", 0.9), Spot(2, 4, "card", 0.75), Spot(2, 5, "subs", 0.1)])
    write_events(folder / "v2.json", [Spot(1, 3, "Yellow->red card", 0.9), Spot(2, 4, "Throw-in", 0.75)])
    spans = "".join(f"[{half}_HQ.mkv]\nstart_time_second = {half}\nduration_second = 6\n" for half in (1, 2))
    (folder / "video.ini").write_text(spans)
    return folder


def test_it_writes_the_video_and_says_so(game, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    run(game / "1_HQ.mkv", game / "2_HQ.mkv", "--events", game / "v1.json", "-o", output)
    line, shorter = capsys.readouterr().out.split("; ")
    assert line == f"wrote {output}: 2 clips, 2 events, 20.0 s"
    assert shorter == "shorter than the 60 s asked for, as these are all events that count\n"
    assert len(read_made(tmp_path / "out.json")["clips"]) == (tmp_path / "out.vtt").read_text().count("-->") == 2
    with pytest.raises(ActaError, match=r"out\.mp4 exists; --overwrite"):
        run(game / "1_HQ.mkv", "--events", game / "v1.json", "-o", output)
    run(game / "1_HQ.mkv", "--events", game / "v1.json", "-o", output, "--length", 7, "--overwrite", "--no-caption")
    out, err = capsys.readouterr()
    assert out == f"wrote {output}: 1 clips, 1 events, 7.0 s\n"
    assert "2 events of the half without a video are left out" in err
    with av.open(str(output)) as container:
        assert container.duration == pytest.approx(7e6, abs=1e4)


def test_it_takes_the_halves_from_video_ini_and_the_version_from_the_events(game, tmp_path):
    """Events are of version 2, in which the configuration gives throw-ins no weight."""
    output = tmp_path / "out.mp4"
    videos = (game / "1_HQ.mkv", game / "2_HQ.mkv", "--ini", game / "video.ini")
    run(*videos, "--events", game / "v2.json", "-o", output, "--no-caption", "--length", 0)
    (clip,) = json.loads((tmp_path / "out.json").read_text())["clips"]
    assert (clip["half"], clip["start"], clip["end"]) == (1, 0, 6)
    assert "red card" in (tmp_path / "out.vtt").read_text()
    assert (tmp_path / "out.vtt").read_text().count("-->") == 1
    with av.open(str(output)) as container:
        numbers = [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert numbers == list(range(10, 70))


def test_it_refuses_what_it_cannot_mean(game, tmp_path):
    def fail(message: str, *arguments: object, events: str = "v1.json") -> None:
        with pytest.raises(ActaError, match=message):
            run(game / "1_HQ.mkv", "--events", game / events, "-o", tmp_path / "out.mp4", *arguments)

    fail(r"--length -1\.0 is below 0", "--length", -1)
    fail("--length nan", "--length", "nan")
    fail("cannot read .*none.json", events="none.json")
    fail("'Yellow->red card' is not one of", "--version", 1, events="v2.json")
    fail("no event was predicted", "--version", 2)  # whose classes the events have not
    assert list(tmp_path.iterdir()) == []
