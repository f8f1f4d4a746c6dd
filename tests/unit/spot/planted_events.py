"""Matches in whose pictures events are planted, a network that reads them off, and what the workflow makes of them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from pipeline.config.base import parse
from pipeline.config.tasks.spot import BuildGame, ExtractFrameFeatures, ExtractGameFrames, FitPca
from pipeline.media.lists import Listed
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.spot.build_game import build_game
from pipeline.spot.events import CLASSES, Event, Spot
from pipeline.spot.extract_frame_features import extract_frame_features
from pipeline.spot.extract_game_frames import extract_game_frames
from pipeline.spot.fit_pca import fit_pca
from pipeline.spot.project_features import project_features
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


def write_matches(root: Path) -> Path:
    """Matches by kind: `ini` has more before and after its halves, `whole` the halves alone."""
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


def slack_of(kind: str) -> float:
    """How far a frame's picture can be from the frame: half of what lies between two pictures, and the grey levels."""
    return (KINDS[kind][2] or LONGEST) / 2 + 0.02


def check(found: Sequence[Spot], bound: float, events: Sequence[Event] = EVENTS) -> None:
    """Nothing but the events, each with its class, in its half and when it happens."""
    assert bound < 0.25
    for event in events:
        assert any(is_of(spot, event, bound) for spot in found), event
    for spot in found:
        assert any(is_of(spot, event, bound) for event in events), spot


def is_of(spot: Spot, event: Event, bound: float) -> bool:
    return (spot.half, spot.label) == (event.half, event.label) and abs(spot.time - event.time) <= bound


# ---- as the workflow makes them


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


def play_all(match: Path, folder: Path) -> Path:
    """Manifest, frames and features of a match by the workflow's tasks, and the weights, where it puts them."""
    (folder / "features/mobilenet").mkdir(parents=True)
    shard = play(match, folder)
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
