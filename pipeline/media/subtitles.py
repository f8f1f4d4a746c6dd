"""What stays of subtitles in a copy: the text, or the picture of it, and its times.

Headers and packets of subtitles also hold titles, authors, comments, names of speakers, fonts and addresses. A text is
written again with a header of our own; a header of pictures keeps sizes and colours only. Codecs have FFmpeg's names.
"""

import re
import struct
from typing import Any

from av.packet import Packet

_ASS_HEADER = b"""\
[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
_ASS_FIELDS = 8  # before the text: ReadOrder, Layer, Style, Name, three margins, Effect
_ASS_BLOCK = re.compile(rb"\{[^}]*\}")
_ASS_DRAWING = re.compile(rb"\{[^}]*\\p[1-9]")
_TAG = re.compile(rb"</?[A-Za-z0-9:][^>]*>|\{\\[^}]*\}")
# 3GPP TS 26.245, 5.16: nothing special, centred at the bottom, no box, one style, one font.
_MOV_TEXT_HEADER = (
    struct.pack(">IbbI4h", 0, 1, -1, 0, 0, 0, 0, 0)
    + struct.pack(">HHHBBI", 0, 0, 1, 0, 18, 0xFFFFFFFF)
    + struct.pack(">I4sHHB5s", 18, b"ftab", 1, 1, 5, b"Serif")
)
_VOBSUB_LINE = re.compile(rb"(?:size: *\d+x\d+|palette: *[0-9a-fA-F]{1,6}(?: *, *[0-9a-fA-F]{1,6}){15})[ \t]*")
_DVB_HEADER = 5  # bytes: two numbers of pages and a type


def plain_track(codec: str, given: bytes | None) -> bytes | None:
    """A copy's header of a subtitle track, from the one that the source has."""
    if codec == "ass":
        return _ASS_HEADER
    if codec == "mov_text":
        return _MOV_TEXT_HEADER
    if codec == "dvd_subtitle":
        lines = (line.strip() for line in (given or b"").splitlines())
        return b"".join(line + b"\n" for line in lines if _VOBSUB_LINE.fullmatch(line)) or None
    if codec == "dvb_subtitle":
        return (given or b"")[:_DVB_HEADER] or None
    return None


def plain_text(codec: str, data: bytes) -> bytes | None:
    """What stays of the content of a packet; None: nothing."""
    if codec == "ass":
        return _ass(data)
    if codec == "mov_text":
        return data[: 2 + int.from_bytes(data[:2], "big")] if len(data) >= 2 else None
    if codec in ("subrip", "text", "webvtt"):
        return _TAG.sub(b"", data).strip() or None
    return data


def _ass(data: bytes) -> bytes | None:
    fields = data.split(b",", _ASS_FIELDS)
    if len(fields) <= _ASS_FIELDS or not fields[0].isdigit() or _ASS_DRAWING.search(fields[-1]):
        return None
    text = _ASS_BLOCK.sub(b"", fields[-1]).strip()
    return fields[0] + b",0,Default,,0,0,0,," + text if text else None


def plain_packet(codec: str, packet: Packet, target: Any) -> Packet | None:
    """A packet with the times of another and what stays of its content, but nothing that came with it."""
    data = plain_text(codec, bytes(packet))
    if data is None:
        return None
    made = Packet(data)
    made.time_base, made.pts, made.dts = packet.time_base, packet.pts, packet.dts
    made.duration, made.is_keyframe = packet.duration, packet.is_keyframe
    made.stream = target
    return made
