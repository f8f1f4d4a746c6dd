"""The encoded picture of a copy: as much like the source's as its container allows, with notes on any difference."""

import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from pipeline.media.decode import Orientation, display_matrix, orientation, pixel_aspect, side_data

_COLOUR = ("color_range", "color_primaries", "color_trc", "colorspace")
_VP9 = {"b": "0", "row-mt": "1", "deadline": "realtime", "cpu-used": "6"}
_BOTTOM_FIRST = (3, 4)  # AVFieldOrder: bottom field shown first
_LOST = {
    Type.SPHERICAL: "the 360° projection is lost: players show the picture flat",
    Type.STEREO3D: "the arrangement of a stereoscopic picture is lost",
    Type.DYNAMIC_HDR_PLUS: "dynamic HDR metadata (HDR10+) are lost; the static ones stay",
    Type.DOVI_METADATA: "dynamic HDR metadata (Dolby Vision) are lost",
}


class Picture:
    """The video stream of a copy, which is added to it at once, so that the picture comes first.

    ``crf`` and ``preset`` are libx264's; ``note`` is called with a line on everything that the copy cannot keep.
    """

    def __init__(self, source: VideoStream, out: OutputContainer, crf: int, preset: str, note: Callable[[str], object]):
        self._source, self._container, self._note = source, out.format.name, note
        self._is_vp9 = self._container == "webm"
        self._options = _VP9 | {"crf": str(crf + 10)} if self._is_vp9 else {"crf": str(crf), "preset": preset}
        rate = source.average_rate or source.guessed_rate or Fraction(25)
        self._encoder = "libvpx-vp9" if self._is_vp9 else "libx264"
        self._stream: Any = out.add_stream(self._encoder, rate=rate)
        self._stream.disposition = source.disposition
        self._is_open = False
        self._matrix: tuple[int, ...] | None = None
        self._shown = self._turn = Orientation()
        self._is_interlaced = False
        self._mastering: list[str] = []
        self._size: tuple[int, int] | None = None  # width and height that frames are scaled to

    def encode(self, frame: VideoFrame | None) -> list[Packet]:
        """The packets that a frame (YUV) completes; None ends the stream."""
        if frame is None:
            return list(self._stream.encode(None))
        if not self._is_open:
            self._open(frame)
        if self._turn != Orientation():
            frame = turned(frame, self._turn)
        width, height = self._size or (frame.width, frame.height)
        if (frame.format.name, frame.width, frame.height) != (self._stream.pix_fmt, width, height):
            frame = like(frame.reformat(width, height, self._stream.pix_fmt), frame)
        frame.pict_type = 0
        return list(self._stream.encode(frame))

    def _open(self, frame: VideoFrame) -> None:
        stream, context = self._stream, self._stream.codec_context
        width, height = self._orient(frame)
        stream.pix_fmt = self._pixel_format(frame, width, height)
        stream.width, stream.height = width, height
        context.time_base = stream.time_base = self._source.time_base
        context.flags |= Flags.frame_duration  # else the last frame would last as long as the one before
        for attribute in _COLOUR:
            setattr(context, attribute, getattr(frame, attribute))
        context.options = self._options | self._x264(height)
        self._is_open = True

    def _orient(self, frame: VideoFrame) -> tuple[int, int]:
        """Tell the container how the picture is shown, or show it so; returns the encoded width and height."""
        aspect, shown = pixel_aspect(self._source), self._shown
        width, height = frame.width, frame.height
        if self._container == "mpegts" and shown != Orientation():
            self._turn = shown
            if shown.quarters % 2:
                width, height, aspect = height, width, 1 / aspect if aspect else None
            self._note("the picture itself is turned upright: .ts keeps no rotation")
        elif self._matrix is not None:
            self._stream.set_display_matrix(self._matrix)
        if aspect and aspect != 1 and self._is_vp9:
            wide, high = (width, height / aspect) if aspect < 1 else (width * aspect, height)
            width, height = self._size = 2 * round(wide / 2), 2 * round(high / 2)
            self._note(f"scaled to square pixels, {width}x{height}: .webm is not told their shape")
        elif aspect:
            self._stream.codec_context.sample_aspect_ratio = aspect
        return width, height

    def _pixel_format(self, frame: VideoFrame, width: int, height: int) -> str:
        """The source's own format where the encoder has it, else the nearest that loses nothing."""
        name, bits = frame.format.name, frame.format.components[0].bits
        offered = [fmt.name for fmt in av.Codec(self._encoder, "w").video_formats or ()]
        odd = ("420" in name and (width % 2 or height % 2)) or ("422" in name and width % 2)
        if name in offered and not odd:
            written = name
        else:
            chroma = next((kind for kind in ("420", "422") if kind in name and not odd), "444")
            deep = [f"yuv{chroma}p10le", "yuv444p10le"] if bits > 8 else []
            written = next(name for name in (*deep, f"yuv{chroma}p", "yuv444p") if name in offered)
        kept = 10 if "10" in written else 8
        if kept < bits:
            self._note(f"{bits} bits a channel become {kept}")
        self._say_who_plays(written, f"odd size {width}x{height}" if odd else f"{self._source.pix_fmt} source")
        return written

    def _say_who_plays(self, name: str, why: str) -> None:
        refused = [what for what in ("444", "422") if what in name]
        kind = f"4:{':'.join(refused[0][1:])}" if refused else "10-bit" if "10" in name else ""
        if kind and not self._is_vp9:
            self._note(f"H.264 in {kind} ({why}): most browsers and QuickTime do not play it")

    def _x264(self, height: int) -> dict[str, str]:
        """Options that carry interlacing and the mastering of HDR; closed captions stay out."""
        parameters = []
        if self._is_interlaced and (self._is_vp9 or height % 4 or self._turn.quarters % 2):
            self._note("interlaced pictures are no longer marked as such")
        elif self._is_interlaced:
            order = self._source.codec_context.field_order
            parameters += ["bff=1" if order in _BOTTOM_FIRST else "tff=1", "weightp=0"]
        if self._mastering and self._is_vp9:
            self._note("HDR mastering metadata are lost: .webm is not told them")
        parameters += self._mastering
        if self._is_vp9:
            return {}
        return {"a53cc": "0"} | ({"x264-params": ":".join(parameters)} if parameters else {})

    def look_at(self, frame: VideoFrame) -> None:
        """Take what comes with the first decoded frame, and note what the copy cannot keep of it."""
        self._matrix, self._shown = display_matrix(frame), orientation(frame)
        self._is_interlaced, self._mastering = frame.interlaced_frame, _mastering(frame)
        for kind, words in _LOST.items():
            if side_data(frame, kind) is not None:
                self._note(words)
        is_flagged = self._source.metadata.get("alpha_mode") == "1"  # VP8 and VP9 in WebM
        if is_flagged or any(component.is_alpha for component in frame.format.components):
            self._note("transparency is lost")


