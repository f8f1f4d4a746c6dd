"""What a picture or a video may ask for, checked before memory, disk or time is spent on it.

A file of a few kilobytes can announce pictures of gigabytes, or a second picture a year after the first. What is too
much is refused by a `VideoError`. Whoever has larger files raises a limit by its environment variable; a limit decides
what is refused and never a result.
"""

import os

from pipeline.runtime.errors import ActaError, VideoError

# Pixels: what level 6 of HEVC allows, a little more than 8K; and 16384 x 8192, more than cameras of 100 megapixels.
_FRAME, _PHOTOGRAPH = 35_651_584, 2**27
_FRAMES = 5_000_000  # of a video: two days at 30 a second
# Seconds of which only the picture before is known: for each picture, and in addition for the whole video.
_SHOWN, _STILL = 2.0, 600
_VARIABLES = {"ACTA_MAX_PIXELS": "pixels", "ACTA_MAX_FRAMES": "frames", "ACTA_MAX_STILL": "seconds"}


def max_frame_pixels() -> int:
    """Pixels of one frame of a video."""
    return _limit("ACTA_MAX_PIXELS", _FRAME)


def check_frame(width: int, height: int) -> None:
    """Refuse a frame of too many pixels."""
    _check_pixels(width, height, max_frame_pixels())


def check_photograph(width: int, height: int) -> None:
    """Refuse a photograph of too many pixels."""
    _check_pixels(width, height, _limit("ACTA_MAX_PIXELS", _PHOTOGRAPH))


def _check_pixels(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise VideoError(f"{width}x{height} pixels; at most {most:,} are read ({_raising('ACTA_MAX_PIXELS')})")


def check_frames(count: int) -> None:
    """Refuse a video of which already too many frames were read."""
    most = _limit("ACTA_MAX_FRAMES", _FRAMES)
    if count > most:
        raise VideoError(f"more than {most:,} frames, which is the most ({_raising('ACTA_MAX_FRAMES')})")


def check_filled(frames: int, seconds: float, shown: float = _SHOWN) -> None:
    """Refuse a video whose pictures would have to be repeated for too long: each may be shown for ``shown`` seconds."""
    most = _limit("ACTA_MAX_STILL", _STILL)
    if seconds > frames * shown + most:
        raise VideoError(
            f"its time stamps cannot be right: {frames} frames for {seconds:.0f} s, of which at most {most} s more "
            f"than {shown:g} s a frame are filled ({_raising('ACTA_MAX_STILL')})"
        )


def check_silence(silence: float, sound: float) -> None:
    """Refuse sound with gaps that would have to be filled with too much silence, both so far and in seconds."""
    most = _limit("ACTA_MAX_STILL", _STILL)
    if silence > sound + most:
        raise VideoError(
            f"its sound stops for {silence:.0f} s; --audio drop leaves it out, or the environment variable "
            f"ACTA_MAX_STILL lets more than {most} s be filled with silence"
        )


def _raising(variable: str) -> str:
    return f"the environment variable {variable} raises it"


def _limit(variable: str, usual: int) -> int:
    """A limit, from the environment where it has one."""
    said = os.environ.get(variable)
    if said is None:
        return usual
    if not (said.isascii() and said.isdigit() and int(said) > 0):
        raise ActaError(f"{variable}={said!r} must be a whole number of {_VARIABLES[variable]} above 0")
    return int(said)
