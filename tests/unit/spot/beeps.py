"""Halves of games in which every picture has its number, and every second begins with a flash and a beep."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.clips import numbered_image

BEEP = 0.06  # seconds


def write_half(
    path: Path,
    seconds: float = 6,
    rate: Fraction | int = 25,
    size: tuple[int, int] = (96, 128),
    *,
    times: Sequence[float] | None = None,
    begin: float = 0.0,
    sound: int | None = 48_000,
    sound_from: float = 0.0,
    layout: str = "stereo",
    rotation: int = 0,
    aspect: Fraction | None = None,
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Write a half: picture k carries k modulo 256; the picture and sound of each whole second flash and beep.

    Args:
        times: Seconds of the pictures, instead of a rate.
        begin: Seconds that all time stamps are later.
        sound: Samples a second, or none.
        sound_from: Seconds that the sound begins later than the picture (it is left out till then).
    """
    times = [float(k / rate) for k in range(int(seconds * rate))] if times is None else times
    height, width = size
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": "50"} | (options or {}))
        video.width, video.height, video.pix_fmt = width, height, pixel_format
        video.codec_context.time_base = video.time_base = Fraction(1, 90_000)
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(rotation)
        audio: Any = out.add_stream("aac", rate=sound, layout=layout, options={"aac_coder": "fast"}) if sound else None
        for k, time in enumerate(times):
            upright = numbered_image(k % 256, *((width, height) if rotation % 180 else (height, width)))
            upright[upright.shape[0] // 2 :] = 250 if time % 1 < BEEP else 20
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(upright, -rotation // 90)), "rgb24")
            picture.pts, picture.time_base = round((time + begin) * 90_000), Fraction(1, 90_000)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        if audio:
            clock = np.arange(int(sound_from * sound), int(seconds * sound)) / sound
            wave = np.where(clock % 1 < BEEP, 0.8 * np.sin(2 * np.pi * 1000 * clock), 0).astype(np.float32)
            for start in range(0, len(wave), 1024):
                block = np.repeat(wave[None, start : start + 1024], audio.channels, axis=0)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", layout)
                frame.sample_rate, frame.time_base = sound, Fraction(1, sound)
                frame.pts = start + int((sound_from + begin) * sound)
                out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
    return path
