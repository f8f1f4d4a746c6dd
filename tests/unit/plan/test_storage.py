"""What jobs will write: compared with what the tasks write, and with the shards' layouts."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2  # noqa: F401  # changes the environment when it is imported
import numpy as np
import pytest

from pipeline.config.tasks.privacy import DetectPeople, ExtractFrames, Obfuscate
from pipeline.config.whole import load_over
from pipeline.data.build_manifest import build_manifest
from pipeline.data.extract_frames import extract_frames
from pipeline.detect.features.entities import Actors, FeaturedVideo, Objects, write_features
from pipeline.detect.features.objects import Detected, SearchedVideo, write_objects
from pipeline.media.lists import Listed, game_texts, write_lists, write_texts
from pipeline.models.architecture import Reduction
from pipeline.models.complexity import complexity
from pipeline.plan.graph import parse_dot
from pipeline.plan.site import Site
from pipeline.privacy.detect_people import detect_people
from pipeline.privacy.obfuscate import obfuscate
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.store import IndexedVideo, Shard, create_shard, index_size, write_index
from pipeline.spot.extract_frame_features import write_frame_features
from pipeline.tasks import task_settings, weight_of
from tests.clips import write_clip
from tests.unit.plan.made import dot

RATE = "sampling: {rate: 2.0}"
VARIANTS = ("faces", "bodies")
PROVENANCE = Provenance(task="test", settings="{}", code="test")
CLIPS = ("giving_speech/obama_speech.mp4", "talking_in_car/carphone_pristine.mp4")


def site_of(folder: Path, overlay: str, *jobs: str) -> Site:
    """A run of these jobs, each as Snakemake draws it."""
    (folder / "overlay.yaml").write_text(overlay)
    config = load_over([folder / "overlay.yaml"])
    return Site(config, parse_dot(dot([(job, "rounded") for job in jobs], [])), folder, weight_of)


def told(site: Site) -> list[float | None]:
    """Bytes of each job."""
    kinds = [site.kind(job.rule) for job in site.graph.jobs.values()]
    return [kind.writes and kind.writes(site, job) for kind, job in zip(kinds, site.graph.jobs.values(), strict=True)]


@pytest.fixture(scope="module")
def searched(tmp_path_factory, footage) -> Path:
    """A folder with the list and the manifest of two clips, and the people that were found in them twice a second."""
    folder = tmp_path_factory.mktemp("searched")
    rows = [Listed(clip, clip, "", "", (footage / clip).stat().st_size, 1) for clip in CLIPS]
    (name,) = write_lists(rows, folder / "lists", 1)
    build_manifest(folder / "lists" / f"{name}.json", footage, folder / "manifest.json")
    config = site_of(folder, RATE).config
    for what in VARIANTS:
        settings = task_settings(config, "detect_people", what=what)
        assert isinstance(settings, DetectPeople)
        detect_people(folder / "manifest.json", footage, folder / f"{what}.h5", settings)
    return folder


@pytest.mark.parametrize("size", ["[128, 171]", "320"])
def test_real_footage_is_forecast_within_a_quarter(footage, searched, tmp_path, size):
    """Plan, run, compare: frames, people and both anonymised variants of two clips."""
    jobs = [
        "extract_frames",
        *(rf"{rule}\nwhat: {what}" for what in VARIANTS for rule in ("detect_people", "obfuscate")),
    ]
    site = site_of(tmp_path, f"{RATE}\nframes: {{size: {size}}}\ndata: {{root: {footage}}}", *jobs)
    shutil.copytree(searched / "lists", site.results / "lists")
    frames = tmp_path / "private" / "frames.h5"
    settings = task_settings(site.config, "extract_frames")
    assert isinstance(settings, ExtractFrames)
    extract_frames(searched / "manifest.json", footage, frames, settings)
    written = [frames]
    for what in VARIANTS:
        hide = task_settings(site.config, "obfuscate", what=what)
        assert isinstance(hide, Obfuscate)
        obfuscate(frames, searched / f"{what}.h5", tmp_path / f"{what}.h5", hide)
        written += [searched / f"{what}.h5", tmp_path / f"{what}.h5"]
    assert told(site) == pytest.approx([path.stat().st_size for path in written], rel=0.25)


def test_before_there_are_videos_nothing_is_told(tmp_path):
    jobs = ("extract_frames", r"obfuscate\nwhat: faces", r"detect_people\nwhat: faces", "extract_frames_detection")
    games = ("extract_game_frames", r"extract_frame_features\nfeatures: mobilenet")
    site = site_of(tmp_path, "data: {root: nowhere}", *jobs, *games, "extract_actor_features", "train_backbone")
    assert told(site) == [None] * 8
    assert site.sampled == {"classify": None, "detect": None, "spot": None}


def test_a_variant_that_is_not_made_is_not_told(tmp_path):
    overlay = "privacy: {what: [bodies]}\ndata: {root: .}"
    site = site_of(tmp_path, overlay, r"obfuscate\nwhat: faces", "obfuscate")
    write_clip(tmp_path / "a.mp4")
    write_lists([Listed("a", "a.mp4", "", "", 1000, 1)], site.results / "lists", 1)
    assert told(site) == [None, None]


ANNOTATION = """
detect:
  data: {root: ., boxes: {train: train.csv, val: null, test: null}, label_map: actions.pbtxt, proposals: {}}
  splits: {train: [train], validation: train, test: train}
