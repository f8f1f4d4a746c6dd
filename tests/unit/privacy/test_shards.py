"""The DAG's own stages on real faces, shard by shard: what is found, hidden and counted, and what is refused."""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.config.tasks.privacy import Obfuscate
from pipeline.data.adapters import list_videos
from pipeline.media.lists import write_lists
from pipeline.media.source import unchanged
from pipeline.models.weights import detector_digests
from pipeline.privacy import detect_people as module
from pipeline.privacy.audit import audit
from pipeline.privacy.detect_people import detect_people
from pipeline.privacy.instances import DetectedVideo, DetectionShard, Instances, write_detections
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

CLIPS = {"giving_speech": "obama_speech.mp4", "talking_in_car": "carphone_pristine.mp4"}


@pytest.fixture(scope="module")
def stages(config, footage, tmp_path_factory):
    """Both clips with a face in every frame through the commands of the workflow's rules, with the shipped settings."""
    folder = tmp_path_factory.mktemp("stages")
    for label, name in CLIPS.items():
        (folder / "videos" / label).mkdir(parents=True)
        shutil.copy(footage / label / name, folder / "videos" / label)
    data = config.data.model_copy(update={"adapter": "folder", "root": str(folder / "videos")})
    (shard,) = write_lists(list_videos(data), folder / "lists", 1)
    root = ("--root", str(folder / "videos"))

    def run(stage: str, *arguments: str | Path, output: str, **wildcards: str) -> None:
        given = (
            [] if stage == "manifest" else ["--settings", task_settings(config, stage, **wildcards).model_dump_json()]
        )
        assert main([stage, *map(str, arguments), *given, "-o", str(folder / output)]) == 0

    run("manifest", folder / f"lists/{shard}.json", *root, output="manifest.json")
    run("frames", folder / "manifest.json", *root, output="none/frames.h5")
    run("detect_people", folder / "manifest.json", *root, output="detections.h5", what="faces")
    found = ("--detections", folder / "detections.h5")
    run("obfuscate", folder / "none/frames.h5", *found, output="hidden.h5", what="faces")
    run("audit", folder / "none/frames.h5", folder / "hidden.h5", *found, output="audit.json", what="faces")
    return folder


def test_every_face_is_found_hidden_and_counted(stages):
    content = json.loads((stages / "audit.json").read_text())
    assert [row["id"] for row in content["videos"]] == [f"{label}/{name}" for label, name in CLIPS.items()]
    for row in content["videos"]:
        for auditor, counts in row["auditors"].items():
            assert counts["before"] >= row["frames"], f"{auditor} finds a face in every frame of {row['id']}"
            assert counts["after"] <= 0.01 * counts["before"], f"{auditor} still finds faces in {row['id']}"
    assert content["quarantine"] == []


def test_bodies_are_found_with_their_faces_hidden_and_counted(stages, config, tmp_path):
    name = "talking_in_car/carphone_pristine.mp4"
    content = read_made(stages / "manifest.json")
    content["videos"] = [video for video in content["videos"] if video["id"] == name]
    write_json(tmp_path / "manifest.json", content)
    frames, found, hidden = stages / "none/frames.h5", tmp_path / "bodies.h5", tmp_path / "hidden.h5"
    settings = {stage: task_settings(config, stage, "bodies") for stage in ("detect_people", "obfuscate", "audit")}
    detect_people(tmp_path / "manifest.json", stages / "videos", found, settings["detect_people"])
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


@pytest.mark.parametrize(
    ("devices", "processes"), [(("cpu", "cpu"), 6), (("cuda", "cpu"), 4), (("cpu", "cuda"), 4), (("cuda", "cuda"), 4)]
)
def test_one_gpu_is_shared_by_four_processes_at_most(stages, config, monkeypatch, tmp_path, devices, processes):
    asked = []
    monkeypatch.setattr(module, "make_detector", lambda settings, weights: None)
    monkeypatch.setattr(module, "check_search", lambda what, settings: None)
    monkeypatch.setattr(module, "map_videos", lambda *given, workers, stage: asked.append(workers) or iter(()))
    settings = task_settings(config, "detect_people", what="bodies")
    faces = settings.detect.faces.model_copy(update={"device": devices[1]})
    detect = settings.detect.model_copy(update={"device": devices[0], "faces": faces})
    settings = settings.model_copy(update={"detect": detect})
    module.detect_shard(stages / "manifest.json", stages, tmp_path / "found.h5", settings, workers=6)
    assert asked == [processes]


