"""The page's own items: the overview of a run and a match's highlights."""

import base64
import json
import re
from pathlib import Path

import av
import pytest
import yaml

from pipeline.config.tasks.report import ReportOverview
from pipeline.config.whole import load
from pipeline.report.report_overview import footage, report_overview
from pipeline.report.show_highlights import show_highlights
from pipeline.report.tables import TOTAL, write_table
from pipeline.runtime.errors import ActaError
from pipeline.tasks import task_settings
from tests.clips import read_number, write_clip

CONFIGURATION = {
    "key": "<value>",
    "privacy": {"what": ["faces"]},
    "classify": {"recipes": {"r3d": {"backbone": {"name": "r3d_18"}}}},
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two shards of videos, one bad, a match, certificates, two tables, the costs, and leftovers of an earlier plan."""
    found = tmp_path / "results/own"
    for name in ("lists/0-of-2", "lists/1-of-2", "spot/lists/test/one", "spot/lists/test/bad"):
        path = found / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]")
    for shard, durations in enumerate(([2.0, 4.0], [6.0, None])):
        path = found / f"manifest/{shard}-of-2.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"videos": [{"duration": duration} for duration in durations]}))
    (found / "quarantine.tsv").write_text(
        "video\ttask\treason\na.mp4\tbuild_manifest\tempty\na.mp4\textract_frames\tempty\n"
    )
    (found / "manifest/0-of-1.json").write_text(json.dumps({"videos": [{"duration": 99.0}]}))
    games = found / "spot/games"
    games.mkdir(parents=True)
    (games / "one.json").write_text(json.dumps({"halves": [{"duration": 60.0}, {"duration": 120.0}]}))
    (games / "bad.json").write_text(json.dumps({"halves": []}))
    audit = found / "audit/faces"
    audit.mkdir(parents=True)
    old = found / "audit/bodies"
    old.mkdir()
    (old / "certificate.json").write_text(json.dumps({"frames": 98765, "overall": {"pose": {}}}))
    overall = {"retinaface": {"before": 200, "after": 1, "frames_with_residual": 1, "residual_rate": 0.005}}
    (audit / "certificate.json").write_text(json.dumps({"frames": 321, "overall": overall}))
    write_table([{"a": 1}], found / "tables/table_5_1.csv", title="made")
    (found / "figures").mkdir()
    (found / "figures/shrink_r3d.png").touch()
    rows = [{"rule": "train", "cpu_hours": "1.25"}, {"rule": TOTAL, "cpu_hours": "7.75"}]
    write_table(rows, found / "report/costs.csv", title="costs")
    return found


def overview(results: Path, **changes: object) -> str:
    settings = ReportOverview(dataset="own", demo=False, configuration=CONFIGURATION).model_copy(update=changes)
    output = results / "report/overview.html"
    report_overview(results, results / "report/costs.csv", output, settings)
    return output.read_text()


def test_it_adds_up_what_there_is(results):
    found = {one.what: one for one in footage(results)}
    assert set(found) == {"videos", "matches"}
    assert found["videos"][1:] == (4, 12.0, 1), "a video that two tasks left out is one"
    assert found["matches"][1:] == (1, 180.0, None), "a game without halves is not usable; no list of those left out"


def test_it_says_what_was_run_on_what_at_what_cost(results):
    text = overview(results)
    for part in ("321", "200", "0.50 %", "7.75", "Table 5.1", "Figure 6.3", "&lt;value&gt;"):
        assert part in text
    assert "1.25" not in text, "the costs' last row only"
    assert "98765" not in text, "a certificate of a variant that is not made any more"
    assert "Figure 6.4" not in text.split("Not made in this run")[0]
    made, others = text.split("Not made in this run")
    assert "Table 5.1:" in made
    assert "Table 5.1:" not in others
    assert "<code>snakemake table_5_2</code>" in others
    assert not re.search(r"<script|https?://", text), "nothing is fetched"


def test_only_the_demo_says_that_it_is_one(results):
    assert "This is the demo" not in overview(results)
    assert "This is the demo" in overview(results, demo=True)


@pytest.mark.parametrize("name", ["manifest/0-of-2.json", "audit/faces/certificate.json", "report/costs.csv"])
def test_what_cannot_be_read_is_named(results, name):
    (results / name).write_text("{" if name.endswith("json") else "")
    with pytest.raises(ActaError, match=re.escape(name)):
        overview(results)


def test_where_the_data_lie_is_not_in_the_configuration():
    """Another folder must rerun nothing, and a page that is handed on must not tell of somebody's disk."""
    config = load()
    settings = task_settings(config, "report_overview")
    text = yaml.safe_dump(settings.configuration)
    assert "resources/" not in text
    assert settings.configuration["data"]["adapter"] == "demo"
    assert settings.configuration["classify"]["test_clips"] == config.classify.test_clips


@pytest.fixture
def highlights(tmp_path: Path) -> Path:
    video = tmp_path / "private/game.mp4"
    write_clip(video, frames=24, rate=12, size=(480, 854))
    events = [{"label": "soccer", "time": 75.0, "confidence": 0.912}]
    clip = {"half": 2, "start": 71.5, "end": 83.0, "highlights_start": 4.0, "highlights_end": 15.5, "events": events}
    video.with_suffix(".json").write_text(json.dumps({"length": 15.5, "clips": [clip]}))
    return video


def test_a_small_copy_of_the_highlights_is_inside_of_their_page(highlights, tmp_path):
    output = highlights.with_suffix(".html")
    show_highlights(highlights, output)
    text = output.read_text()
    assert all(part in text for part in ("4.0", "01:11.5", "11.5", "soccer 91 %", "game.mp4"))
    assert output.parent.stat().st_mode & 0o777 == 0o700
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(base64.b64decode(re.search(r'data:video/mp4;base64,([^"]+)', text)[1]))
    with av.open(copy) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert frames[0].shape == (238, 426, 3)
    assert [read_number(frame) for frame in frames] == list(range(24)), "12 frames a second, in their order"


@pytest.mark.parametrize("largest", [500, 5000], ids=["too long to be recognised", "larger than asked for"])
def test_of_a_long_video_the_page_names_the_file_only(highlights, monkeypatch, largest):
    """Browsers open no page of more than 2 MB out of another page's data."""
    monkeypatch.setattr("pipeline.report.show_highlights.LARGEST", largest)
    output = highlights.with_suffix(".html")
    show_highlights(highlights, output)
    text = output.read_text()
    assert "data:video" not in text
    assert "game.mp4" in text


def test_highlights_that_are_no_video_are_named(highlights):
    highlights.write_bytes(b"no video")
    with pytest.raises(ActaError, match=r"cannot read the highlights .*game\.mp4"):
        show_highlights(highlights, highlights.with_suffix(".html"))


def test_highlights_without_their_clips_are_named(highlights):
    highlights.with_suffix(".json").write_text('{"length": 1}')
    with pytest.raises(ActaError, match=r"cannot read the highlights .*game\.mp4"):
        show_highlights(highlights, highlights.with_suffix(".html"))