"""


@pytest.fixture
def annotated(tmp_path) -> Path:
    """One video with 40 keyframes, on each of which two people do two actions of three."""
    (tmp_path / "actions.pbtxt").write_text("".join(f'item {{ name: "{n}" id: {n + 1} }}\n' for n in range(3)))
    people = ("0.1,0.1,0.3,0.9", "0.5,0.1,0.8,0.9")
    rows = [f"v,{time},{box},{action},0\n" for time in range(40) for box in people for action in (1, 2)]
    (tmp_path / "train.csv").write_text("".join(rows))
    return tmp_path


def test_features_of_keyframes_by_their_layout(annotated):
    site = site_of(annotated, ANNOTATION, "detect_objects", r"extract_actor_features\nfeatures: i3d")
    write_lists([Listed("v", "v.mp4", "", "train", 1, 1)], site.results / "detect" / "lists", 1)
    assert site.config.detect.detector is not None
    size, times, rows = site.config.detect.detector.feature_size, np.arange(40.0), np.random.default_rng(1)

    def found(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.zeros((count, size), np.float16), np.zeros((count, 4), np.float32), np.zeros(count, np.float32)

    counts = rows.permutation([6] * 12 + [7] * 28)  # 6.7 on average, 2 of them people
    objects = [Detected(*found(count), np.zeros(count, np.int32)) for count in counts]
    write_objects(annotated / "o.h5", [SearchedVideo("v", "", "train", times, objects)], ["person"], [], PROVENANCE)
    actors = Actors(
        np.zeros((4, 124), np.float16),  # of I3D an eighth as wide
        np.zeros((4, 4), np.float32),
        np.zeros(4, np.float32),
        np.zeros(4, bool),
        np.zeros((4, 3), bool),
        np.zeros((4, 3), np.float32),
    )
    things = [Objects(*found(count - 2)) for count in counts]
    video = FeaturedVideo("v", "", "train", times, [actors] * 40, things)
    write_features(annotated / "f.h5", [video], ["a", "b", "c"], [], PROVENANCE)
    assert told(site) == pytest.approx([(annotated / name).stat().st_size for name in ("o.h5", "f.h5")], rel=0.1)


def test_features_of_frames_by_their_layout(tmp_path):
    overlay = "spot: {data: {root: .}, frames: {rate: 10.0, stored: {size: 32}}}"
    jobs = [rf"{rule}\nfeatures: mobilenet" for rule in ("extract_frame_features", "project_features")]
    site = site_of(tmp_path, overlay, "extract_game_frames", *jobs)
    write_clip(tmp_path / "1.mp4", frames=60)
    shutil.copy(tmp_path / "1.mp4", tmp_path / "2.mp4")
    rows = [Listed(f"video/{half}", f"{half}.mp4", "", "train", 0, 0) for half in (1, 2)]
    write_texts(
        game_texts({"game": [*rows, Listed("labels", "l.json", "", "train", 5, 0)]}), site.results / "spot/lists/train"
    )
    videos = [IndexedVideo(f"game/{half}", "", "train", np.arange(60.0)) for half in (1, 2)]
    with create_shard(tmp_path / "shard.h5", "test", PROVENANCE, [], index_size(videos)) as file:
        write_index(file, videos)
    written = []
    for channels in (1280, site.config.spot.features["mobilenet"].pca or 0):
        output = tmp_path / f"{channels}.h5"
        features = np.zeros((60, channels), np.float32)
        shard = Shard(tmp_path / "shard.h5")
        write_frame_features(output, shard, channels, lambda _, features=features: [features], PROVENANCE)
        written.append(output.stat().st_size)
    assert told(site)[1:] == pytest.approx(written, rel=0.1)


def test_networks_are_counted_by_their_layers(tmp_path):
    """The demo's detector took 25,772,068 bytes."""
    site = site_of(
        tmp_path, "dataset: demo", r"try_hypothesis\niteration: 3\noperators: c\nrecipe: r2plus1d", "train_detector"
    )
    write_lists([Listed("a", "a.mp4", "run", "train", 1, 1)], site.results / "lists", 1)
    architecture, _ = site.architecture("r2plus1d")
    reduced = replace(architecture, reductions=(Reduction("c", site.config.shrink.factors.c),))
    assert told(site)[0] == 4 * complexity(reduced).parameters
    assert told(site)[1] == pytest.approx(25_772_068, rel=0.01)
