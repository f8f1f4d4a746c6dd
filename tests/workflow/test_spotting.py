"""Chapter 4 in the DAG: one run from videos to highlights, one from released features, and what reruns what."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

from pipeline.data.games import game_key
from pipeline.report.tables import read_rows
from pipeline.spot.game_lists import read_split
from pipeline.spot.games import read_game
from pipeline.spot.pack_submission import check_submission
from tests import PROJECT
from tests.workflow.project import Project

RATE, SECONDS = 10, 40  # frames per second of the videos; seconds of a half
BEFORE = {1: 1.5, 2: 0.0}  # seconds of a half's file before it begins
CUES = {"y-card": (220, 40, 40), "substitution-in": (40, 40, 220), "soccer-ball": (240, 240, 240)}
GRASS = (40, 120, 50)
SPLITS = {"train": 3, "valid": 1, "test": 1}
TRUNCATED, DAMAGED = "league/2016-2017/train 1", "league/2016-2017/train 2"
KIND = "ResNET_PCA512.npy"


def name_of(split: str, number: int) -> str:
    return f"league/2016-2017/{split} {number}"


def events_of(number: int) -> dict[int, list[tuple[int, str]]]:
    """Second and label of a game's events, by half: far enough from each other for Figure 4.7."""
    labels = list(CUES)
    return {half: [(8 + number + 8 * k, labels[(k + number + half) % 3]) for k in range(3)] for half in BEFORE}


def write_half(path: Path, before: float, events: Sequence[tuple[int, str]], damaged: bool = False) -> None:
    """Grass; from an event on the picture has its colour for two seconds. ``damaged``: the second half of it is."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = 114, 64, "yuv420p"
        frames = int((before + SECONDS) * RATE)
        packets = []
        for k in range(frames):
            time = k / RATE - before
            shown = next((CUES[label] for begin, label in events if begin <= time < begin + 2), GRASS)
            frame = av.VideoFrame.from_ndarray(np.full((64, 114, 3), shown, np.uint8), "rgb24")
            frame.pts, frame.time_base = k, Fraction(1, RATE)
            packets += stream.encode(frame)
        for k, packet in enumerate([*packets, *stream.encode(None)]):
            if damaged and k > frames // 2:
                spoiled = av.Packet(b"\0\0\0\1\x41" + b"\xff" * packet.size)  # a picture that is none
                spoiled.stream, spoiled.time_base = stream, packet.time_base
                spoiled.pts, spoiled.dts, spoiled.duration = packet.pts, packet.dts, packet.duration
                packet = spoiled
            out.mux(packet)


def write_labels(path: Path, number: int) -> None:
    rows = [
        {"gameTime": f"{half} - {second // 60:02}:{second % 60:02}", "label": label, "visibility": "visible"}
        for half, listed in events_of(number).items()
        for second, label in listed
    ]
    path.write_text(json.dumps({"annotations": rows}))


def write_game(root: Path, name: str, number: int) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    sections = []
    for half, events in events_of(number).items():
        video = folder / f"{half}_HQ.mkv"
        write_half(video, BEFORE[half], events, damaged=name == DAMAGED and half == 2)
        sections.append(f"[{half}_HQ.mkv]\nstart_time_second = {BEFORE[half]}\nduration_second = {SECONDS}\n")
    if name == TRUNCATED:
        video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    (folder / "video.ini").write_text("".join(sections))
    write_labels(folder / "Labels.json", number)


def write_splits(folder: Path, counts: Mapping[str, int]) -> dict[str, str]:
    """The development kit's game lists."""
    paths = {split: folder / f"games_{split}.json" for split in counts}
    for split, path in paths.items():
        league, season, _ = name_of(split, 0).split("/")
        games = [name_of(split, number).rpartition("/")[2] for number in range(counts[split])]
        path.write_text(json.dumps({league: {season: games}}))
    return {split: str(path) for split, path in paths.items()}