def test_failed_frames_are_a_line_for_each_video(stages, config, monkeypatch, tmp_path, capsys):
    bad, worse = (Instances(failed=True, reason=reason) for reason in ("no memory", "NaN"))
    videos = [
        detected("a", [Instances(), bad, worse]),
        detected("b", [Instances()]),
        detected("c", [Instances()] * 12 + [worse]),
    ]
    monkeypatch.setattr(module, "map_videos", lambda *given, **more: iter(videos))
    settings = task_settings(config, "detect_people", what="faces")
    module.detect_shard(stages / "manifest.json", stages, tmp_path / "found.h5", settings)
    assert capsys.readouterr().err.splitlines() == [
        "a: detection failed on 2 frames, the first at 0.10 s, which are hidden whole: no memory",
        "c: detection failed on 1 frame, at 1.20 s, which is hidden whole: NaN",
    ]
    assert [frame.failed for frame in DetectionShard(tmp_path / "found.h5").frames("a")] == [False, True, True]


def test_time_stamps_are_the_videos_own(stages):
    shards = (
        FrameShard(stages / "none/frames.h5"),
        DetectionShard(stages / "detections.h5"),
        FrameShard(stages / "hidden.h5"),
    )
    for label, name in CLIPS.items():
        times = shards[0].times(f"{label}/{name}")
        assert len(times) > 10
        assert set(times.tolist()) <= set(read_times(stages / "videos" / label / name))
        assert all(np.array_equal(shard.times(f"{label}/{name}"), times) for shard in shards)


def test_raw_frames_are_private(stages):
    assert (stages / "none").stat().st_mode & 0o777 == 0o700


def test_an_audit_of_other_frames_is_refused(stages, config):
    settings = task_settings(config, "audit", what="faces")
    other = write_shard(stages / "other.h5", [stored(stages / "spooled", "v", numbered(3))], code="other")
    with pytest.raises(ActaError, match=r"hidden.h5 was not made from .*other.h5; make it again"):
        audit(other, stages / "hidden.h5", stages / "detections.h5", stages / "refused.json", settings)
    assert not (stages / "refused.json").exists()


# ---- it fails closed


@pytest.fixture
def obfuscate(config, tmp_path):
    """Hide what was detected in three frames of the videos a and b; returns the anonymised shard."""
    settings = task_settings(config, "obfuscate", what="faces")
    assert isinstance(settings, Obfuscate)
    frames = write_shard(tmp_path / "frames.h5", [stored(tmp_path / "spooled", v, numbered(3)) for v in "ab"])

    def run(detected: list[DetectedVideo], attack: Callable[[Path], None] | None = None) -> FrameShard:
        provenance = Provenance(task="detect_people", settings="{}", code="test")
        write_detections(tmp_path / "detections.h5", detected, [], provenance)
        if attack:
            attack(tmp_path / "detections.h5")
        obfuscate(frames, tmp_path / "detections.h5", tmp_path / "hidden.h5", settings)
        return FrameShard(tmp_path / "hidden.h5")

    return run


def detected(video: str, frames: list[Instances], shift: float = 0.0) -> DetectedVideo:
    return DetectedVideo(video, "run", "train", np.arange(len(frames)) / 10 + shift, frames)


def test_a_video_without_detections_is_not_passed_on(obfuscate):
    hidden = obfuscate([detected("a", [Instances()] * 3)])
    assert hidden.ids == ["a"]
    assert [(entry.id, entry.reason.split(":")[0]) for entry in hidden.quarantine] == [("b", "no detections")]


@pytest.mark.parametrize("wrong", [detected("b", [Instances()] * 3, shift=0.05), detected("b", [Instances()] * 2)])
def test_detections_of_other_frames_are_not_used(obfuscate, wrong):
    hidden = obfuscate([detected("a", [Instances()] * 3), wrong])
    assert hidden.ids == ["a"]
    assert "its 3 frames and its detections are at different time stamps" in hidden.quarantine[0].reason


