"""Photographs and videos with random damage: done or refused with a reason, never a bug, nothing left behind."""

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.media.encode import Encoding
from pipeline.privacy.recordings_plan import Job
from pipeline.privacy.recordings_run import LeftOut, Treatment, _attempt
from pipeline.tasks import task_settings
from tests.clips import write_clip

NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def damaged(content: bytes, source: random.Random) -> bytes:
    """A file with one to three faults: bits, numbers, pieces that are missing, twice there or zero."""
    data = bytearray(content)
    for _ in range(source.randint(1, 3)):
        place = source.randrange(min(len(data), source.choice((64, len(data)))))
        match source.randrange(6):
            case 0:
                data[place] ^= 1 << source.randrange(8)
            case 1:
                width = source.choice((2, 4))
                number = source.choice(NUMBERS) & (1 << 8 * width) - 1
                data[place : place + width] = number.to_bytes(width, source.choice(("big", "little")))
            case 2:
                del data[max(1, place) :]
            case 3:
                del data[place : place + source.randrange(1, 32)]
            case 4:
                data[place:place] = data[place : place + source.randrange(1, 200)]
            case _:
                data[place : place + 100] = bytes(100)
        data = data or bytearray(1)
    return bytes(data)


def photographs() -> dict[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    image, made = Image.fromarray(noise), {}
    exif = Image.Exif()
    exif[274] = 6
    options: dict[str, tuple[str, str, dict[str, Any]]] = {
        "a.png": ("PNG", "RGB", {"exif": exif}),
        "b.png": ("PNG", "P", {"transparency": 0}),
        "a.jpg": ("JPEG", "RGB", {"exif": exif}),
        "b.jpg": ("JPEG", "L", {"progressive": True}),
        "a.webp": ("WEBP", "RGBA", {}),
        "b.webp": ("WEBP", "RGB", {"lossless": True}),
        "a.tif": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        "b.tif": ("TIFF", "L", {"exif": exif}),
        "a.bmp": ("BMP", "RGB", {}),
    }
    for name, (form, mode, saving) in options.items():
        content = io.BytesIO()
        image.convert(mode).save(content, form, **saving)
        made[name] = content.getvalue()
    return made


def videos(folder: Path) -> dict[str, bytes]:
    made = {}
    for name, codec in (("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.avi", "mjpeg"), ("a.ts", "mpeg2video")):
        pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        rate = 25 if codec == "mpeg2video" else 10
        clip = write_clip(folder / name, frames=3, rate=rate, size=(48, 64), codec=codec, pixel_format=pixel_format)
        made[name] = clip.read_bytes()
    return made


@pytest.mark.parametrize(("kind", "count"), [("photographs", 300), ("videos", 80)])
def test_random_damage(tmp_path: Path, config, kind: str, count: int) -> None:
    (tmp_path / "whole").mkdir()
    originals = photographs() if kind == "photographs" else videos(tmp_path / "whole")
    search = task_settings(config, "detect_people", what="faces")
    hiding = config.privacy.obfuscate.faces.model_copy(update={"filter": "frame"})
    source, done = random.Random(7), 0
    for number in range(count):
        name = source.choice(sorted(originals))
        path = tmp_path / name
        path.write_bytes(damaged(originals[name], source))
        lenient = Encoding(preset="ultrafast", keep_what_is_whole=bool(number % 2))
        output = tmp_path / "out" / (name if path.suffix != ".avi" else "out.mkv")
        result = _attempt(Job(path, output), Treatment(search, hiding, lenient, overwrite=True), lambda frames: None)
        if isinstance(result, LeftOut):
            assert not result.trace, (number, name, result.trace)
            assert len(result.reason) > 3
            assert str(tmp_path) not in result.reason
        else:
            done += 1
            assert result.frames >= 1
        left = set(output.parent.iterdir()) if output.parent.exists() else set()
        assert left == (set() if isinstance(result, LeftOut) else {output})
        output.unlink(missing_ok=True)
    assert count / 20 < done < count