def use(project: Project, root: Path, splits: Mapping[str, str], networks: Sequence[str], **changes: Any) -> None:
    """One's own games, some of the shipped networks, and a short way through everything."""
    shipped = yaml.safe_load((PROJECT / "config.yaml").read_text())["spot"]["networks"]
    project.configure(
        dataset="own",
        spot__data__adapter="soccernet",
        spot__data__root=str(root),
        spot__data__splits=dict(splits),
        spot__networks={name: changes if name in networks else None for name, changes in shipped.items()},
        spot__seeds=[1],
        spot__network__clip=11,
        spot__network__sampling__foreground=48,
        spot__network__sampling__background=12,
        spot__network__training__batch=12,
        spot__network__training__micro_batch=12,
        spot__network__training__epochs=2,
        **changes,
    )


def heavy(planned: Counter[str]) -> dict[str, int]:
    """What is planned, but for tables, figures and the list of bad games."""
    light = ("collect", "draw", "table", "figure")
    return {rule: count for rule, count in planned.items() if rule != "spot" and not rule.startswith(light)}


def kept(finished: Project, there: Path) -> Iterator[Project]:
    """A finished project; its configuration and its lists are put back, with their times."""
    lists = finished.folder / "results/own/spot/lists"
    shutil.copytree(lists, there / "kept_lists")
    with finished.restored() as project:
        yield project
    shutil.rmtree(lists)
    shutil.copytree(there / "kept_lists", lists)


