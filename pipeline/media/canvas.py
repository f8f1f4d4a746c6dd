"""Pictures of one size, whatever size the frames have, with captions written into them."""

from collections.abc import Sequence
from fractions import Fraction

import matplotlib
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from matplotlib.ft2font import FT2Font

from pipeline.media.decode import orientation, scaled_size

_SHADE = 0.6  # how much the background of a caption is darkened
_LEAST_TEXT = 11  # pixels


class Canvas:
    """Makes pictures of one even size, upright, 4:2:0 in limited range, with captions below."""

    def __init__(self, height: int, width: int):
        self.height, self.width = (max(2, side - side % 2) for side in (height, width))
        self._scaler = VideoReformatter()
        self._lines: tuple[str, ...] = ()
        self._stamp: np.ndarray | None = None

    def paint(self, frame: VideoFrame, aspect: Fraction | None, lines: tuple[str, ...]) -> VideoFrame:
        """Scale a frame into the canvas, with black bars where its shape is another, and write lines onto it."""
        whole = scaled_size(frame, None, aspect)
        factor = min(self.height / whole[0], self.width / whole[1])
        height, width = (
            min(limit, max(2, 2 * round(side * factor / 2)))
            for side, limit in zip(whole, (self.height, self.width), strict=True)
        )
        shown = orientation(frame)
        stored = (height, width) if shown.quarters % 2 else (width, height)
        matrix = Colorspace.ITU709 if frame.format.is_rgb else None
        scaled = self._scaler.reformat(frame, *stored, "yuv420p", dst_colorspace=matrix, dst_color_range="MPEG")
        picture = np.empty(self.height * self.width * 3 // 2, np.uint8)
        top, left = (self.height - height) // 4 * 2, (self.width - width) // 4 * 2
        sources = _planes(scaled.to_ndarray().ravel(), *stored[::-1])
        targets = _planes(picture, self.height, self.width)
        for source, target, black, step in zip(sources, targets, (16, 128, 128), (1, 2, 2), strict=True):
            target[:] = black
            place = (slice(top // step, (top + height) // step), slice(left // step, (left + width) // step))
            target[place] = shown.upright(source)
        self._write(targets, lines)
        painted = VideoFrame.from_ndarray(picture.reshape(-1, self.width), "yuv420p")
        painted.color_primaries, painted.color_trc = frame.color_primaries, frame.color_trc
        painted.colorspace = Colorspace.ITU709 if frame.format.is_rgb else frame.colorspace
        painted.color_range = ColorRange.MPEG
        return painted

    def _write(self, planes: Sequence[np.ndarray], lines: tuple[str, ...]) -> None:
        """White text on a darkened background at the lower left."""
        if lines != self._lines:
            self._lines = lines
            self._stamp = _text(lines, min(self.height, self.width)) if lines else None
        if self._stamp is None:
            return
        text = self._stamp[: self.height, : self.width]
        height, width = text.shape
        margin = min(self.height - height, min(self.height, self.width) // 40 * 2)
        top, left = self.height - height - margin, min(self.width - width, margin)
        keep = (1 - _SHADE) * (1 - text)
        add = 16 * _SHADE * (1 - text) + 235 * text
        _blend(planes[0][top : top + height, left : left + width], keep, add)
        keep = keep.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
        for plane in planes[1:]:
            place = plane[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
            _blend(place, keep, 128 * (1 - keep))


def _blend(place: np.ndarray, keep: np.ndarray, add: np.ndarray) -> None:
    place[:] = np.rint(place * keep + add)


def _text(lines: Sequence[str], side: int) -> np.ndarray:
    """How much of each pixel is text, in [0, 1]: float32 with even sides, for a picture of that shorter side."""
    size = max(_LEAST_TEXT, side / 20)
    font = FT2Font(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf")
    font.set_size(size, 72)
    step, edge = round(1.4 * size), round(0.5 * size)
    images = []
    for number, line in enumerate(lines, 1):
        font.set_text(line)
        font.draw_glyphs_to_bitmap(antialiased=True)
        image = np.asarray(font.get_image())
        below = number * step - edge // 6 + round(font.get_descent() / 64)
        images.append((below - image.shape[0], image))
    text = np.zeros((step * len(lines) + edge, max(image.shape[1] for _, image in images) + 2 * edge), np.float32)
    for top, image in images:
        text[top : top + image.shape[0], edge : edge + image.shape[1]] = image / 255
    return np.pad(text, [(0, side % 2) for side in text.shape])


def _planes(picture: np.ndarray, height: int, width: int) -> list[np.ndarray]:
    """Views of the planes Y, U and V of a flat 4:2:0 picture."""
    luma, chroma = height * width, height * width // 4
    return [
        picture[:luma].reshape(height, width),
        picture[luma : luma + chroma].reshape(height // 2, width // 2),
        picture[luma + chroma :].reshape(height // 2, width // 2),
    ]