def test_a_frame_on_which_the_detector_failed_is_hidden_whole(obfuscate):
    hidden = obfuscate([detected(video, [Instances(), Instances(failed=True), Instances()]) for video in "ab"])
    images = [cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in hidden.jpegs("a")]
    spreads = [int(image.max()) - int(image.min()) for image in images]
    assert spreads[0] > 200
    assert spreads[2] > 200
    assert spreads[1] < 100, "one blur over the whole picture"


# ---- the chain from the video to the certificate


def set_to(name: str, value: Any, sealed: bool) -> Callable[[Path], None]:
    """Change an array in a shard, as a program does that knows nothing of the seal, or in place below it."""

    def attack(path: Path) -> None:
        content = path.read_bytes()
        size = struct.unpack("<32sQ8s", content[-48:])[1]
        with h5py.File(path, "r+") as file:
            file[name][...] = value
        assert path.read_bytes() != content[:size]
        if sealed:
            path.write_bytes(path.read_bytes()[:size] + content[size:])

    return attack


@pytest.mark.parametrize(
    ("sealed", "message"),
    [
        (True, r"its bytes \d+ to \d+ are not those written"),
        (False, "its end has no seal, so it was cut short, changed"),
    ],
    ids=["in place", "by HDF5"],
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames/first", 0),
        ("frames/failed", False),
        ("frames/time", 7.0),
        ("videos/first", 0),
        ("instances/box", [0.9, 0.9, 1, 1]),
        ("instances/box", 0),
        ("instances/box", np.nan),
        ("instances/grid", 0),
        ("instances/offsets", 0),
        ("instances/mask", 0),
    ],
)
def test_detections_that_were_changed_hide_nothing_quietly(obfuscate, tmp_path, name, value, sealed, message):
    mask = np.ones((4, 4), bool)
    found = Instances.of(np.array([[0.1, 0.1, 0.6, 0.6]]), np.array([0.9]), [mask])
    videos = [detected(video, [found, Instances(failed=True), found]) for video in "ab"]
    with pytest.raises(ActaError, match=rf"detections\.h5 is damaged: {message}.*; make it again"):
        obfuscate(videos, set_to(name, value, sealed))
    assert not (tmp_path / "hidden.h5").exists()


@pytest.mark.parametrize(("a", "b", "said"), [("1", "2", ""), ("2", "1", ""), ("", "", " (2 were)")])
def test_a_video_that_was_replaced_between_frames_and_detections_is_named(config, tmp_path, a, b, said):
    """Of the same times, so that nothing else tells; its raw frames must not pass with another video's boxes."""
    frames = [replace(stored(tmp_path / "spooled", v, numbered(3)), source="2") for v in "ab"]
    write_shard(tmp_path / "frames.h5", frames)
    videos = [replace(detected(v, [Instances()] * 3), source=s) for v, s in (("a", a), ("b", b))]
    write_detections(tmp_path / "detections.h5", videos, [], Provenance("detect_people", "{}", "test"))
    paths = f"{tmp_path}/frames.h5", f"{tmp_path}/detections.h5"
    which = "b" if a == "2" else "a"
    message = (
        f"{which} was replaced between the tasks{said}: it is another file in {paths[0]} than in {paths[1]}; "
        f"make both again (in a workflow: snakemake --force {paths[0]} {paths[1]})"
    )
    settings = task_settings(config, "obfuscate", what="faces")
    with pytest.raises(ActaError) as error:
        obfuscate(*map(Path, paths), tmp_path / "hidden.h5", settings)
    assert str(error.value) == message
    assert not (tmp_path / "hidden.h5").exists()


def test_frames_and_detections_know_the_file_that_they_are_of(stages):
    shards = FrameShard(stages / "none/frames.h5"), DetectionShard(stages / "detections.h5")
    audited = json.loads((stages / "audit.json").read_text())["videos"]
    for row, (label, name) in zip(audited, CLIPS.items(), strict=True):
        video = f"{label}/{name}"
        digest = hashlib.sha256((stages / "videos" / video).read_bytes()).hexdigest()
        assert {shard.source(video) for shard in (*shards, FrameShard(stages / "hidden.h5"))} == {digest}
        assert (row["id"], row["sha256"]) == (video, digest)


