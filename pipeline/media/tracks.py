"""What accompanies the picture in a copy of a video: sound and subtitles, copied packet by packet or converted."""

import math
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from fractions import Fraction
from typing import Any, cast

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from pipeline.media.limits import check_silence
from pipeline.media.sound_headers import plain_header
from pipeline.media.subtitles import plain_packet, plain_track
from pipeline.runtime.errors import ActaError

_PCM = {f"pcm_{kind}" for kind in ("s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f64le")}
_MP4 = {"aac", "ac3", "alac", "eac3", "flac", "mp2", "mp3", "opus"}
# By FFmpeg's name of the container: the sound that it holds as it is, so that FFmpeg reads it back unchanged …
SOUND = {
    "mp4": _MP4 | _PCM,
    "mov": {"aac", "ac3", "alac", "eac3", "mp2", "mp3", "pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8"} | _PCM,
    "matroska": _MP4 | {"dts", "truehd", "vorbis", "pcm_u8"} | (_PCM - {"pcm_s32be"}),
    "webm": {"opus", "vorbis"},
    "mpegts": {"aac", "ac3", "dts", "eac3", "mp2", "mp3", "opus"},
}
# … and the subtitles.
SUBTITLES = {
    "mp4": {"mov_text"},
    "mov": {"mov_text"},
    "matroska": {"ass", "dvb_subtitle", "dvd_subtitle", "hdmv_pgs_subtitle", "subrip", "text", "webvtt"},
    "webm": {"webvtt"},
    "mpegts": {"dvb_subtitle"},
}
SUFFIXES = {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv", "webm": ".webm", "mpegts": ".ts"}
_EDITABLE = ("mp4", "mov")  # containers in which an edit list lets sound begin before zero, unheard …
_ANNOUNCING = ("matroska", "webm")  # … or a header says how much to pass over
_CLOSE = 1e-3  # seconds; what stamps of milliseconds cannot tell apart
_NAMES = {  # decoders' names to codecs'
    "amrnb": "amr_nb",
    "amrwb": "amr_wb",
    "dca": "dts",
    "mp3float": "mp3",
    "srt": "subrip",
    "ssa": "ass",
}
# ISO 639-2 has two codes for some languages; QuickTime takes one of them.
_BIBLIOGRAPHIC = {
    "deu": "ger",
    "ell": "gre",
    "isl": "ice",
    "nld": "dut",
    "sqi": "alb",
    "swe": "sve",
    "zho": "chi",
    "fre": "fra",
    "cze": "ces",
    "slo": "slk",
    "rum": "ron",
}
_QUICKTIME = (
    "eng fra ger ita dut sve spa dan por nor heb jpn ara fin gre ice mlt tur chi urd hin tha kor lit pol hun est lav "
    "rus iri alb ron ces slk slv und"
)
_PRIMING = 0.11  # seconds; what encoders put before the sound, HE-AAC's at most. More is an edit list's cut
_GAP = 0.02  # seconds; stamps may be off by so much, as some containers round them, before converted sound is moved


class Track:
    """One stream of the copy that is not the picture; takes the packets of its source.

    ``container`` is FFmpeg's name of the copy's container.
    """

    def __init__(self, source: Any, target: Any, container: str):
        self._target, self._container = target, container
        if language := language_in(container, source.language):
            target.metadata["language"] = language
        target.disposition = source.disposition

    def take(self, packet: Packet) -> list[Packet]:
        """The packets to write for one that was read, its stamps moved to the copy's."""
        raise NotImplementedError

    def end(self) -> list[Packet]:
        """What is still held back at the end."""
        return []


class Copied(Track):
    """A track whose packets stay as they are. What an edit list had cut out stays out.

    Sound that begins before zero is either an encoder's priming, which players pass over where the container lets them
    know, or was cut by an edit list. Where the copy cannot say so, priming is left out, too.
    """

    def __init__(self, source: Any, target: Any, container: str):
        super().__init__(source, target, container)
        self._announced = _announced(source)
        self._begin: float | None = None
        self._last: int | None = None

    def take(self, packet: Packet) -> list[Packet]:
        if packet.dts is None or packet.pts is None or packet.size == 0:
            return []
        begin = float(packet.pts * packet.time_base)
        end = begin + float((packet.duration or 0) * packet.time_base)
        if self._begin is None:
            self._begin = begin
        if not self._is_wanted(begin, end, packet.is_discard):
            return []
        if begin < 0 and self._container not in _EDITABLE + _ANNOUNCING:
            packet.pts = packet.dts = 0
        # No container takes stamps that go back, and few those that repeat.
        tick = 0 if self._container in _ANNOUNCING else math.ceil(_CLOSE / packet.time_base)
        if self._last is not None and packet.dts < self._last + tick:
            packet.pts = packet.dts = self._last + tick
        self._last = packet.dts
        packet.stream = self._target
        return [packet]

    def _is_wanted(self, begin: float, end: float, is_cut: bool) -> bool:
        assert self._begin is not None
        if begin >= 0:
            return not is_cut
        if self._container in _EDITABLE:
            return end > _CLOSE and not is_cut if self._begin < -_PRIMING else end > -_PRIMING
        if begin < -self._announced - _CLOSE:
            return False
        return self._container in _ANNOUNCING or (end > _CLOSE and not is_cut)


class Subtitles(Copied):
    """A track that keeps its texts and times (`pipeline.media.subtitles`)."""

    def __init__(self, source: Any, target: Any, container: str):
        super().__init__(source, target, container)
        self._codec = codec_name(source)

    def take(self, packet: Packet) -> list[Packet]:
        made = [plain_packet(self._codec, kept, self._target) for kept in super().take(packet)]
        return [packet for packet in made if packet is not None]


def _announced(stream: Any) -> float:
    """Seconds of sound that the source's header announces to be passed over at the beginning."""
    context = stream.codec_context
    return context.delay / context.sample_rate if stream.type == "audio" and context.sample_rate else 0.0


class Converted(Track):
    """Sound that is re-encoded in step with its stamps: gaps become silence, overlaps are cut."""

    def __init__(self, source: Any, target: Any, container: str):
        super().__init__(source, target, container)
        self._layout, self._rate = target.layout.name, target.rate
        self._resampler: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None
        self._samples = self._silence = 0

    def take(self, packet: Packet) -> list[Packet]:
        return [made for frame in packet.decode() for made in self._write(cast(AudioFrame, frame))]

    def end(self) -> list[Packet]:
        return self._heard(self._target.encode(None))

    def _heard(self, packets: Iterable[Packet]) -> list[Packet]:
        """All but the encoder's priming, where the container cannot say what that is."""
        can_say = self._container in _EDITABLE + _ANNOUNCING
        return [packet for packet in packets if can_say or (packet.pts or 0) >= 0]

    def _write(self, frame: AudioFrame) -> list[Packet]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or shape != self._shape:
            self._shape, self._resampler = shape, AudioResampler("fltp", self._layout, self._rate)
        if frame.pts is not None and frame.time_base is not None:
            start = round(frame.pts * frame.time_base * self._rate)
        else:
            start = self._samples
        packets: list[Packet] = []
        frame.pts = None
        for block in self._resampler.resample(frame):
            samples = block.to_ndarray()
            missing = start - self._samples
            if abs(missing) <= _GAP * self._rate:
                missing = 0
            if missing > 0:
                packets += self._fill(samples.shape[0], missing)
            packets += self._encode(samples[:, max(0, -missing) :])
            start += samples.shape[1]
        return packets

    def _fill(self, channels: int, missing: int) -> list[Packet]:
        sound = self._samples - self._silence
        self._silence += missing
        check_silence(self._silence / self._rate, sound / self._rate)
        packets: list[Packet] = []
        for begin in range(0, missing, self._rate):
            packets += self._encode(np.zeros((channels, min(self._rate, missing - begin)), np.float32))
        return packets

    def _encode(self, samples: np.ndarray) -> list[Packet]:
        packets: list[Packet] = []
        for begin in range(0, samples.shape[1], self._rate):
            part = np.ascontiguousarray(samples[:, begin : begin + self._rate], np.float32)
            frame = AudioFrame.from_ndarray(part, "fltp", self._layout)
            frame.sample_rate, frame.pts, frame.time_base = self._rate, self._samples, Fraction(1, self._rate)
            packets += self._heard(self._target.encode(frame))
            self._samples += part.shape[1]
        return packets


def language_in(container: str, language: str | None) -> str | None:
    """A language as a container takes it; None where it does not take it, or where it is no code but words.

    Matroska takes the codes of BCP 47, MPEG-TS and MP4 those of three letters, QuickTime a list of its own.
    """
    if not language or not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", language):
        return None
    if container in _ANNOUNCING:
        return language
    code = language.lower() if len(language) == 3 else None
    if container == "mov" and code is not None:
        code = _BIBLIOGRAPHIC.get(code, code)
        return code if code in _QUICKTIME else None
    return code


def make_tracks(
    source: InputContainer,
    out: OutputContainer,
    *,
    audio: bool,
    keep: frozenset[str],
    note: Callable[[str], object],
) -> dict[int, Track]:
    """Add the wanted tracks to a copy, by the index of the stream that each one takes.

    Args:
        source: The video.
        out: The copy.
        audio: Whether sound is wanted.
        keep: What else is wanted, of `pipeline.media.encode.KEEPABLE`.
        note: Called with a line on each track that is converted or left out.

    Raises:
        ActaError: what is wanted can neither be copied nor converted.
    """
    tracks: dict[int, Track] = {}
    dropped: dict[str, int] = {}
    for stream in source.streams:
        if stream.type == "audio" and audio:
            tracks[stream.index] = _sound(stream, out, note)
        elif stream.type == "subtitle" and "subtitles" in keep:
            tracks[stream.index] = _subtitles(stream, out)
        elif stream.type in _KINDS and not (stream.type == "attachment" and "attachments" in keep):
            dropped[stream.type] = dropped.get(stream.type, 0) + 1
    for index in tracks:
        language = source.streams[index].language
        if language not in (None, "und") and language_in(out.format.name, language) is None:
            note(f"a track's language is left out: {SUFFIXES[out.format.name]} takes no {language[:20]!r}")
    for kind, count in dropped.items():
        note(f"left out: {counted(count, _KINDS[kind])}")
    return tracks


_KINDS = {"audio": "audio track", "subtitle": "subtitle track", "data": "data track", "attachment": "attachment"}


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def codec_name(stream: Any) -> str:
    """Name of a stream's codec, as FFmpeg's lists have it."""
    context = stream.codec_context
    return "unknown" if context is None else _NAMES.get(context.name, context.name)


def _sound(stream: Any, out: OutputContainer, note: Callable[[str], object]) -> Track:
    container, codec = out.format.name, codec_name(stream)
    is_held = codec in SOUND[container]
    # Matroska's header would announce the whole of what an edit list cuts, though its packets are left out.
    if is_held and not (container in _ANNOUNCING and _announced(stream) > _PRIMING):
        with suppress(ValueError):  # a header that cannot be read cannot be copied without its comments
            header = plain_header(codec, stream.codec_context.extradata or b"")
            target: Any = out.add_stream_from_template(stream)
            target.codec_context.extradata = header or None
            return Copied(stream, target, container)
    context = stream.codec_context
    if context is None or not context.sample_rate:
        raise ActaError(
            f"its sound ({codec}) cannot be decoded, and {SUFFIXES[container]} cannot hold it as it is; "
            "--audio drop leaves it out"
        )
    encoder = "libopus" if container == "webm" else "aac"
    channels = min(2, context.layout.nb_channels)
    rates = sorted(av.Codec(encoder, "w").audio_rates or ())
    rate = next((rate for rate in rates if rate >= context.sample_rate), rates[-1])
    target = out.add_stream(encoder, rate=rate, layout="mono" if channels == 1 else "stereo")
    target.bit_rate = channels * min(80_000, 4 * rate)
    mixed = f", {context.layout.nb_channels} channels to 2" if context.layout.nb_channels > 2 else ""
    name = "Opus" if encoder == "libopus" else "AAC"
    what = "what an edit list cuts out of it" if is_held else "it as it is"
    note(f"sound converted from {codec} to {name}{mixed}: {SUFFIXES[container]} cannot hold {what}")
    return Converted(stream, target, container)


def _subtitles(stream: Any, out: OutputContainer) -> Track:
    container, codec = out.format.name, codec_name(stream)
    if codec not in SUBTITLES[container]:
        others = [SUFFIXES[name] for name, codecs in SUBTITLES.items() if codec in codecs]
        advice = f"choose {' or '.join(others)}" if others else "no container here can"
        raise ActaError(f"{SUFFIXES[container]} cannot hold {codec} subtitles: {advice}")
    target: Any = out.add_stream_from_template(stream)
    target.codec_context.extradata = plain_track(codec, stream.codec_context.extradata)
    return Subtitles(stream, target, container)
