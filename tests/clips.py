"""Clips with known frames, made on the spot.

Frame k of every clip carries the number k as 8 black or white squares in its top row, so that a test can say which
frame it sees, whatever the size, rotation or compression.
"""

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe

BITS = 8


def ffmpeg(*arguments: object) -> None:
    """Run the ffmpeg that a package carries; for files that PyAV cannot write."""
    command = [get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def numbered_image(number: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A picture of frame ``number``: uint8 (height, width, 3), RGB. Red falls to the right, green downwards."""
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(220, 30, width)[None]
    image[..., 1] = np.linspace(30, 220, height)[:, None]
    image[..., 2] = 60
    band, cell = height // 4, width // BITS
    for bit in range(BITS):
        image[:band, bit * cell : (bit + 1) * cell] = 235 if number >> bit & 1 else 16
    return image


def read_number(image: np.ndarray) -> int:
    """The number that `numbered_image` wrote into an upright picture of any size."""
    height, width = image.shape[:2]
    row = image[height // 8].astype(int).mean(axis=-1)
    cells = [row[int((bit + 0.5) * width / BITS)] for bit in range(BITS)]
    return sum(1 << bit for bit, value in enumerate(cells) if value > 125)


def write_clip(
    path: Path,
    frames: int = 12,
    rate: Fraction | int = 10,
    size: tuple[int, int] = (96, 128),
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    mirrored: bool = False,
    audio: bool = False,
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip of numbered frames.

    Args:
        path: The suffix chooses the container.
        rate: Frames per second.
        size: Stored height and width.
        rotation: Counter-clockwise degrees that make the stored frames upright; the number is drawn upright.
        mirrored: They are mirrored left to right after that.
        audio: Add a tone.
        times: Time stamps in units of 1/1000 s, for a variable frame rate.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream: Any = out.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        sound = out.add_stream("aac", rate=44100, layout="mono") if audio else None
        for k in range(frames):
            upright = numbered_image(k, *((width, height) if rotation % 180 else (height, width)))
            shown = upright[:, ::-1] if mirrored else upright
            stored = np.ascontiguousarray(np.rot90(shown, -rotation // 90))
            frame = av.VideoFrame.from_ndarray(stored, "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[k], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            _write_tone(out, sound, float(frames / rate))
    return path


def _write_tone(out: Any, stream: Any, seconds: float) -> None:
    wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(int(44100 * seconds)) / 44100)
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def read_times(path: Path) -> list[float]:
    """Time stamps of a file's frames as PyAV gives them, in seconds."""
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
