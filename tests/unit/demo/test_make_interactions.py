"""The demo's AVA-style videos: as announced, read by the AVA readers, labelled by what is drawn and nothing else."""

from collections import Counter
from dataclasses import replace
from functools import cache
from math import hypot
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.cli import parse
from pipeline.demo import get_footage as demo
from pipeline.demo import make_interactions as interactions
from pipeline.demo.drawing import HEIGHT, RATE, WIDTH, write_video
from pipeline.demo.get_footage import VIDEOS, interaction_files, interaction_names
from pipeline.demo.interaction_plan import ACTIONS, Second, actions, figure_box, imagine, keyframes, thing_box
from pipeline.demo.make_interactions import draw, make_interactions
from pipeline.detect.annotation.ava import read_label_map, read_rows

SCALE = [WIDTH, HEIGHT, WIDTH, HEIGHT]
USED = {"play with ball": "ball", "drink": "cup", "read": "book"}


@pytest.fixture(scope="module")
def few() -> dict[str, int]:
    return {"train": 2, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def made(footage: Path, few: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("interactions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "VIDEOS", few)
        patch.setattr(interactions, "VIDEOS", few)
        make_interactions(footage, root)
    return root


@cache
def _stories(count: int = 2) -> list[list[Second]]:
    return [imagine(split, number) for split in VIDEOS for number in range(count)]


def test_files_are_those_announced(made: Path, few: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(interaction_files()) == sum(VIDEOS.values()) + 5
    assert [f"videos/{name}.mp4" for name, _ in interaction_names()] == interaction_files()[:-5]
    monkeypatch.setattr(demo, "VIDEOS", few)
    there = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert there == set(interaction_files())


def test_the_ava_readers_read_everything(made: Path, few: dict[str, int]) -> None:
    labels = read_label_map(made / "label_map.pbtxt")
    assert list(labels.names.values()) == list(ACTIONS)
    assert Counter(labels.groups.values()) == {"pose": 3, "person-object": 4, "person-person": 2}
    for split, count in few.items():
        rows = read_rows(made / f"{split}.csv")
        assert {video for video, _ in rows.frames} == {f"{split}_{number:02d}" for number in range(count)}
        assert ((rows.box >= 0) & (rows.box <= 1)).all()
        assert (rows.box[:, 2:] - rows.box[:, :2] > 0.1).all()
        wanted = [
            ((video, time * 10**6), list(ACTIONS).index(name) + 1, figure.person)
            for number in range(count)
            for video, story in [(f"{split}_{number:02d}", imagine(split, number))]
            for time in keyframes(story)
            for figure, names in zip(story[time].figures, actions(story, time), strict=True)
            for name in names
        ]
        read = zip((rows.frames[k] for k in rows.frame), rows.action.tolist(), rows.score.tolist(), strict=True)
        assert list(read) == wanted


def test_objects_are_those_of_the_training_videos(made: Path) -> None:
    rows = [line.split(",") for line in (made / "objects.csv").read_text().splitlines()]
    assert {row[0] for row in rows} == {"train_00", "train_01"}
    assert {row[6] for row in rows} == {"person", "ball", "cup", "book", "lamp", "lit lamp"}
    frames = Counter((row[0], row[1]) for row in rows if row[6] != "person")
    assert set(frames.values()) == {4}
    assert all(0 <= float(value) <= 1 for row in rows for value in row[2:6])
    assert rows[0][1] == "0001"


def test_videos_are_whole_and_keyframes_far_from_their_ends(made: Path) -> None:
    for number in range(2):
        story = imagine("train", number)
        with av.open(str(made / f"videos/train_{number:02d}.mp4")) as container:
            stream = container.streams.video[0]
            size = (stream.frames, stream.height, stream.width, stream.average_rate)
        assert size == ((len(story) - 1) * RATE, HEIGHT, WIDTH, RATE)
        assert 14 <= len(story) - 1 <= 16
        assert list(keyframes(story)) == list(range(1, len(story) - 1))


def test_actions_follow_from_what_is_drawn() -> None:
    for story in _stories():
        for time in keyframes(story):
            now = story[time]
            lit = [next(thing.lit for thing in story[k].things if thing.kind == "lamp") for k in (time - 1, time + 1)]
            for figure, names in zip(now.figures, actions(story, time), strict=True):
                x, y = _middle(figure_box(figure))
                places = {thing.kind: _middle(thing_box(thing)) for thing in now.things}
                apart = {kind: hypot(a - x, b - y) for kind, (a, b) in places.items()}
                nearest = min(apart, key=apart.__getitem__)
                used = [USED[name] for name in names if name in USED]
                assert used == ([nearest] if apart[nearest] <= 0.3 and nearest != "lamp" else [])
                assert ("watch (the lamp)" in names) == any(lit)
                others = any(other.talks for other in now.figures if other is not figure)
                assert ("listen to" in names) == (others and not figure.talks)
                assert ("talk to" in names) == figure.talks
                assert [name for name in names if name in ("stand", "bend", "jump")] == [figure.pose]


def _middle(box: tuple[float, float, float, float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def test_every_scene_has_the_same_objects_and_none_is_in_a_box() -> None:
    for story in _stories():
        for time in keyframes(story):
            assert sorted(thing.kind for thing in story[time].things) == ["ball", "book", "cup", "lamp"]
            people = [figure_box(figure) for figure in story[time].figures]
            assert 2 <= len(people) <= 3
            for k, one in enumerate(people):
                assert all(_overlap(one, thing_box(thing)) == 0 for thing in story[time].things)
                assert all(_overlap(one, other) < 0.35 for other in people[:k])


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Of the first box's area."""
    sides = [max(min(one[k + 2], other[k + 2]) - max(one[k], other[k]), 0) for k in (0, 1)]
    return sides[0] * sides[1] / ((one[2] - one[0]) * (one[3] - one[1]))


def test_classes_are_balanced_and_the_lamp_now_says_nothing() -> None:
    stories = _stories(8)
    done = [names for story in stories for time in keyframes(story) for names in actions(story, time)]
    for name in ACTIONS:
        assert 0.15 <= sum(name in names for names in done) / len(done) <= 0.6, name
    watched: dict[bool, list[bool]] = {True: [], False: []}
    for story in stories:
        for time in keyframes(story):
            watched[any(thing.lit for thing in story[time].things)] += ["watch (the lamp)" in actions(story, time)[0]]
    assert abs(np.mean(watched[True]) - np.mean(watched[False])) < 0.15


def test_a_second_around_a_keyframe_shows_nothing_of_its_neighbours(footage: Path) -> None:
    story, other = imagine("train", 1), imagine("test", 3)
    time = 5
    changed = list(story)
    for k in (time - 1, time + 1):
        changed[k] = replace(other[k], things=tuple(replace(thing, lit=True) for thing in other[k].things))
    before, after = (np.stack(list(draw(seconds, footage))) for seconds in (story, changed))
    clip = slice(time * RATE - RATE // 2, time * RATE + RATE // 2)
    assert np.array_equal(before[clip], after[clip])
    assert not np.array_equal(before[clip.start - 1], after[clip.start - 1])
    assert not np.array_equal(before[clip.stop], after[clip.stop])


def test_what_is_drawn_fills_its_box(footage: Path) -> None:
    """Without a person or an object the picture changes in the box, and hardly around it."""
    story = imagine("train", 1)
    second = replace(story[3], things=tuple(replace(thing, lit=False) for thing in story[3].things))
    whole = _keyframe(second, footage)
    for thing in second.things:
        left = tuple(other for other in second.things if other is not thing)
        changed = (_keyframe(replace(second, things=left), footage) != whole).any(2)
        y, x = np.nonzero(changed)
        drawn = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
        assert np.abs(drawn - np.array(thing_box(thing)) * SCALE).max() < 2.5, thing.kind
    for figure in second.figures:
        rest = tuple(other for other in second.figures if other is not figure)
        changed = (_keyframe(replace(second, figures=rest), footage) != whole).any(2)
        x1, y1, x2, y2 = (np.array(figure_box(figure)) * SCALE).round().astype(int)
        assert changed[y1:y2, x1:x2].mean() > 0.5
        assert changed[: max(y1 - 2, 0)].sum() == 0


def _keyframe(second: Second, footage: Path) -> np.ndarray:
    return next(draw([second, second], footage))


def test_the_same_bytes_each_time(footage: Path, made: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "again.mp4", draw(imagine("val", 0), footage))
    assert (tmp_path / "again.mp4").read_bytes() == (made / "videos/val_00.mp4").read_bytes()
    assert imagine("val", 0) == imagine("val", 0)
    assert imagine("val", 0) != imagine("val", 1)


def test_the_command_line_knows_it() -> None:
    options = parse(["task", "make_interactions", "--footage", "there", "--root", "here", "--cores", "2"])
    assert (options.footage, options.root, options.cores) == (Path("there"), Path("here"), 2)
