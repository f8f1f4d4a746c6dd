"""Copies without a change, and what is in a file: what the tests of encoding share."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.media.decode import decode, open_video, orientation, scaled_size, to_rgb
from pipeline.media.encode import Encoding, rewritten
from tests.clips import read_number

RATE = 10  # frames a second of all clips here
ONSET = 0.5  # seconds after which their tone begins


def copy(source: Path, output: Path, **options: Any) -> list[str]:
    """Write a copy picture by picture; returns the notes."""
    if "keep" in options:
        options["keep"] = frozenset(options["keep"])
    with rewritten(source, output, Encoding(preset="ultrafast", **options)) as (pictures, writer):
        for frame in pictures:
            writer.write(frame)
    return writer.notes


@dataclass
class Pictures:
    """The upright pictures of a file with their times, and how they are stored."""

    times: list[float]
    images: list[np.ndarray]
    stored: tuple[int, int]
    aspect: Fraction
    rotation: tuple[int, bool]
    frames: list[av.VideoFrame]
    stream: Any

    @property
    def numbers(self) -> list[int]:
        return [read_number(image) for image in self.images]


def pictures(path: Path) -> Pictures:
    """Decode a file as the project does."""
    with open_video(path) as (container, stream):
        times, frames = zip(*decode(container, stream), strict=True)
        shown = orientation(frames[0])
        images = [to_rgb(frame, *scaled_size(frame, None)) for frame in frames]
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return Pictures(
            list(times),
            images,
            (frames[0].height, frames[0].width),
            aspect,
            (shown.quarters, shown.mirrored),
            list(frames),
            stream.codec_context,
        )


def onset(path: Path) -> float:
    """Time at which a file's tone begins, in seconds after the first picture."""
    first = pictures(path).times[0]
    loud = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            resampler = av.AudioResampler("flt", "mono")
            for block in resampler.resample(frame):
                values = np.abs(block.to_ndarray()[0])
                places = np.flatnonzero(values > 0.02)
                if len(places):
                    loud.append(float(frame.time or 0) + places[0] / frame.sample_rate)
    return loud[0] - first


def packets(path: Path, kind: str) -> list[bytes]:
    """The packets of a file's only stream of a kind."""
    with av.open(str(path)) as container:
        [stream] = getattr(container.streams, kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def streams(path: Path) -> list[tuple[str, str | None]]:
    """Type and language of every stream, in the file's order."""
    with av.open(str(path)) as container:
        return [(stream.type, stream.language) for stream in container.streams]