# ---- from videos


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Games as SoccerNet has them; of those for training one is cut off and one cannot be decoded to its end."""
    root = tmp_path_factory.mktemp("videos")
    for split, count in SPLITS.items():
        for number in range(count):
            write_game(root, name_of(split, number), number)
    return root


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Project:
    project = Project(tmp_path_factory.mktemp("own"))
    use(
        project,
        videos,
        write_splits(project.folder, SPLITS),
        ["rms_net", "p_1"],
        spot__frames={"convert": None, "rate": 2.0, "stored": {"size": [64, 114], "jpeg_quality": 90}},
        spot__features__mobilenet__pca=8,
        spot__highlights__length=20,
        spot__highlights__min_confidence=0.0,
        spot__tables=["table_4_3", "figure_4_4", "figure_4_7"],
    )
    project.run("spot")
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Iterator[Project]:
    yield from kept(finished, tmp_path)


def test_from_videos_to_tables_and_highlights(finished):
    results = finished.folder / "results/own"
    assert [path.name for path in (results / "spot/networks").iterdir()] == ["rms_net"], "what the tables name"
    rows = read_rows(results / "tables/table_4_3.csv")
    assert [row["network"] for row in rows] == ["rms_net", "centred", "no_regression", "no_masking"]
    assert rows[0]["test_games"] == "1"
    for name in ("figure_4_4", "figure_4_7"):
        assert (results / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
    evaluation = json.loads((results / "spot/evaluations/rms_net/seed_1/test/evaluation.json").read_text())
    assert (evaluation["games"], evaluation["left_out"], evaluation["events"]) == (1, [], 6)
    assert evaluation["predictions"] > 0
    metrics = json.loads((results / "spot/networks/rms_net/seed_1/metrics.json").read_text())
    assert (metrics["games"], metrics["clips"]) == (1, 60), "two of the three games are bad"
    for private in ("spot/frames", "private/highlights"):
        assert (results / private).stat().st_mode & 0o777 == 0o700


def test_a_half_is_what_the_ini_says(finished):
    manifest = finished.folder / f"results/own/spot/games/{game_key(name_of('test', 0))}.json"
    game = read_game(manifest)
    assert [(half.start, half.duration, half.frames) for half in game.halves] == [(1.5, 40.0, 80), (0.0, 40.0, 80)]
    assert [(event.half, event.time) for event in game.events] == [(h, 8.0 + 8 * k) for h in (1, 2) for k in range(3)]
    assert {event.label for event in game.events} == {"card", "subs", "soccer"}


def test_bad_games_are_listed_with_their_reason(finished):
    header, *rows = (finished.folder / "results/own/spot/quarantine.tsv").read_text().splitlines()
    assert header == "game\ttask\treason"
    assert [row.split("\t")[:2] for row in rows] == [[TRUNCATED, "build_game"], [DAMAGED, "extract_game_frames"]]
    assert "2_HQ.mkv: truncated" in rows[0]
    assert "2_HQ.mkv" in rows[1]


def test_archive_is_what_the_server_takes(finished):
    archive = finished.folder / "results/own/spot/submissions/rms_net/seed_1/test.zip"
    assert not check_submission(archive, read_split(finished.folder / "games_test.json"), 1).problems


def test_highlights_play(finished):
    folder = finished.folder / "results/own/private/highlights"
    (video,) = folder.glob("*.mp4")
    about = json.loads(video.with_suffix(".json").read_text())
    assert 0 < about["length"] <= 20
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
    assert (frames[0].height, frames[0].width) == (64, 114)
    assert len(frames) / RATE == pytest.approx(about["length"], abs=0.5)
    assert video.with_suffix(".vtt").read_text().startswith("WEBVTT\n")


NETWORK = {"train_spotter": 1, "predict_spots": 2, "evaluate_spots": 2}
SHOWN = {"pack_submission": 1, "count_votes": 1, "cut_highlights": 1, "show_highlights": 1}
FEATURES = NETWORK | SHOWN | {"fit_pca": 1, "project_features": 5}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"spot__network__hidden": 16}, NETWORK | SHOWN),
        ({"spot__seeds": [1, 2]}, NETWORK),
        ({"spot__tables": ["table_4_4"]}, NETWORK),
        ({"spot__features__mobilenet__pca": 4}, FEATURES),
        (
            {"spot__frames__stored__jpeg_quality": 80},
            FEATURES | {"extract_game_frames": 5, "extract_frame_features": 5},
        ),
        ({"spot__main_network": "p_1"}, SHOWN | {"train_spotter": 1, "predict_spots": 1}),
        (
            {"spot__splits__submitted": "valid", "spot__highlights__length": 10.0},
            {"pack_submission": 1, "cut_highlights": 1, "show_highlights": 1},
        ),
    ],
    ids=str,
)
def test_what_reruns(project, changes, rules):
    project.configure(**changes)
    assert heavy(project.planned_rules("spot")) == rules


def test_moved_games_and_a_network_of_no_table_retrain_nothing(project, videos, tmp_path):
    (tmp_path / "elsewhere").symlink_to(videos)
    project.configure(spot__data__root=str(tmp_path / "elsewhere"), spot__networks__p_1__hidden=16)
    assert project.planned_rules("spot") == {}


OF_A_GAME = {"build_game": 1, "extract_game_frames": 1, "extract_frame_features": 1}
PREDICTED = SHOWN | {"project_features": 1, "predict_spots": 1, "evaluate_spots": 1}


def test_a_further_test_game_retrains_nothing(project, tmp_path):
    splits = write_splits(tmp_path, SPLITS | {"test": 2})
    project.configure(spot__data__splits__test=splits["test"])
    assert heavy(project.planned_rules("spot")) == OF_A_GAME | PREDICTED


@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_of_a_game_retrain_only_where_it_trains(project, videos, split):
    labels = videos / name_of(split, 0) / "Labels.json"
    text, time = labels.read_text(), labels.stat().st_mtime_ns
    write_labels(labels, 1)
    planned = heavy(project.planned_rules("spot"))
    labels.write_text(text)
    os.utime(labels, ns=(time, time))
    assert planned == OF_A_GAME | (FEATURES if split == "train" else PREDICTED)


# ---- from released features


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """SoccerNet-v2 without videos: the last game for training and those of the challenge have no labels."""
    project = Project(tmp_path_factory.mktemp("released"))
    random = np.random.default_rng(0)
    counts = {"train": 3, "valid": 1, "test": 1, "challenge": 1}
    root = project.folder / "games"
    for split, count in counts.items():
        for number in range(count):
            folder = root / name_of(split, number)
            folder.mkdir(parents=True)
            rows = []
            for half in BEFORE:
                features = random.normal(size=(2 * SECONDS, 8)).astype(np.float32)
                for second, label in zip((8, 16, 24), ("Goal", "Foul", "Corner"), strict=True):
                    features[2 * second : 2 * second + 4] += 3
                    position = str(1000 * second)
                    rows.append({"gameTime": f"{half} - 00:{second:02}", "label": label, "position": position})
                np.save(folder / f"{half}_{KIND}", features)
            if split != "challenge" and (split, number) != ("train", 2):
                (folder / "Labels-v2.json").write_text(json.dumps({"annotations": rows}))
    source = {"imported": KIND, "backbone": None, "crop": None, "pca": None}
    source |= {"batch": 64, "precision": "float32", "device": "cpu", "threads": 1}
    use(
        project,
        root,
        write_splits(project.folder, counts),
        ["rms_net"],
        spot__data__version=2,
        spot__data__videos=None,
        spot__data__use_video_ini=False,
        spot__features={"released": source},
        spot__network__input="released",
        spot__splits__submitted="challenge",
        spot__tables=["figure_4_4"],
    )
    return project


def test_released_features_need_no_video(released):
    assert released.planned_rules("spot") == {
        "build_game": 6,
        "train_spotter": 1,
        "predict_spots": 2,
        "evaluate_spots": 1,
        "draw_spotting_figure": 1,
        "pack_submission": 1,
        "collect_game_quarantine": 1,
        "spot": 1,
    }
    released.run("spot")
    results = released.folder / "results/own"
    bad = "\t".join([name_of("train", 2), "build_game", "Labels-v2.json: missing, but the split train needs labels"])
    assert (results / "spot/quarantine.tsv").read_text().splitlines()[1:] == [bad]
    metrics = json.loads((results / "spot/networks/rms_net/seed_1/metrics.json").read_text())
    assert metrics["games"] == 2
    evaluation = json.loads((results / "spot/evaluations/rms_net/seed_1/test/evaluation.json").read_text())
    assert (evaluation["games"], evaluation["events"], len(evaluation["loose"]["a_mAP_per_class"])) == (1, 6, 17)
    archive = results / "spot/submissions/rms_net/seed_1/challenge.zip"
    assert not check_submission(archive, [name_of("challenge", 0)], 2).problems


def test_released_features_may_move_and_see_no_frames(released, tmp_path):
    released.run("spot")  # done, unless this test is run by itself
    (tmp_path / "elsewhere").symlink_to(released.folder / "games")
    for project in kept(released, tmp_path):
        project.configure(
            spot__data__root=str(tmp_path / "elsewhere"),
            spot__frames__stored__jpeg_quality=80,
            spot__frames__convert=None,
            spot__highlights__length=None,
        )
        assert project.planned_rules("spot") == {}


# ---- mistakes, and what is shipped


def test_the_demos_games_do_not_stand_for_ones_own(tmp_path):
    project = Project(tmp_path / "project")
    project.use_two_classes()
    result = project.snakemake("-n", "spot", check=False)
    assert result.returncode != 0
    assert "spot.data still names the demo's games: name your own" in result.stdout + result.stderr


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the splits of the overlays, two games each; no file of them is there."""
    project = Project(tmp_path_factory.mktemp("empty"))
    (project.folder / "soccernet").mkdir()
    return project