def test_the_audit_names_the_digests_of_all_shards(stages):
    paths = {"before": "none/frames.h5", "after": "hidden.h5", "detections": "detections.h5"}
    inputs = json.loads((stages / "audit.json").read_text())["provenance"]["inputs"]
    assert inputs == {role: Sealed(stages / path).digest for role, path in paths.items()}


def test_an_audit_of_another_video_is_refused(stages, config, tmp_path):
    """Frames after of another file than those before, though the shards name each other."""
    before = FrameShard(stages / "none/frames.h5")
    inputs = {"frames": before.digest, "detections": DetectionShard(stages / "detections.h5").digest}
    videos = [replace(stored(tmp_path / "s", video, numbered(3)), source="other") for video in before.ids]
    write_frames(tmp_path / "hidden.h5", videos, [], Provenance("obfuscate", "{}", "test", inputs))
    shards = before.path, tmp_path / "hidden.h5", stages / "detections.h5"
    with pytest.raises(
        ActaError, match=r"hidden\.h5 has giving_speech/.*mp4 of another file than .*frames\.h5; make it"
    ):
        audit(*shards, tmp_path / "audit.json", task_settings(config, "audit", what="faces"))


def test_a_video_that_changes_while_it_is_read_is_left_out(tmp_path):
    path = tmp_path / "a.mp4"

    def write(content: bytes) -> None:
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))

    write(b"one")
    with unchanged(path) as digest:
        assert digest == hashlib.sha256(b"one").hexdigest()
    with pytest.raises(VideoError, match=r"^was replaced or changed while it was read$"), unchanged(path):
        write(b"more")
    with pytest.raises(VideoError, match=r"^was replaced or changed while it was read$"), unchanged(path):
        os.utime(path, ns=(1, 2))
    write(b"more")
    other = Path(shutil.copy2(path, tmp_path / "other.mp4"))
    with pytest.raises(VideoError, match=r"^was replaced or changed while it was read$"), unchanged(path):
        os.replace(other, path)
    with pytest.raises(VideoError, match=r"^missing$"), unchanged(path):
        path.unlink()
    with pytest.raises(VideoError, match=r"^missing$"), unchanged(path):
        pass


def test_a_search_that_finds_nothing_is_an_error_before_it_begins(stages, config, tmp_path):
    settings = task_settings(config, "detect_people", what="faces")
    blind = settings.model_copy(update={"detect": settings.detect.model_copy(update={"threshold": 1.0})})
    with pytest.raises(ActaError, match=r"^centerface, from a score of 1 on, .* so it would hide nothing"):
        detect_people(stages / "manifest.json", stages, tmp_path / "found.h5", blind)
    assert list(tmp_path.iterdir()) == []


def test_what_leaves_faces_recognisable_has_no_audit(stages, config, tmp_path):
    hiding = config.privacy.obfuscate.faces.model_copy(update={"kernel": 0.1})
    before, found, after = stages / "none/frames.h5", stages / "detections.h5", tmp_path / "hidden.h5"
    obfuscate(before, found, after, Obfuscate(obfuscate=hiding))
    with pytest.raises(ActaError, match=r"kernel 0\.1 .* leaves the face on a clear photograph recognisable"):
        audit(before, after, found, tmp_path / "audit.json", task_settings(config, "audit", what="faces"))
    assert not (tmp_path / "audit.json").exists()


def test_an_auditor_that_sees_nothing_makes_no_audit(stages, config, tmp_path):
    blind = task_settings(config, "audit", what="faces").model_copy(update={"auditors": {"retinaface": 1.0}})
    before, found = stages / "none/frames.h5", stages / "detections.h5"
    with pytest.raises(ActaError, match=r"^the auditor retinaface, from a score of 1 on, does not find the face"):
        audit(before, stages / "hidden.h5", found, tmp_path / "audit.json", blind)
    assert list(tmp_path.iterdir()) == []
