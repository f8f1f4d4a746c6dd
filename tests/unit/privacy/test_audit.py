"""What an auditor is shown of a stored frame, what is counted, and of which shards there is no audit."""

import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pipeline.config.tasks.privacy import Obfuscate
from pipeline.media.jpeg import decode_stored
from pipeline.models.weights import detector_digests
from pipeline.privacy import audit as module
from pipeline.privacy.audit import audit
from pipeline.privacy.detect_people import detect_people
from pipeline.privacy.instances import DetectionShard, Instances
from pipeline.privacy.obfuscate import obfuscate
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import write_json
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.sealed import Sealed
from pipeline.runtime.store import FrameShard, write_frames
from pipeline.runtime.text import read_made
from pipeline.tasks import task_settings
from tests.clips import read_times
from tests.shards import numbered, stored, write_shard
from tests.unit.privacy.chain import CLIPS


class Frames:
    """A shard of two frames of 30 x 50 pixels, one grey and one white."""

    def source(self, video: str) -> str:
        return "sha256"

    def times(self, video: str) -> np.ndarray:
        return np.arange(2.0)

    def jpegs(self, video: str) -> list[np.ndarray]:
        images = [np.full((30, 50, 3), value, np.uint8) for value in (128, 255)]
        return [cv2.imencode(".jpg", image)[1] for image in images]


class White:
    """Finds one instance in a white picture; remembers the shapes of what it was shown."""

    def __init__(self, size: tuple[int, int]):
        self.size, self.shapes = size, []

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        assert (height, width) == (30, 50)
        return self.size

    def __call__(self, image: np.ndarray) -> Instances:
        self.shapes.append(image.shape)
        count = 2 if image.mean() > 200 else 0
        return Instances.of(np.tile([[0, 0, 1, 1]], (count, 1)), np.ones(count))


@pytest.mark.parametrize("size", [(30, 50), (32, 64), (32, 50), (30, 64), (20, 20)])
def test_an_auditor_sees_frames_at_the_size_that_it_wants(monkeypatch, size):
    auditor = White(size)
    monkeypatch.setattr(module, "make_auditor", lambda name, threshold: auditor)
    assert module._count(Frames(), "video", "centerface", 0.2) == [0, 2]
    assert auditor.shapes == [(*size, 3)] * 2


def test_a_stored_frame_that_is_no_picture_is_an_error(monkeypatch):
    class Broken(Frames):
        def jpegs(self, video: str) -> list[np.ndarray]:
            return [np.zeros(10, np.uint8)]

    monkeypatch.setattr(module, "make_auditor", lambda name, threshold: White((30, 50)))
    with pytest.raises(VideoError, match="a stored frame is no JPEG image"):
        module._count(Broken(), "video", "centerface", 0.2)


def test_detections_and_the_frames_that_still_have_some_are_counted(monkeypatch):
    asked = []

    def make(name: str, threshold: float) -> White:
        asked.append((name, threshold))
        return White((30, 50))

    monkeypatch.setattr(module, "make_auditor", make)
    settings = SimpleNamespace(auditors={"pose": 0.5})
    row = module._audit(module._Job("a", "walking"), Frames(), Frames(), settings)
    figures = {"before": 2, "after": 2, "frames_with_residual": 1}
    assert row == {"id": "a", "label": "walking", "sha256": "sha256", "frames": 2, "auditors": {"pose": figures}}
    assert set(asked) == {("pose", 0.5)}


