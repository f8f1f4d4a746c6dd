"""How large a frame shard will be, by value; what is in one is tested with the tasks."""

import pytest

from pipeline.config.tasks.privacy import ExtractFrames
from pipeline.data.extract_frames import _estimate
from pipeline.media.manifest import Video, VideoInfo


def video(frames: int, duration: float, height: int, width: int) -> Video:
    return Video(
        "v", "v.mp4", "", "", VideoInfo(duration, frames / duration, frames, height, width, 0, "h264", "yuv420p")
    )


@pytest.mark.parametrize(
    ("rate", "size", "quality", "pixels", "count", "each"),
    [
        (None, None, 90, 100 * 240 * 320, 100, 0.27),
        (5.0, None, 90, 20 * 240 * 320, 20, 0.27),
        (4.9, None, 90, 20 * 240 * 320, 20, 0.27),  # of ticks the last may be a part
        (1000.0, None, 90, 100 * 240 * 320, 100, 0.27),  # not more than there are
        (None, 120, 90, 100 * 120 * 160, 100, 0.27),  # the shorter side
        (None, (128, 171), 90, 100 * 128 * 171, 100, 0.27),
        (None, None, 75, 100 * 240 * 320, 100, 0.135),
        (None, None, 100, 100 * 240 * 320, 100, 0.27 * 2 ** (10 / 15)),
    ],
)
def test_room_for_frames_twice(config, rate, size, quality, pixels, count, each):
    settings = ExtractFrames(
        sampling=config.sampling.model_copy(update={"rate": rate}),
        frames=config.frames.model_copy(update={"size": size, "jpeg_quality": quality}),
    )
    room, what = _estimate([video(100, 4.0, 240, 320)], settings)
    assert room == pytest.approx(2 * pixels * each)
    assert what == f"{count} frames of {pixels / count:.0f} pixels at {each:.2f} bytes, twice"


def test_room_for_several_videos(config):
    settings = ExtractFrames(
        sampling=config.sampling.model_copy(update={"rate": None}),
        frames=config.frames.model_copy(update={"size": None, "jpeg_quality": 90}),
    )
    room, what = _estimate([video(10, 1.0, 100, 100), video(30, 1.0, 100, 200)], settings)
    assert room == pytest.approx(2 * (10 * 10_000 + 30 * 20_000) * 0.27)
    assert what == "40 frames of 17500 pixels at 0.27 bytes, twice"
    assert _estimate([], settings) == (0, "0 frames of 0 pixels at 0.27 bytes, twice")
