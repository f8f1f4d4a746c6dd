"""`acta detect` on one file: the same tasks as the workflow's, with networks that were never trained."""

import csv
import json
import shutil
import stat
import tempfile
from pathlib import Path

import av
import pytest
import torch

import pipeline.detect.video  # noqa: F401  # cv2 changes the environment when it is imported
from pipeline.cli import main
from pipeline.config.whole import DEFAULT_CONFIG, load
from pipeline.detect.stage_file import StageDescription, save_stage
from pipeline.media.frames import extract_video
from pipeline.media.manifest import Video
from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone, save_actor_backbone
from pipeline.models.object_detector import ObjectDetector, build_detector, save_detector
from pipeline.models.stage import Stage
from pipeline.models.stage_architecture import StageArchitecture
from pipeline.runtime.store import StoredVideo
from tests.clips import write_clip

ACTIONS = ["stand", "wave"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models where the workflow puts them, …/detect/networks/i3d/stage/seed_1/model.safetensors and its like."""
    folder = tmp_path_factory.mktemp("results") / "detect"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector = ObjectDetector("mobilenet_v2_fpn", ("person", "ball"), 64, 16)
        (folder / "detector").mkdir(parents=True)
        save_detector(folder / "detector/model.safetensors", build_detector(detector), detector, {})
        backbone = ActorBackbone("i3d", 2, 0.0625, 5)
        (folder / "backbones/i3d").mkdir(parents=True)
        path = folder / "backbones/i3d/model.safetensors"
        save_actor_backbone(path, build_actor_backbone(backbone), backbone, ACTIONS, {})
        architecture = StageArchitecture(backbone.feature_size, 16, 2, heads=2)
        about = StageDescription(architecture, ACTIONS, "sigmoid", 6, 1.0, 0.0, {})
        (folder / "networks/i3d/stage/seed_1").mkdir(parents=True)
        save_stage(folder / "networks/i3d/stage/seed_1/model.safetensors", Stage(architecture), about)
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped one, where whatever the untrained detector finds is a person."""
    content = json.loads(load(DEFAULT_CONFIG).model_dump_json())
    content["detect"]["features"]["i3d"]["backbone"]["network"] |= {"width": 0.0625}
    content["detect"]["objects"] |= {"score": 0.0, "person_score": 0.0, "max_detections": 6}
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    path.write_text(json.dumps(content))
    return path


def detect(results: Path, config: Path, video: Path, output: Path, *options: str) -> int:
    model = results / "networks/i3d/stage/seed_1/model.safetensors"
    named = ["--model", str(model), "--config", str(config), "--score", "0"]
    return main(["detect", str(video), "-o", str(output), *named, *options])


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def frames(path: Path) -> list[tuple[float | None, int, int]]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.width, frame.height) for frame in container.decode(video=0)]


@pytest.mark.parametrize("rotation", [0, 90])
def test_a_row_for_each_person_second_and_action_and_a_copy(
    results: Path, config: Path, tmp_path: Path, rotation: int
) -> None:
    video = write_clip(tmp_path / "in.mp4", frames=35, audio=True, rotation=rotation)
    assert detect(results, config, video, tmp_path / "out.csv", "--video", str(tmp_path / "out.mp4")) == 0
    rows = read(tmp_path / "out.csv")
    assert {row["seconds"] for row in rows} == {"1", "2", "3"}
    assert {row["action"] for row in rows} == set(ACTIONS)
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in ("x1", "y1", "x2", "y2", "score"))
    assert frames(tmp_path / "out.mp4") == frames(video)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio


def test_the_same_table_twice(results: Path, config: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "in.mp4", frames=15)
    for name in ("one.csv", "two.csv"):
        assert detect(results, config, video, tmp_path / name) == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_a_short_video_has_one_keyframe_in_its_middle(results: Path, config: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "short.mp4", frames=5)
    assert detect(results, config, video, tmp_path / "out.csv") == 0
    assert {row["seconds"] for row in read(tmp_path / "out.csv")} == {"0.2"}


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty"), (b"not a video", "cannot be opened"), (None, "missing")]
)
def test_what_is_no_video(results: Path, config: Path, tmp_path: Path, capsys, content, message) -> None:
    video = tmp_path / "bad.mp4"
    if content is not None:
        video.write_bytes(content)
    assert detect(results, config, video, tmp_path / "out.csv") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_outputs_are_not_overwritten(results: Path, config: Path, clip: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "out.csv").write_text("mine")
    assert detect(results, config, clip, tmp_path / "out.csv") == 1
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_networks_that_do_not_belong_together(results: Path, config: Path, clip: Path, tmp_path: Path, capsys) -> None:
    backbone = ActorBackbone("i3d", 2, 0.125, 5)
    path = tmp_path / "other.safetensors"
    save_actor_backbone(path, build_actor_backbone(backbone), backbone, ACTIONS, {})
    assert detect(results, config, clip, tmp_path / "out.csv", "--backbone", str(path)) == 1
    assert (
        "holds i3d of width 0.125 on 5 frames, but the settings' `network` is i3d of width 0.0625"
        in capsys.readouterr().err
    )


def test_features_that_the_configuration_does_not_have(
    results: Path, config: Path, clip: Path, tmp_path: Path, capsys
) -> None:
    moved = tmp_path / "model.safetensors"
    for suffix in (".safetensors", ".json"):
        shutil.copy(results / f"networks/i3d/stage/seed_1/model{suffix}", moved.with_suffix(suffix))
    arguments = ["detect", str(clip), "-o", str(tmp_path / "out.csv"), "--model", str(moved), "--config", str(config)]
    assert main(arguments) == 1
    assert "(--features names them)" in capsys.readouterr().err


def test_a_picture_after_a_year_is_refused(results: Path, config: Path, tmp_path: Path, capsys) -> None:
    video = write_clip(tmp_path / "far.mkv", frames=4, times=[0, 100, 200, 31_536_000_000])
    assert detect(results, config, video, tmp_path / "out.csv") == 1
    assert "its time stamps cannot be right: 4 frames for 31536000 s, of which" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_frames_lie_in_a_private_folder_that_goes(results: Path, config: Path, tmp_path: Path, monkeypatch) -> None:
    seen = []

    def extracted(entry: Video, video: Path, spooled: Path, *settings: object) -> StoredVideo:
        seen.append((spooled.parent.resolve().name, stat.S_IMODE(spooled.parent.stat().st_mode)))
        return extract_video(entry, video, spooled, *settings)  # type: ignore[arg-type]

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr("pipeline.detect.video.extract_video", extracted)
    video = write_clip(tmp_path / "in.mp4", frames=5)
    assert detect(results, config, video, tmp_path / "out.csv") == 0
    [(name, mode)] = seen
    assert name.startswith(".acta-private.")
    assert mode == 0o700
    assert list((tmp_path / "tmp").iterdir()) == []