def test_a_stored_frame_that_is_larger_than_any_frame_is_not_decoded(monkeypatch):
    image = np.zeros((48, 64, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1]
    assert decode_stored(jpeg, cv2.IMREAD_COLOR).shape == image.shape
    monkeypatch.setenv("ACTA_MAX_PIXELS", str(48 * 64 - 1))
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(VideoError, match=r"^64x48 pixels; at most 3,071 are read"):
        decode_stored(jpeg, cv2.IMREAD_COLOR)
    monkeypatch.undo()


# ---- real faces, from the videos on


def test_every_face_is_found_hidden_and_counted(chain):
    content = json.loads((chain / "audit.json").read_text())
    assert [row["id"] for row in content["videos"]] == [f"{label}/{name}" for label, name in CLIPS.items()]
    for row in content["videos"]:
        for auditor, counts in row["auditors"].items():
            assert counts["before"] >= row["frames"], f"{auditor} finds a face in every frame of {row['id']}"
            assert counts["after"] <= 0.01 * counts["before"], f"{auditor} still finds faces in {row['id']}"
    assert content["quarantine"] == []


def test_bodies_are_found_with_their_faces_hidden_and_counted(chain, config, tmp_path):
    name = "talking_in_car/carphone_pristine.mp4"
    content = read_made(chain / "manifest.json")
    content["videos"] = [video for video in content["videos"] if video["id"] == name]
    write_json(tmp_path / "manifest.json", content)
    frames, found, hidden = chain / "none/frames.h5", tmp_path / "bodies.h5", tmp_path / "hidden.h5"
    settings = {task: task_settings(config, task, what="bodies") for task in ("detect_people", "obfuscate", "audit")}
    detect_people(tmp_path / "manifest.json", chain / "videos", found, settings["detect_people"])
    shard = DetectionShard(found)
    assert all(len(frame) in (1, 2) for frame in shard.frames(name))
    assert shard.provenance["weights"] == detector_digests(settings["detect_people"])
    assert shard.provenance["settings"]["detect"]["faces"]["detector"] == "centerface"
    assert {"av", "h5py", "onnxruntime"} <= set(shard.provenance["packages"])
    obfuscate(frames, found, hidden, settings["obfuscate"])
    audit(frames, hidden, found, tmp_path / "audit.json", settings["audit"])
    (row,) = json.loads((tmp_path / "audit.json").read_text())["videos"]
    for counts in row["auditors"].values():
        assert counts["before"] >= row["frames"]
        assert counts["after"] == 0


def test_time_stamps_are_the_videos_own(chain):
    shards = (
        FrameShard(chain / "none/frames.h5"),
        DetectionShard(chain / "detections.h5"),
        FrameShard(chain / "hidden.h5"),
    )
    for label, name in CLIPS.items():
        times = shards[0].times(f"{label}/{name}")
        assert len(times) > 10
        assert set(times.tolist()) <= set(read_times(chain / "videos" / label / name))
        assert all(np.array_equal(shard.times(f"{label}/{name}"), times) for shard in shards)


def test_raw_frames_are_private(chain):
    assert (chain / "none").stat().st_mode & 0o777 == 0o700


def test_an_audit_of_other_frames_is_refused(chain, config):
    settings = task_settings(config, "audit", what="faces")
    other = write_shard(chain / "other.h5", [stored(chain / "spooled", "v", numbered(3))], code="other")
    with pytest.raises(ActaError, match=r"hidden.h5 was not made from .*other.h5; make it again"):
        audit(other, chain / "hidden.h5", chain / "detections.h5", chain / "refused.json", settings)
    assert not (chain / "refused.json").exists()


def test_frames_and_detections_know_the_file_that_they_are_of(chain):
    shards = FrameShard(chain / "none/frames.h5"), DetectionShard(chain / "detections.h5")
    audited = json.loads((chain / "audit.json").read_text())["videos"]
    for row, (label, name) in zip(audited, CLIPS.items(), strict=True):
        video = f"{label}/{name}"
        digest = hashlib.sha256((chain / "videos" / video).read_bytes()).hexdigest()
        assert {shard.source(video) for shard in (*shards, FrameShard(chain / "hidden.h5"))} == {digest}
        assert (row["id"], row["sha256"]) == (video, digest)


def test_the_audit_names_the_digests_of_all_shards(chain):
    paths = {"before": "none/frames.h5", "after": "hidden.h5", "detections": "detections.h5"}
    inputs = json.loads((chain / "audit.json").read_text())["provenance"]["inputs"]
    assert inputs == {role: Sealed(chain / path).digest for role, path in paths.items()}


def test_an_audit_of_another_video_is_refused(chain, config, tmp_path):
    """Frames after of another file than those before, though the shards name each other."""
    before = FrameShard(chain / "none/frames.h5")
    inputs = {"frames": before.digest, "detections": DetectionShard(chain / "detections.h5").digest}
    videos = [replace(stored(tmp_path / "s", video, numbered(3)), source="other") for video in before.ids]
    write_frames(tmp_path / "hidden.h5", videos, [], Provenance("obfuscate", "{}", "test", inputs))
    shards = before.path, tmp_path / "hidden.h5", chain / "detections.h5"
    with pytest.raises(
        ActaError, match=r"hidden\.h5 has giving_speech/.*mp4 of another file than .*frames\.h5; make it"
    ):
        audit(*shards, tmp_path / "audit.json", task_settings(config, "audit", what="faces"))


def test_what_leaves_faces_recognisable_has_no_audit(chain, config, tmp_path):
    hiding = config.privacy.obfuscate.faces.model_copy(update={"kernel": 0.1})
    before, found, after = chain / "none/frames.h5", chain / "detections.h5", tmp_path / "hidden.h5"
    obfuscate(before, found, after, Obfuscate(obfuscate=hiding))
    with pytest.raises(ActaError, match=r"kernel 0\.1 .* leaves the face on a clear photograph recognisable"):
        audit(before, after, found, tmp_path / "audit.json", task_settings(config, "audit", what="faces"))
    assert not (tmp_path / "audit.json").exists()


def test_an_auditor_that_sees_nothing_makes_no_audit(chain, config, tmp_path):
    blind = task_settings(config, "audit", what="faces").model_copy(update={"auditors": {"retinaface": 1.0}})
    before, found = chain / "none/frames.h5", chain / "detections.h5"
    with pytest.raises(ActaError, match=r"^the auditor retinaface, from a score of 1 on, does not find the face"):
        audit(before, chain / "hidden.h5", found, tmp_path / "audit.json", blind)
    assert list(tmp_path.iterdir()) == []