def _mastering(frame: VideoFrame) -> list[str]:
    """x264 parameters of the static HDR metadata (SMPTE ST 2086, CTA-861.3) of a frame."""
    parameters = []
    display, light = (side_data(frame, kind) for kind in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL))
    if display is not None:
        values = struct.unpack("=22i", display[:88])
        pairs = [Fraction(values[i], values[i + 1] or 1) for i in range(0, 20, 2)]
        red, green, blue, white = (
            f"({round(x * 50000)},{round(y * 50000)})" for x, y in zip(pairs[0:8:2], pairs[1:8:2], strict=True)
        )
        low, high = (round(value * 10000) for value in pairs[8:10])
        if values[20] and values[21]:
            parameters.append(f"mastering-display=G{green}B{blue}R{red}WP{white}L({high},{low})")
    if light is not None:
        most, mean = struct.unpack("=2I", light[:8])
        parameters.append(f"cll={most},{mean}")
    return parameters


def as_yuv(frame: VideoFrame) -> VideoFrame:
    """An RGB or palette frame as YUV 4:4:4 (BT.709, limited range), which the encoders take; others as they are."""
    if not (frame.format.is_rgb or frame.format.has_palette):
        return frame
    deep = frame.format.components[0].bits > 8
    copy = frame.reformat(format="yuv444p10le" if deep else "yuv444p", dst_colorspace="ITU709", dst_color_range="MPEG")
    copy = like(copy, frame)
    copy.colorspace, copy.color_range = Colorspace.ITU709, ColorRange.MPEG
    return copy


def as_planes(frame: VideoFrame, formats: tuple[str, ...] = ("yuv4", "yuvj4", "gray")) -> VideoFrame:
    """The frame in a format whose planes are one channel each, little-endian; ``formats`` are beginnings of names."""
    name = frame.format.name
    if name.startswith(formats) and not name.endswith("be"):
        return frame
    chroma = "420" if name in ("nv12", "nv21", "p010le", "p010be") else "444"
    deep = "10le" if frame.format.components[0].bits > 8 else ""
    return like(frame.reformat(format=f"yuv{chroma}p{deep}"), frame)


def turned(frame: VideoFrame, shown: Orientation) -> VideoFrame:
    """A frame as it is shown. Half-width chroma is widened first, so that a quarter turn keeps it."""
    frame = as_planes(frame, ("yuv420p", "yuv444p", "yuvj420p", "yuvj444p", "gray"))
    planes = [shown.upright(plane_pixels(plane, frame)) for plane in frame.planes]
    height, width = planes[0].shape
    copy = like(VideoFrame(width, height, frame.format.name), frame)
    for plane, pixels in zip(copy.planes, planes, strict=True):
        np.copyto(plane_pixels(plane, copy), pixels)
    return copy


def plane_pixels(plane: Any, frame: VideoFrame) -> np.ndarray:
    """A plane's memory as an array (height, width) without its padding: uint8, or uint16 for deeper formats."""
    dtype = np.dtype("<u2" if frame.format.components[0].bits > 8 else "u1")
    rows = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    return rows[:, : plane.width]


def like(copy: VideoFrame, frame: VideoFrame) -> VideoFrame:
    """Give a frame the stamps and the colour description of another; returns it."""
    copy.pts, copy.dts, copy.time_base, copy.duration = frame.pts, frame.dts, frame.time_base, frame.duration
    for attribute in _COLOUR:
        setattr(copy, attribute, getattr(frame, attribute))
    return copy
