"""`acta spot`: events planted in videos come out when they happen, features are the workflow's, mistakes are told."""

import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

import pipeline.spot.video as module
from pipeline.cli import main
from pipeline.models.rms_net import RmsNet
from pipeline.runtime.device import pinned_threads
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.games import read_game
from pipeline.spot.halves import Source, halves_of
from pipeline.spot.predict_spots import spot_halves
from pipeline.spot.soccernet_files import read_predictions, write_predictions
from pipeline.spot.sources import picture_source, shard_source
from pipeline.spot.spotter_file import SpotterDescription, save_spotter
from tests.unit.spot.planted_events import (
    ABOUT,
    ARCHITECTURE,
    EVENTS,
    FRAMES,
    KINDS,
    NAME,
    SPANS,
    Fields,
    Oracle,
    check,
    play,
    play_all,
    random_weights,
    slack_of,
    write_config,
    write_ini,
    write_matches,
)


@pytest.fixture(scope="module")
def matches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_matches(tmp_path_factory.mktemp("matches"))


@pytest.fixture(scope="module")
def played(matches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return play_all(matches / "uneven", tmp_path_factory.mktemp("results") / "spot")


def shown(folder: Path, cut: str = "ini") -> list[str]:
    """A match's videos and where its halves are, as options of the command."""
    halves = [str(path) for path in sorted(folder.glob(f"{cut}/*_HQ.*"))]
    return [*halves, "--ini", str(folder / cut / "video.ini")] if cut == "ini" else halves


def spot(*options: object) -> int:
    return main(["spot", *map(str, options)])


def give_oracle(patch: pytest.MonkeyPatch, clip: int, slack: float, input_: str = "frames") -> None:
    frames = FRAMES if input_ == "frames" else None
    about = replace(ABOUT, input=input_, frames=frames, architecture=replace(ARCHITECTURE, features=3))
    patch.setattr(module, "_PICTURES", 8)  # several windows are computed together, or a single one, by the stride
    patch.setattr(module, "load_spotter", lambda path: (Oracle(clip, slack), about))


EVERY = [(kind, 41, 4, cut) for kind in KINDS for cut in ("ini", "whole")]


@pytest.mark.parametrize(
    ("kind", "clip", "stride", "cut"),
    [*EVERY, *(("25", 41, s, "ini") for s in (1, 41)), *(("ntsc", 11, s, "whole") for s in (1, 4, 11, 17))],
)
def test_events_are_written_when_they_happen(matches, tmp_path, monkeypatch, kind, clip, stride, cut):
    """What parts them: half the time between two pictures, as a frame shows the nearest; grey levels; milliseconds.

    Half a frame, 0.25 s, would be added by a network that knows only in which frame an event is; the oracle reads the
    time off the picture, so that a shift by less shows too.
    """
    give_oracle(monkeypatch, clip, slack_of(kind))
    output = tmp_path / "events.json"
    assert spot(*shown(matches / kind, cut), "--model", "oracle", "--stride", stride, "-o", output) == 0
    # With sound and nothing before the half, the first picture comes after the first event.
    events = EVENTS[1:] if (kind, cut) == ("sound", "whole") else EVENTS
    if stride > clip:
        events = [event for event in events if event.time * 2 % stride < clip]
    check(read_predictions(output, 1).spots, slack_of(kind), events)


def test_events_are_written_when_they_happen_by_features(matches, tmp_path, monkeypatch):
    give_oracle(monkeypatch, 41, slack_of("25"), "mobilenet")
    monkeypatch.setattr(module, "build_frame_backbone", lambda name: Fields())
    monkeypatch.setattr(module, "load_frame_weights", lambda backbone, path: None)
    output = tmp_path / "events.json"
    (tmp_path / "any.pth").touch()
    options = ["--backbone", tmp_path / "any.pth"]
    options += ["--config", write_config(tmp_path / "mine.yaml", pca=None, crop=None)]
    assert spot(*shown(matches / "25"), "--model", "oracle", *options, "-o", output) == 0
    check(read_predictions(output, 1).spots, slack_of("25"))


# ---- outside the workflow


def model_of(folder: Path, name: str = "rms_net") -> Path:
    return folder / f"networks/{name}/seed_1/model.safetensors"


def weighted(played: Path, folder: Path, **changes: Any) -> list[object]:
    config = write_config(folder / "mine.yaml", **changes)
    return ["--model", model_of(played), "--config", config, "--backbone", played / "weights.pth"]


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """All that networks are shown, half by half."""
    seen: list[Tensor] = []

    def look(network: Any, source: Source, *args: Any, **options: Any) -> list[tuple[str, list[Spot]]]:
        seen.append(source.read(0, 0, source.halves[0].frames))
        return []

    monkeypatch.setattr(module, "spot_halves", look)
    return seen


def test_the_workflow_writes_the_same_times(matches, tmp_path, monkeypatch):
    frames = play(matches / "25", tmp_path)
    source = picture_source(halves_of([read_game(tmp_path / "game.json")], 1, 2.0), {NAME: frames})
    oracle, device = Oracle(41, slack_of("25")), torch.device("cpu")
    found = spot_halves(oracle, source, [0, 1], CLASSES[1], 2.0, 4, None, batch=8, device=device)
    assert [game for game, _ in found] == [NAME] * 2
    path = write_predictions(tmp_path, NAME, [spot for _, spots in found for spot in spots])
    check(read_predictions(path, 1).spots, slack_of("25"))
    give_oracle(monkeypatch, 41, slack_of("25"))
    options = ["--model", "oracle", "--stride", 4, "-o", tmp_path / "events.json"]
    assert spot(*shown(matches / "25"), *options) == 0
    mine, theirs = (json.loads(each.read_text()) for each in (tmp_path / "events.json", path))
    assert mine["predictions"] == theirs["predictions"]
    assert mine["UrlLocal"] == "ini"


def test_pictures_are_the_workflows(matches, played, tmp_path, sources):
    stored = picture_source(halves_of([read_game(played / "game.json")], 1, 2.0), {NAME: played / "frames/f.h5"})
    assert spot(*shown(matches / "uneven"), "--model", model_of(played, "pictures"), "-o", tmp_path / "o.json") == 0
    for position, (found, half) in enumerate(zip(sources, stored.halves, strict=True)):
        assert torch.equal(found, stored.read(position, 0, half.frames))


@pytest.mark.parametrize("pca", [4, None])
def test_features_are_the_workflows(matches, played, tmp_path, monkeypatch, sources, pca):
    halves = halves_of([read_game(played / "game.json")], 1, 2.0)
    stored = shard_source(halves, {NAME: played / ("projected.h5" if pca else "raw.h5")})
    monkeypatch.setattr(SpotterDescription, "check_input", lambda self, source, model: None)
    options = [*weighted(played, tmp_path, pca=pca), "-o", tmp_path / "o.json"]
    with pinned_threads(1):
        assert spot(*shown(matches / "uneven"), *options) == 0
    for position, (found, half) in enumerate(zip(sources, stored.halves, strict=True)):
        assert found.shape == (half.frames, pca or 1280)
        assert torch.equal(found, stored.read(position, 0, half.frames))


# ---- the command


@pytest.mark.parametrize("halves", [1, 2])
def test_videos_and_their_features_give_the_same_events(matches, played, tmp_path, capsys, halves):
    shards = shard_source(halves_of([read_game(played / "game.json")], 1, 2.0), {NAME: played / "projected.h5"})
    arrays = []
    for position in range(halves):
        arrays.append(tmp_path / f"{position + 1}.npy")
        np.save(arrays[-1], shards.read(position, 0, shards.halves[position].frames).numpy())
    files = shown(matches / "uneven")
    options = [*weighted(played, tmp_path), "--stride", 2, "--nms", 3.5]
    with pinned_threads(1):
        assert spot(*files[:halves], *files[2:], *options, "-o", tmp_path / "videos.json") == 0
        assert spot(*arrays, "--model", model_of(played), *options[-4:], "-o", tmp_path / "arrays.json") == 0
    assert f"wrote {tmp_path}/arrays.json: " in capsys.readouterr().out
    found = read_predictions(tmp_path / "videos.json", 1)
    assert found == read_predictions(tmp_path / "arrays.json", 1)
    assert {each.half for each in found.spots} == set(range(1, halves + 1))
    for one, next_ in pairwise(sorted(found.spots, key=lambda each: (each.half, each.label, each.time))):
        assert (one.half, one.label) != (next_.half, next_.label) or next_.time - one.time > 1.75
    again = [*arrays, "--model", model_of(played), "-o", tmp_path / "arrays.json"]
    assert spot(*again) == 1
    assert spot(*again, "--overwrite") == 0
    assert read_predictions(tmp_path / "arrays.json", 1) != found, "with other strides, and all that is near"


def test_a_network_on_pictures(matches, played, tmp_path):
    options = ["--model", model_of(played, "pictures"), "-o", tmp_path / "o.json"]
    assert spot(*shown(matches / "25"), *options, "--stride", 30) == 0
    found = read_predictions(tmp_path / "o.json", 1).spots
    assert all(0 <= each.time <= SPANS[each.half][1] + 0.5 for each in found)


def test_features_are_mapped_not_read(played, tmp_path, monkeypatch):
    np.save(tmp_path / "1.npy", np.zeros((9, 4), np.float64))
    loaded, load = [], np.load
    monkeypatch.setattr(np, "load", lambda *args, **named: loaded.append(load(*args, **named)) or loaded[-1])
    assert spot(tmp_path / "1.npy", "--model", model_of(played), "-o", tmp_path / "o.json") == 0
    assert [type(array) for array in loaded] == [np.memmap]


@pytest.mark.parametrize(("name", "most"), [("rms_net", 2 * 7 + 1), ("pictures", 3 + 41)])
def test_few_pictures_are_held(matches, played, tmp_path, monkeypatch, name, most):
    alive, peak, total, pictures = 0, 0, 0, module._pictures

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def counted(*args: Any) -> Iterator[np.ndarray]:
        nonlocal alive, peak, total
        for image in pictures(*args):
            copy = image.copy()
            weakref.finalize(copy, gone)
            alive, total = alive + 1, total + 1
            peak = max(peak, alive)
            yield copy

    monkeypatch.setattr(module, "_pictures", counted)
    monkeypatch.setattr(module, "_PICTURES", 4)
    options = [*weighted(played, tmp_path), "--model", model_of(played, name)]
    assert spot(*shown(matches / "25"), *options, "--stride", 1, "-o", tmp_path / "o.json") == 0
    assert peak <= most < 45 < total, "a half of 45 frames is never held whole"


@pytest.fixture(scope="module")
def files(matches: Path, played: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs that cannot be used, and the options by which they are made wrong."""
    folder = tmp_path_factory.mktemp("files")
    for name, input_ in (("astray", "mobilenet"), ("other", "other")):
        save_spotter(folder / f"{name}.safetensors", RmsNet(ARCHITECTURE), replace(ABOUT, input=input_))
    torch.save(random_weights(), folder / "other.pth")
    arrays = {"wide": np.zeros((9, 5), "f4"), "flat": np.zeros(9, "f4"), "whole": np.zeros((9, 4), int)}
    for name, array in arrays.items():
        np.save(folder / name, array)
    (folder / "cut.npy").write_bytes((folder / "wide.npy").read_bytes()[:-8])
    video = (matches / "25/whole/1_HQ.mkv").read_bytes()
    (folder / "half.mkv").write_bytes(video[: len(video) // 2])
    write_ini(folder / "long.ini", SPANS | {2: (1.72, 40.0)})
    with av.open(str(folder / "sound.mkv"), "w") as out:
        sound: Any = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        block.sample_rate = 8000
        out.mux(sound.encode(block))
    (folder / "there.json").write_text("mine")
    write_config(folder / "mine.yaml")
    write_config(folder / "full.yaml", pca=None)
    write_config(folder / "crop.yaml", crop=40)
    return folder


MISTAKES = {
    "{video} --model none.safetensors": "cannot read the model's description none.json",
    "{files}/wide.npy {good}": "'mobilenet' with 4 channels, but is shown 5",
    "{video} {good} --model {files}/other.safetensors": "features 'other', which the configuration does not make of",
    "{video} {good} --model {files}/astray.safetensors": "give the projection (--projection)",
    "{video} {good} --projection p.safetensors": "cannot read the projection's description p.json",
    "{video} {good} --config {files}/full.yaml --projection p.safetensors": "'mobilenet' have no projection",
    "{video} {good} --backbone {files}/other.pth": "was fitted on features of another backbone than",
    "{video} {good} --backbone none.pth": "none.pth",
    "{video} {good} --config {files}/crop.yaml": "`crop` is 40, but a picture has 32 × 48 pixels",
    "{video} {video} {video} {good}": "3 files are given; a match has two halves at most",
    "{video} {good} -o {files}/there.json": "there.json exists; --overwrite replaces it",
    "{video} {good} --stride 0": "--stride 0 is not above 0",
    "{video} {good} --nms nan": "--nms nan is not above 0",
    "none.mkv {good}": "none.mkv: missing",
    "none.npy {good}": "cannot read none.npy: No such file",
    "{files}/flat.npy {good}": "flat.npy holds float32 of shape (9,), but floats (frames, channels) are needed",
    "{files}/whole.npy {good}": "whole.npy holds int64 of shape (9, 4)",
    "{files}/cut.npy {good}": "cut.npy",
    "{files}/half.mkv {good}": "half.mkv: truncated: ",
    "{files}/sound.mkv {good}": "sound.mkv: no video stream (only audio)",
    "{both} {good} --ini {files}/long.ini": "2_HQ.mkv: truncated: it ends at 26.52 s, the half at 41.72 s (video.ini)",
    "{both} {good} --ini none.ini": "cannot read the file none.ini",
}


@pytest.mark.parametrize(("options", "message"), MISTAKES.items())
def test_mistakes_are_told(matches, played, files, tmp_path, capsys, options, message):
    good = f"--model {model_of(played)} --config {files}/mine.yaml --backbone {played}/weights.pth"
    video, both = str(matches / "25/whole/1_HQ.mkv"), " ".join(shown(matches / "25")[:2])
    given = options.format(video=video, both=both, files=files, good=good).split()
    assert spot("-o", tmp_path / "out.json", *given) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "out.json").exists()
    assert (files / "there.json").read_text() == "mine"
