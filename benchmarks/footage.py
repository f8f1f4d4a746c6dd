"""A 720p clip made of the demo's real footage: ten faces of about 15 to 250 pixels and a street, moving."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from pipeline.demo.get_footage import get_footage

DEMO = Path(__file__).resolve().parent.parent / "resources" / "demo"


def write_720p(path: Path, frames: int, rate: int = 25) -> Path:
    """Write a clip of this many frames, unless it is there."""
    if path.exists():
        return path
    get_footage(DEMO)
    speech = _load("giving_speech/obama_speech.mp4")
    phone = _load("talking_in_car/carphone_pristine.mp4")
    street = _load("riding_bike/bikes.mp4")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part" + path.suffix)
    with av.open(str(temporary), "w") as out:
        stream: Any = out.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for k in range(frames):
            canvas = np.zeros((720, 1280, 3), np.uint8)
            canvas[:480, :640] = cv2.resize(_there_and_back(speech, k // 2), (640, 480))
            canvas[:480, 640:] = cv2.resize(_there_and_back(phone, k), (640, 480))
            canvas[480:, :565] = cv2.resize(_there_and_back(street, k), (565, 240))
            canvas[480:, 565:885] = _there_and_back(speech, k // 2 + 30)
            canvas[480:624, 885:1061] = _there_and_back(phone, k + 20)
            canvas[624:, 885:1013] = cv2.resize(_there_and_back(speech, k // 2 + 60), (128, 96))
            canvas[480:, 1061:] = cv2.resize(_there_and_back(phone, k + 50), (219, 240))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(canvas, "rgb24")))
        out.mux(stream.encode(None))
    return temporary.rename(path)


def _load(name: str) -> list[np.ndarray]:
    with av.open(str(DEMO / name)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _there_and_back(images: list[np.ndarray], k: int) -> np.ndarray:
    k %= 2 * len(images) - 2
    return images[k if k < len(images) else 2 * len(images) - 2 - k]