@pytest.mark.parametrize(
    ("overlays", "splits", "rules"),
    [
        (
            ["soccernet"],
            ["train", "valid", "test"],
            {"build_game": 6, "train_spotter": 33, "count_votes": 1, "extract_game_frames": 0, "cut_highlights": 0},
        ),
        (
            ["soccernet", "soccernet_finetuned"],
            ["train", "valid", "test"],
            {"build_game": 6, "train_spotter": 4, "extract_game_frames": 6, "fit_pca": 0, "cut_highlights": 1},
        ),
        (
            ["soccernet_v2"],
            ["train", "valid", "test", "challenge"],
            {"build_game": 8, "train_spotter": 1, "extract_game_frames": 8, "predict_spots": 2, "evaluate_spots": 1},
        ),
        (
            ["soccernet_v2_released"],
            ["train", "valid", "test", "challenge"],
            {"build_game": 8, "train_spotter": 14, "extract_game_frames": 0, "pack_submission": 1},
        ),
    ],
    ids=["soccernet", "finetuned", "v2", "v2_released"],
)
def test_overlays_can_be_planned(empty, overlays, splits, rules):
    own = {"data": {"root": "soccernet", "splits": write_splits(empty.folder, dict.fromkeys(splits, 2))}}
    (empty.folder / "own.yaml").write_text(yaml.safe_dump({"spot": own}))
    files = [str(PROJECT / f"config/{overlay}.yaml") for overlay in overlays]
    planned = empty.planned_rules("--configfile", *files, "own.yaml", "--", "spot")
    assert {rule: planned[rule] for rule in rules} == rules
