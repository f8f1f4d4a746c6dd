"""`acta spot`: events planted in videos come out when they happen, features are the workflow's, mistakes are told."""

import json
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model

import pipeline.spot.video as module
from pipeline.cli import main
from pipeline.config.base import parse
from pipeline.config.tasks.spot import BuildGame, ExtractFrameFeatures, ExtractGameFrames, FitPca
from pipeline.media.lists import Listed
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.runtime.device import pinned_threads
from pipeline.spot.build_game import build_game
from pipeline.spot.events import CLASSES, Event, Spot
from pipeline.spot.extract_frame_features import extract_frame_features
from pipeline.spot.extract_game_frames import extract_game_frames
from pipeline.spot.fit_pca import fit_pca
from pipeline.spot.games import read_game
from pipeline.spot.halves import Source, halves_of
from pipeline.spot.predict_spots import spot_halves
from pipeline.spot.project_features import project_features
from pipeline.spot.soccernet_files import read_predictions, write_predictions
from pipeline.spot.sources import picture_source, shard_source
from pipeline.spot.spotter_file import SpotterDescription, save_spotter

NAME = "league/2014-2015/A 1 - 1 B"
HEIGHT, WIDTH = 32, 48
REACH, LEVELS = 0.75, 140  # seconds around an event in which pictures tell when it is; grey levels a second
SPANS = {1: (3.4, 24.0), 2: (1.72, 22.3)}  # of the halves in their videos: start, duration
# In a half's first and last seconds, and where one window of 41 frames (20.5 s) ends and the next begins. As the oracle
# tells the first event of a window, no two are in all the windows that either is in, whatever the stride.
EVENTS = [Event(1, 0.0, "soccer"), Event(1, 23.9, "subs"), Event(2, 1.63, "card"), Event(2, 20.5, "soccer")]
DECOYS = (-1.5, 1.5)  # seconds before a half's beginning and after its end at which something happens too


def picture(time: float, events: Sequence[Event]) -> np.ndarray:
    """Three grey fields: how long before or after the nearest event it is, whether there is one, its class."""
    image = np.full((HEIGHT, WIDTH, 3), 16, np.uint8)
    nearest = min(events, key=lambda event: abs(event.time - time))
    if abs(nearest.time - time) <= REACH:
        image[:, :16] = round(126 + LEVELS * (nearest.time - time))
        image[:, 16:32] = 235
        image[:, 32:] = 36 + 80 * CLASSES[1].index(nearest.label)
    return image


def write_half(
    path: Path, half: int, span: tuple[float, float], times: Sequence[float], *, begin: float = 0, sound: bool = False
) -> None:
    """A video with pictures at these seconds after the container's start, whose time stamps are ``begin`` later."""
    start, duration = span
    events = [event for event in EVENTS if event.half == half]
    events += [Event(half, DECOYS[0], "card"), Event(half, duration + DECOYS[1], "card")]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "10", "g": "50"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = video.time_base = Fraction(1, 90_000)
        audio: Any = out.add_stream("pcm_s16le", rate=8000, layout="mono") if sound else None
        heard = 0
        for time in times:
            while audio and heard <= time:
                block = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
                block.sample_rate, block.time_base = 8000, Fraction(1, 8000)
                block.pts, heard = round((heard + begin) * 8000), heard + 1
                out.mux(audio.encode(block))
            frame = av.VideoFrame.from_ndarray(picture(time - start, events), "rgb24")
            frame.pts, frame.time_base = round((time + begin) * 90_000), Fraction(1, 90_000)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def uneven(end: float) -> list[float]:
    """Times of pictures between 20 and 200 ms apart."""
    times = np.cumsum(np.random.default_rng(0).choice([0.02, 0.04, 0.1, 0.2], int(end / 0.02)))
    return [0.0, *times[times < end].tolist()]


# Container, seconds at which its time stamps begin, seconds from one picture to the next, and whether there is sound,
# which then begins 0.8 seconds earlier than the pictures.
KINDS = {
    "25": ("mkv", 0.0, 1 / 25, False),
    "ntsc": ("mp4", 7.3, 1001 / 30000, False),
    "uneven": ("mkv", 2.0, None, False),
    "sound": ("mkv", 7.3, 1 / 25, True),
}
LONGEST = 0.2  # between two pictures of `uneven`


