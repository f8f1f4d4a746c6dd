"""What accompanies the picture, packet by packet and sample by sample, without a file where that is enough."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from pipeline.media.tracks import Converted, Copied, _sound, counted, language_in
from pipeline.runtime.errors import VideoError
from tests.clips import ffmpeg, write_clip
from tests.unit.media.recordings import copy, onset


class Packet:
    """Ten milliseconds of sound, as far as a track looks at it."""

    def __init__(self, pts: int | None, *, duration: int = 10, is_discard: bool = False, size: int = 1):
        self.pts = self.dts = pts
        self.duration, self.is_discard, self.size, self.stream = duration, is_discard, size, None
        self.time_base = Fraction(1, 1000)


def source(delay: int = 0, kind: str = "audio") -> Any:
    context = SimpleNamespace(delay=delay, sample_rate=1000)
    return SimpleNamespace(language=None, disposition=0, type=kind, codec_context=context)


def target() -> Any:
    return SimpleNamespace(metadata={}, disposition=None)


def kept(container: str, packets: list[Packet], delay: int = 0) -> list[int | None]:
    track = Copied(source(delay), target(), container)
    return [packet.pts for given in packets for packet in track.take(given)]  # type: ignore[arg-type]


@pytest.mark.parametrize("container", ["mp4", "mov", "matroska", "webm", "mpegts"])
def test_sound_from_zero_on_is_copied(container):
    assert kept(container, [Packet(0), Packet(10), Packet(20)]) == [0, 10, 20]


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_priming_stays_where_an_edit_list_hides_it(container):
    assert kept(container, [Packet(-20, is_discard=True), Packet(-10, is_discard=True), Packet(0)]) == [-20, -10, 0]
    assert kept(container, [Packet(-110, is_discard=True), Packet(0)]) == [-110, 0]


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_what_an_edit_list_cut_is_left_out_but_for_the_packet_in_which_it_ends(container):
    cut = [Packet(-120, is_discard=True), Packet(-20, is_discard=True), Packet(-5), Packet(5)]
    assert kept(container, cut) == [-5, 5]
    assert kept(container, [Packet(-120), Packet(-10), Packet(0)]) == [0]  # one that ends at zero is not heard


@pytest.mark.parametrize("container", ["matroska", "webm", "mpegts"])
def test_elsewhere_what_begins_before_zero_is_left_out(container):
    packets = [Packet(-20, is_discard=True), Packet(-5), Packet(5), Packet(15, is_discard=True), Packet(25)]
    assert kept(container, packets) == [5, 25]


@pytest.mark.parametrize("container", ["matroska", "webm"])
def test_what_a_header_announces_stays_where_another_header_can_say_so(container):
    assert kept(container, [Packet(-20), Packet(-10), Packet(0)], delay=20) == [-20, -10, 0]
    assert kept(container, [Packet(-22), Packet(-10), Packet(0)], delay=20) == [-10, 0]


@pytest.mark.parametrize("container", ["matroska", "webm"])
def test_priming_that_is_marked_to_be_passed_over_stays_where_it_is_announced(container):
    assert kept(container, [Packet(-20, is_discard=True), Packet(-10, is_discard=True), Packet(0)], delay=20) == [
        -20,
        -10,
        0,
    ]
    assert kept(container, [Packet(-20, is_discard=True), Packet(-10, is_discard=True), Packet(0)]) == [0]


@pytest.mark.parametrize("container", ["matroska", "webm"])
def test_stamps_may_repeat_where_the_container_lets_them(container):
    assert kept(container, [Packet(0), Packet(0), Packet(5), Packet(3), Packet(9)]) == [0, 0, 5, 5, 9]


def test_what_a_header_announces_is_left_out_or_moved_to_zero_in_mpeg_ts():
    assert kept("mpegts", [Packet(-20), Packet(-10), Packet(0)], delay=20) == [0]
    assert kept("mpegts", [Packet(-5), Packet(5)], delay=5) == [0, 5]


def test_stamps_rise_in_every_container():
    assert kept("mp4", [Packet(0), Packet(0), Packet(-3000), Packet(10)]) == [0, 1, 10]
    assert kept("mp4", [Packet(7), Packet(3), Packet(20)]) == [7, 8, 20]


def test_packets_without_stamp_or_content_are_left_out():
    assert kept("mp4", [Packet(None), Packet(5, size=0), Packet(10)]) == [10]


def test_packets_go_to_the_copy():
    to, packet = target(), Packet(0)
    Copied(source(), to, "mp4").take(packet)  # type: ignore[arg-type]
    assert packet.stream is to


def test_language_and_flags_are_taken_over_and_nothing_else():
    given = source()
    given.language, given.disposition, given.metadata = "ita", 5, {"title": "Anna's microphone"}
    to = target()
    Copied(given, to, "mp4")
    assert (to.metadata, to.disposition) == ({"language": "ita"}, 5)


class Encoder:
    """Takes down the samples that are encoded, at 1000 a second."""

    def __init__(self, delay: int = 0) -> None:
        self.metadata: dict[str, str] = {}
        self.disposition = None
        self.layout, self.rate = SimpleNamespace(name="mono"), 1000
        self.blocks: list[tuple[int, np.ndarray]] = []
        self._delay = delay

    def encode(self, frame: av.AudioFrame | None) -> list[SimpleNamespace]:
        if frame is None:
            return [SimpleNamespace(pts=10_000)]
        self.blocks.append((frame.pts, frame.to_ndarray()[0]))
        return [SimpleNamespace(pts=frame.pts - self._delay)]

    @property
    def samples(self) -> np.ndarray:
        assert [start for start, _ in self.blocks] == [
            sum(len(block) for _, block in self.blocks[:i]) for i in range(len(self.blocks))
        ]
        return np.concatenate([block for _, block in self.blocks])


def converted(starts: list[int | None], encoder: Encoder, container: str = "mp4") -> list[int]:
    """Convert blocks of 100 samples of ones; returns the stamps of the packets."""
    track = Converted(source(), encoder, container)
    stamps = []
    for start in starts:
        frame = av.AudioFrame.from_ndarray(np.ones((1, 100), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 1000, start, Fraction(1, 1000)
        stamps += [packet.pts for packet in track.take(SimpleNamespace(decode=lambda frame=frame: [frame]))]  # type: ignore[arg-type]
    return stamps + [packet.pts for packet in track.end()]


def test_converted_sound_follows_its_stamps():
    encoder = Encoder()
    converted([0, 100, 250], encoder)
    assert encoder.samples.tolist() == [1.0] * 200 + [0.0] * 50 + [1.0] * 100


def test_a_stamp_that_is_off_by_little_moves_nothing():
    encoder = Encoder()
    converted([20, 115, 205], encoder)
    assert encoder.samples.tolist() == [1.0] * 300
    encoder = Encoder()
    converted([21, 121], encoder)
    assert encoder.samples.tolist() == [0.0] * 21 + [1.0] * 200


def test_overlaps_are_cut():
    encoder = Encoder()
    converted([0, 60], encoder)
    assert encoder.samples.tolist() == [1.0] * 160


def test_sound_before_zero_is_cut():
    encoder = Encoder()
    converted([-50, 50], encoder)
    assert encoder.samples.tolist() == [1.0] * 150


def test_sound_without_stamps_goes_on():
    encoder = Encoder()
    converted([None, None], encoder)
    assert encoder.samples.tolist() == [1.0] * 200


def test_a_gap_that_cannot_be_is_refused():
    encoder = Encoder()
    converted([0, 600_200], encoder)
    assert encoder.samples.tolist() == [1.0] * 100 + [0.0] * 600_100 + [1.0] * 100
    assert max(len(block) for _, block in encoder.blocks) == 1000  # a second: an hour would take gigabytes
    with pytest.raises(VideoError, match=r"its sound stops for 600 s; --audio drop leaves it out"):
        converted([0, 600_201], Encoder())


def test_all_gaps_count_together():
    converted([0, 300_000, 600_400], Encoder())
    with pytest.raises(VideoError, match=r"its sound stops for 600 s; "):
        converted([0, 300_000, 600_401], Encoder())


def test_an_encoders_priming_is_left_out_where_it_would_be_heard():
    assert converted([0, 100], Encoder(delay=100), "mp4") == [-100, 0, 10_000]
    assert converted([0, 100], Encoder(delay=100), "matroska") == [-100, 0, 10_000]
    assert converted([0, 100], Encoder(delay=100), "mpegts") == [0, 10_000]


@pytest.mark.parametrize(
    ("sound", "suffix", "note", "layout", "rate"),
    [
        (["-c:a", "ac3", "-ac", 6], ".webm", "ac3 to Opus, 6 channels to 2: .webm", "stereo", 48_000),
        (["-c:a", "flac", "-ac", 1, "-ar", 22_050], ".webm", "flac to Opus: .webm", "mono", 48_000),
        (["-c:a", "flac", "-ac", 1, "-ar", 11_025], ".ts", "flac to AAC: .ts", "mono", 11_025),
        (["-c:a", "flac", "-ac", 2, "-ar", 192_000], ".ts", "flac to AAC: .ts", "stereo", 96_000),
        (["-c:a", "flac", "-ac", 2, "-ar", 15_000], ".ts", "flac to AAC: .ts", "stereo", 16_000),
    ],
)
def test_channels_and_rates_that_an_encoder_takes_are_chosen(tmp_path, sound, suffix, note, layout, rate):
    clip = write_clip(tmp_path / "silent.mkv", frames=10)
    ffmpeg("-i", clip, "-f", "lavfi", "-i", "sine=440:d=1", "-c:v", "copy", *sound, tmp_path / "in.mkv")
    [said] = copy(tmp_path / "in.mkv", tmp_path / f"out{suffix}")
    assert said == f"sound converted from {note} cannot hold it as it is"
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        [stream] = container.streams.audio
        assert (stream.codec_context.layout.name, stream.codec_context.sample_rate) == (layout, rate)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".ts", ".mkv"])
def test_sound_that_begins_late_stays_late(tmp_path, suffix):
    clip = write_clip(tmp_path / "silent.mkv", frames=10)
    late = ["-itsoffset", 0.3, "-f", "lavfi", "-i", "sine=440:d=0.5"]
    ffmpeg("-i", clip, *late, "-c:v", "copy", "-c:a", "pcm_s16le", tmp_path / "in.mkv")
    copy(tmp_path / "in.mkv", tmp_path / f"out{suffix}")
    assert onset(tmp_path / f"out{suffix}") == pytest.approx(0.3, abs=0.012)


def test_counted():
    assert [counted(number, "audio track") for number in (1, 2)] == ["1 audio track", "2 audio tracks"]


@pytest.mark.parametrize(
    ("container", "language", "expected"),
    [
        ("matroska", "deu", "deu"),
        ("webm", "de-CH", "de-CH"),
        ("mp4", "deu", "deu"),
        ("mp4", "gsw", "gsw"),
        ("mp4", "de", None),
        ("mpegts", "ITA", "ita"),
        ("mov", "ita", "ita"),
        ("mov", "deu", "ger"),  # QuickTime's code of the two
        ("mov", "zho", "chi"),
        ("mov", "gsw", None),
        ("matroska", "Anna Meier", None),  # words, not a code
        ("matroska", "Anna", None),
        ("matroska", "", None),
        ("matroska", None, None),
    ],
)
def test_a_language_is_a_code_that_the_container_takes(container, language, expected):
    assert language_in(container, language) == expected


@pytest.mark.parametrize(
    ("language", "suffix", "kept_language", "notes"),
    [
        ("deu", ".mov", "ger", []),
        ("gsw", ".mov", None, ["a track's language is left out: .mov takes no 'gsw'"]),
        ("Anna Meier", ".mkv", None, ["a track's language is left out: .mkv takes no 'Anna Meier'"]),
    ],
)
def test_languages_of_real_files(tmp_path, language, suffix, kept_language, notes):
    clip = write_clip(tmp_path / "silent.mkv", frames=5)
    tagged = ["-c:v", "copy", "-c:a", "aac", "-metadata:s:a", f"language={language}"]
    ffmpeg("-i", clip, "-f", "lavfi", "-i", "sine=440:d=0.5", *tagged, tmp_path / "in.mkv")
    assert copy(tmp_path / "in.mkv", tmp_path / f"out{suffix}") == notes
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.audio[0].language == kept_language
    assert b"Anna" not in (tmp_path / f"out{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("channels", "rate", "container", "encoded"),
    [
        (1, 8_000, "mpegts", ("aac", 8_000, "mono", 32_000)),
        (1, 44_100, "mp4", ("aac", 44_100, "mono", 80_000)),
        (2, 11_025, "mp4", ("aac", 11_025, "stereo", 88_200)),
        (6, 192_000, "mov", ("aac", 96_000, "stereo", 160_000)),
        (2, 44_100, "webm", ("libopus", 48_000, "stereo", 160_000)),
    ],
)
def test_sound_is_encoded_with_enough_bits(channels, rate, container, encoded):
    made = []

    def add_stream(encoder: str, *, rate: int, layout: str) -> Any:
        made.append(SimpleNamespace(encoder=encoder, rate=rate, layout=SimpleNamespace(name=layout), metadata={}))
        return made[0]

    given, out = source(), SimpleNamespace(format=SimpleNamespace(name=container), add_stream=add_stream)
    given.codec_context = SimpleNamespace(
        name="nellymoser", sample_rate=rate, layout=SimpleNamespace(nb_channels=channels), delay=0
    )
    notes: list[str] = []
    assert isinstance(_sound(given, out, notes.append), Converted)  # type: ignore[arg-type]
    assert (made[0].encoder, made[0].rate, made[0].layout.name, made[0].bit_rate) == encoded
    assert ("6 channels to 2" in notes[0]) == (channels == 6)
