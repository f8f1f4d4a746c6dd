"""Writes halves of the demo's games: Matroska with H.264 pictures and the stadium's sound (Opus, mono)."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from pipeline.demo.match_drawing import HEIGHT, WIDTH
from pipeline.demo.match_plan import HalfJob, PlayedHalf
from pipeline.demo.match_scenes import Studio
from pipeline.demo.match_shots import Broadcast, direct
from pipeline.runtime.files import atomic

RATE = 8  # frames per second
_SOUND_RATE = 16_000
_TICK = Fraction(1, 1000)  # Matroska's
# Without look-ahead x264 gives the same bytes each time.
_ENCODING = {"crf": "26", "preset": "veryfast", "tune": "zerolatency", "g": "50"}
_CONTAINER = {"fflags": "+bitexact"}  # no random identifiers
_SOUND_ENCODING = {"application": "audio", "compression_level": "0"}
_LATE = Fraction(1, 50)  # seconds: Opus begins before its first sample, and nothing may come before the pictures


def write_half(job: HalfJob) -> None:
    """Write a half's video; the same bytes each time."""
    half = job.half
    broadcast = direct(job.game, half)
    seconds = Fraction(str(half.before)) + Fraction(str(half.length)) + Fraction(str(half.after))
    start = Fraction(str(half.start_time))
    studio, sounds = Studio(job.game, half, broadcast), sound(half, broadcast, job.game.seed)
    with atomic(job.path) as temporary, av.open(str(temporary), "w", options=_CONTAINER) as out:
        video: Any = out.add_stream("libx264", rate=RATE, options=_ENCODING)
        video.width, video.height, video.pix_fmt, video.thread_count = WIDTH, HEIGHT, "yuv420p", 1
        video.codec_context.time_base = _TICK
        audio: Any = out.add_stream("libopus", rate=_SOUND_RATE, layout="mono", options=_SOUND_ENCODING)
        audio.bit_rate = 16_000
        for k in range(int(seconds * RATE)):
            if k % RATE == 0:
                out.mux(audio.encode(_sound_frame(sounds, k // RATE, start)))
            planes = cv2.cvtColor(studio.picture(k / RATE - half.before), cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), "yuv420p")
            frame.pts, frame.time_base = round((start + Fraction(k, RATE)) / _TICK), _TICK
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def _sound_frame(sounds: np.ndarray, second: int, start: Fraction) -> av.AudioFrame:
    samples = sounds[second * _SOUND_RATE : (second + 1) * _SOUND_RATE]
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.time_base = _SOUND_RATE, Fraction(1, _SOUND_RATE)
    frame.pts = round((start + _LATE + second) * _SOUND_RATE)
    return frame


def sound(half: PlayedHalf, broadcast: Broadcast, seed: tuple[int, int]) -> np.ndarray:
    """The stadium from the file's beginning to its end: int16 samples, 16,000 a second."""
    random = np.random.default_rng([7, *seed, half.number])
    count = int((half.before + half.length + half.after) * _SOUND_RATE)
    murmur = np.convolve(random.normal(size=20 * _SOUND_RATE), np.hanning(12) / 6, "same")
    times = np.arange(-half.before, half.length + half.after, 0.1)
    level = 0.05 + 0.02 * np.sin(times / 3) * np.sin(times / 7.3)
    for peak, at in _cheers(half, broadcast):
        gone = times - at
        level += peak * np.clip((gone + 0.3) / 0.6, 0, 1) * np.exp(-np.maximum(gone, 0) / (0.5 + 12 * peak))
    samples = np.resize(murmur, count)
    samples *= np.interp(np.arange(count) / _SOUND_RATE - half.before, times, level)
    for at, seconds in _whistles(half):
        beat = np.arange(int(seconds * _SOUND_RATE)) / _SOUND_RATE
        begin = int((at + half.before) * _SOUND_RATE)
        part = samples[begin : begin + len(beat)]
        part += (0.16 * np.sin(2 * np.pi * 2900 * beat + 6 * np.sin(2 * np.pi * 38 * beat)))[: len(part)]
    return (np.clip(samples, -0.98, 0.98) * 32767).astype(np.int16)


def _cheers(half: PlayedHalf, broadcast: Broadcast) -> Iterator[tuple[float, float]]:
    """How loud, and when: after goals, and less after attacks that miss the goal."""
    for moment in half.moments:
        if moment.event.label == "Goal":
            yield 0.5, moment.event.time + 0.3
    for shot in broadcast.shots:
        if shot.kind == "miss" and shot.start < shot.at < shot.stop:
            yield 0.12, shot.at


def _whistles(half: PlayedHalf) -> Iterator[tuple[float, float]]:
    """When, and how long: at events and kick-off, and three times at the end."""
    for time in sorted({moment.event.time for moment in half.moments}):
        yield time, 0.5
    for k in range(3):
        yield half.length + 0.5 * k - 1.2, 0.8 if k == 2 else 0.3