@pytest.fixture(scope="module")
def matches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Matches by kind: `ini` has more before and after its halves, `whole` the halves alone."""
    root = tmp_path_factory.mktemp("matches")
    for kind, (suffix, begin, step, sound) in KINDS.items():
        for cut in ("ini", "whole"):
            folder = root / kind / cut
            for half, (start, duration) in SPANS.items():
                if cut == "whole":
                    start, end = 0.0, duration
                else:
                    end = start + duration + 2.5
                times = uneven(end) if step is None else [k * step for k in range(round(end / step))]
                times = [time for time in times if not sound or time >= 0.8]
                span = (start, duration)
                write_half(folder / f"{half}_HQ.{suffix}", half, span, times, begin=begin, sound=sound)
            if cut == "ini":
                write_ini(folder / "video.ini", SPANS)
    return root


def write_ini(path: Path, spans: dict[int, tuple[float, float]]) -> None:
    lines = [f"[{n}_HQ.mkv]\nstart_time_second = {s}\nduration_second = {d}" for n, (s, d) in spans.items()]
    path.write_text("\n".join(lines))


ARCHITECTURE = RmsNetArchitecture(3, 4, 41, None, (8, 8), 3, 0.0, 4, True)
FRAMES: dict[str, Any] = {"convert": None, "rate": 2.0, "stored": {"size": [HEIGHT, WIDTH], "jpeg_quality": 95}}
ABOUT = SpotterDescription(ARCHITECTURE, 1, 2.0, "mobilenet", None, None, None, {})


class Oracle(nn.Module):
    """Reads the first event of a window off its pictures, uint8 (b, T, 3, h, w), or off the means of their fields.

    An event belongs to the last frame that is not after it. The pictures' own times are up to ``slack`` seconds off
    the frames', so that an event at such a border may be read off the frame before or after, to the same time.
    """

    def __init__(self, clip: int, slack: float):
        super().__init__()
        self.architecture = replace(ARCHITECTURE, clip=clip, features=3)
        self._slack = slack

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        if clips.ndim == 5:
            clips = fields(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        ahead = (clips[..., 0] - 126) / LEVELS
        there = (clips[..., 1] > 126) & (ahead >= -self._slack) & (ahead < 0.5 + self._slack)
        rows, first = torch.arange(len(clips)), there.int().argmax(1)
        label = torch.where(there.any(1), ((clips[rows, first, 2] - 36) / 80).round().long(), 3)
        offset = (first + 2 * ahead[rows, first]) / clips.shape[1]
        return 9 * torch.eye(4)[label], offset.clamp(0, 1)


def fields(pictures: Tensor) -> Tensor:
    """The mean grey of each field, (n, 3)."""
    grey = pictures.float().mean(1)[:, 8:24]
    return torch.stack([grey[..., left + 4 : left + 12].mean((1, 2)) for left in (0, 16, 32)], 1)


class Fields(nn.Module):
    """A backbone for the oracle."""

    def forward(self, pictures: Tensor) -> Tensor:
        return fields(pictures)

    def fuse(self) -> "Fields":
        return self


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


def check(found: Sequence[Spot], bound: float, events: Sequence[Event] = EVENTS) -> None:
    """Nothing but the events, each with its class, in its half and when it happens."""
    assert bound < 0.25
    for event in events:
        assert any(is_of(spot, event, bound) for spot in found), event
    for spot in found:
        assert any(is_of(spot, event, bound) for event in events), spot


def is_of(spot: Spot, event: Event, bound: float) -> bool:
    return (spot.half, spot.label) == (event.half, event.label) and abs(spot.time - event.time) <= bound


def slack_of(kind: str) -> float:
    """How far a frame's picture can be from the frame: half of what lies between two pictures, and the grey levels."""
    return (KINDS[kind][2] or LONGEST) / 2 + 0.02


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


# ---- beside the workflow


def play(root: Path, folder: Path) -> Path:
    """The first two tasks on a match with video.ini: its manifest and frame shard, in ``folder``."""
    roles = {"labels": "Labels.json", "video/1": "1_HQ.mkv", "video/2": "2_HQ.mkv", "ini": "video.ini"}
    rows = [Listed(role, f"ini/{file}", "", "train", 1, 2) for role, file in roles.items()]
    (folder / "list.json").write_text(json.dumps({"game": NAME, "files": rows}))
    about = {"version": 1, "use_video_ini": True, "rate": 2.0, "videos": "HQ.mkv", "imported": (), "annotated": ()}
    build_game(folder / "list.json", root, folder / "game.json", parse(BuildGame, about))
    extract_game_frames(
        folder / "game.json", root, folder / "frames/f.h5", parse(ExtractGameFrames, {"frames": FRAMES})
    )
    return folder / "frames/f.h5"


def random_weights() -> dict[str, Tensor]:
    """Of torchvision's MobileNetV2, with statistics that keep the features from vanishing."""
    network = get_model("mobilenet_v2", weights=None)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(16, 3, 32, 32))
    return network.state_dict()


@pytest.fixture(scope="module")
def played(matches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest, frames and features of a match by the workflow's tasks, and the weights, where it puts them."""
    folder = tmp_path_factory.mktemp("results") / "spot"
    (folder / "features/mobilenet").mkdir(parents=True)
    shard = play(matches / "uneven", folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(random_weights(), folder / "weights.pth")
        kinds = {
            "rms_net": (RmsNet(ARCHITECTURE), ABOUT),
            "pictures": (RmsNet(replace(ARCHITECTURE, features=3, backbone="mobilenet_v2")), None),
        }
    for name, (network, about) in kinds.items():
        torch.nn.init.constant_(network.classify.bias[-1:], -9)  # so that there are events
        path = folder / f"networks/{name}/seed_1/model.safetensors"
        path.parent.mkdir(parents=True)
        save_spotter(path, network, about or replace(ABOUT, architecture=network.architecture, frames=FRAMES))
    backbone = {"name": "mobilenet_v2", "weights": None}
    about = {"backbone": backbone, "crop": 32, "batch": 7, "precision": "float32", "device": "cpu", "threads": 1}
    raw, projection = folder / "raw.h5", folder / "features/mobilenet/pca.safetensors"
    extract_frame_features(shard, raw, parse(ExtractFrameFeatures, about), folder / "weights.pth")
    fit_pca([raw], projection, FitPca(components=4, train=("train",)))
    project_features(raw, projection, folder / "projected.h5")
    return folder


def write_config(path: Path, **changes: Any) -> Path:
    """A configuration over the shipped one, in which features are made as in `played` but for changes."""
    features = {"pca": 4, "batch": 7, "crop": 32} | changes
    path.write_text(json.dumps({"spot": {"frames": FRAMES, "features": {"mobilenet": features}}}))
    return path


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
