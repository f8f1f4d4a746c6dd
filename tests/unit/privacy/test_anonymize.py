"""One video: what is kept, what is hidden, what is refused; on real footage and on clips with known frames."""

import stat
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.config.privacy import ObfuscateSettings, SearchSettings
from pipeline.media.decode import decode, open_video, orientation, pixel_aspect, scaled_size, to_rgb
from pipeline.media.encode import Encoding
from pipeline.privacy import anonymize as module
from pipeline.privacy.anonymize import anonymize_video
from pipeline.privacy.detectors import make_auditor
from pipeline.privacy.instances import Instances
from pipeline.runtime.errors import ActaError, VideoError
from tests.clips import ffmpeg, read_number, read_times, write_clip

BOX = np.array([0.5, 0.5, 0.75, 0.75], np.float32)


class Fixed:
    """A detector that always finds the same box, so that a test knows what must be hidden."""

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def __call__(self, image: np.ndarray) -> Instances:
        return Instances.of(BOX[None], np.ones(1))


@pytest.fixture
def faces(config) -> tuple[SearchSettings, ObfuscateSettings]:
    return config.privacy.detect.search("faces"), config.privacy.obfuscate.faces


@pytest.fixture
def fixed(monkeypatch, faces) -> tuple[SearchSettings, ObfuscateSettings]:
    """Settings with the `Fixed` detector, a solid box that is not enlarged."""
    monkeypatch.setattr(module, "make_detector", lambda settings: Fixed())
    return faces[0], faces[1].model_copy(update={"filter": "solid", "enlarge": 1.0})


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def packets_of(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        [stream] = getattr(container.streams, kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def upright(frame: av.VideoFrame) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)


@pytest.mark.parametrize("auditor", [("retinaface", 0.4), ("centerface", 0.2)])
@pytest.mark.parametrize("name", ["giving_speech/obama_speech.mp4", "talking_in_car/carphone_pristine.mp4"])
def test_detectors_find_at_most_one_percent(footage, faces, tmp_path, name, auditor):
    """The bar of the default settings, in every frame, with an independent judge and with the detector itself."""
    output = tmp_path / "out.mp4"
    anonymize_video(footage / name, output, *faces)
    judge = make_auditor(*auditor)
    counts = []
    for path in (footage / name, output):
        images = [f.to_ndarray(format="rgb24") for f in frames_of(path)]
        height, width = judge.input_size(*images[0].shape[:2])
        images = [f.to_ndarray(format="rgb24", width=width, height=height) for f in frames_of(path)]
        counts.append(sum(len(judge(image)) for image in images))
    assert counts[0] >= len(images)
    assert counts[1] <= 0.01 * counts[0]
    assert read_times(output) == pytest.approx(read_times(footage / name), abs=1e-9)


@pytest.mark.parametrize(
    "recipe",
    [
        ["-display_hflip"],
        ["-display_vflip"],
        ["-display_rotation", 90, "-display_hflip"],
        ["-vf", "setsar=32/11"],
        ["-vf", "setsar=11/32"],
    ],
    ids=["mirrored", "upside down", "turned and mirrored", "wide pixels", "narrow pixels"],
)
def test_faces_are_hidden_however_the_picture_is_displayed(footage, faces, tmp_path, recipe):
    """The picture is stored so that its display is upright or of the right shape, as ffmpeg shows it."""
    speech, source = footage / "giving_speech/obama_speech.mp4", tmp_path / "in.mp4"
    if recipe[0] == "-vf":  # squeezed, so that the displayed faces have their own shape
        number, over = (int(part) for part in recipe[1].removeprefix("setsar=").split("/"))
        size = f"scale=iw*{over}/{max(number, over)}:ih*{number}/{max(number, over)},{recipe[1]}"
        ffmpeg("-i", speech, "-frames:v", 8, "-vf", size, "-an", source)
    else:
        ffmpeg(*recipe, "-i", speech, "-frames:v", 8, "-an", tmp_path / "upright.mp4")  # pixels as displayed …
        ffmpeg(*recipe, "-i", tmp_path / "upright.mp4", "-c", "copy", source)  # … and told to be shown turned back
    anonymize_video(source, tmp_path / "out.mp4", *faces)
    judge = make_auditor("centerface", 0.3)
    counts = []
    for path in (source, tmp_path / "out.mp4"):
        with open_video(path) as (container, stream):
            sizes = [(frame, scaled_size(frame, None, pixel_aspect(stream))) for _, frame in decode(container, stream)]
        counts.append(sum(len(judge(to_rgb(frame, *judge.input_size(*size)))) for frame, size in sizes))
    assert counts[0] >= 8
    assert counts[1] == 0


def test_sound_is_copied_packet_by_packet(clip, fixed, tmp_path):
    anonymize_video(clip, tmp_path / "out.mp4", *fixed)
    assert packets_of(tmp_path / "out.mp4", "audio") == packets_of(clip, "audio")


def test_subtitles_are_kept_if_asked_for(clip, fixed, tmp_path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,600\nhello\n")
    source = tmp_path / "subtitled.mkv"
    ffmpeg(
        "-i", clip, "-i", tmp_path / "words.srt", "-map", "0:v", "-map", "1:s", "-c:v", "copy", "-c:s", "srt", source
    )
    anonymize_video(source, tmp_path / "out.mkv", *fixed, encoding=Encoding(keep=frozenset({"subtitles"})))
    assert packets_of(tmp_path / "out.mkv", "subtitles") == [b"hello"]


def test_frames_times_and_duration_stay(clip, fixed, tmp_path):
    anonymize_video(clip, tmp_path / "out.mp4", *fixed)
    assert read_times(tmp_path / "out.mp4") == read_times(clip)
    assert [read_number(upright(f)) for f in frames_of(tmp_path / "out.mp4")] == list(range(12))
    durations = []
    for path in (clip, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            durations.append(stream.duration * stream.time_base)
    assert durations[0] == durations[1]


def test_a_variable_rate_stays_variable(fixed, tmp_path):
    times = [0, 40, 80, 500, 540, 1000, 2000, 2040]
    source = write_clip(tmp_path / "vfr.mkv", frames=8, times=times)
    anonymize_video(source, tmp_path / "out.mkv", *fixed)
    assert [round(1000 * t) for t in read_times(tmp_path / "out.mkv")] == times


@pytest.mark.parametrize(("rotation", "mirrored"), [(90, False), (180, False), (270, False), (0, True), (90, True)])
def test_rotation_stays_and_the_upright_place_is_hidden(fixed, tmp_path, rotation, mirrored):
    source = write_clip(tmp_path / "turned.mp4", frames=3, rotation=rotation, mirrored=mirrored)
    anonymize_video(source, tmp_path / "out.mp4", *fixed)
    before, after = frames_of(source), frames_of(tmp_path / "out.mp4")
    assert [orientation(f) for f in after] == [orientation(f) for f in before]
    image = to_rgb(after[1], *scaled_size(after[1], None))
    height, width = image.shape[:2]
    assert read_number(image) == 1
    assert image[height // 2 + 3 : height * 3 // 4 - 3, width // 2 + 3 : width * 3 // 4 - 3].max() < 12
    assert image[height // 3 : height // 2 - 3, : width // 2 - 3].mean() > 60


@pytest.mark.parametrize(
    ("pixel_format", "size", "suffix", "codec"),
    [
        ("yuv420p", (96, 128), ".mp4", "libx264"),
        ("yuv444p", (96, 128), ".mp4", "libx264"),
        ("yuv422p", (96, 128), ".mp4", "libx264"),
        ("yuv420p10le", (96, 128), ".mp4", "libx264"),
        ("gray", (96, 128), ".mp4", "libx264"),
        ("yuv420p", (97, 131), ".mkv", "ffv1"),
        ("bgr0", (96, 128), ".mkv", "ffv1"),
    ],
)
def test_every_pixel_format_keeps_its_frames_and_hides_the_box(fixed, tmp_path, pixel_format, size, suffix, codec):
    source = write_clip(tmp_path / f"in{suffix}", frames=4, size=size, pixel_format=pixel_format, codec=codec)
    output = tmp_path / f"out{suffix}"
    anonymize_video(source, output, *fixed)
    frames = frames_of(output)
    assert [read_number(upright(f)) for f in frames] == list(range(4))
    assert (frames[0].height, frames[0].width) == size
    if codec == "libx264":
        assert frames[0].format.name == frames_of(source)[0].format.name
    height, width = size
    hidden = upright(frames[2])[height // 2 + 4 : height * 3 // 4 - 4, width // 2 + 4 : width * 3 // 4 - 4]
    assert hidden.max() < 16


def test_a_turned_recording_in_rgb_is_hidden_upright(fixed, tmp_path):
    source = write_clip(tmp_path / "in.mov", frames=3, rotation=90, codec="png", pixel_format="rgb24")
    anonymize_video(source, tmp_path / "out.mp4", *fixed)
    frame = frames_of(tmp_path / "out.mp4")[1]
    image = to_rgb(frame, *scaled_size(frame, None))
    height, width = image.shape[:2]
    assert (height, width, read_number(image)) == (128, 96, 1)
    assert image[height // 2 + 3 : height * 3 // 4 - 3, width // 2 + 3 : width * 3 // 4 - 3].max() < 12


def test_full_range_colour_stays_full_range(fixed, tmp_path):
    source = write_clip(tmp_path / "full.mp4", frames=2, pixel_format="yuvj420p")
    anonymize_video(source, tmp_path / "out.mp4", *fixed)
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.color_range == 2
    before, after = (upright(frames_of(p)[0]).astype(int) for p in (source, tmp_path / "out.mp4"))
    assert np.abs(before[:40] - after[:40]).mean() < 4


def test_webm_gets_a_codec_that_it_can_hold(fixed, tmp_path):
    source = write_clip(tmp_path / "in.webm", frames=3, codec="libvpx-vp9")
    anonymize_video(source, tmp_path / "out.webm", *fixed)
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.video[0].codec_context.name == "vp9"
        assert len(list(container.decode(video=0))) == 3


def test_metadata_that_tells_where_and_who_is_dropped(clip, fixed, tmp_path):
    source = tmp_path / "tagged.mp4"
    with av.open(str(clip)) as container, av.open(str(source), "w") as out:
        out.metadata.update({"location": "+44.6+010.9/", "artist": "A person"})
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    anonymize_video(source, tmp_path / "out.mp4", *fixed)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not {"location", "artist"} & set(container.metadata)


def test_whole_frame_filter_needs_no_detector(clip, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "make_detector", lambda settings: pytest.fail("a detector was made"))
    anonymize_video(clip, tmp_path / "out.mp4", faces[0], faces[1].model_copy(update={"filter": "frame"}))
    image = frames_of(tmp_path / "out.mp4")[5].to_ndarray(format="rgb24").astype(int)
    assert image.std(axis=(0, 1)).max() < 25


def test_the_result_does_not_depend_on_the_number_of_threads(footage, faces, tmp_path):
    source = footage / "talking_in_car/carphone_pristine.mp4"
    for threads in (1, 3):
        anonymize_video(source, tmp_path / f"{threads}.mp4", *faces, threads=threads)
    first, second = (frames_of(tmp_path / f"{t}.mp4") for t in (1, 3))
    assert all(np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in zip(first, second, strict=True))


def test_frames_between_searched_ones_hide_what_those_show(footage, fixed, tmp_path, monkeypatch):
    searched = []

    class Pacing(Fixed):
        def __call__(self, image: np.ndarray) -> Instances:
            searched.append(image.mean())
            return super().__call__(image)

    monkeypatch.setattr(module, "make_detector", lambda settings: Pacing())
    source = footage / "talking_in_car/carphone_pristine.mp4"
    settings = fixed[0].model_copy(update={"fill_gap": 0})
    found = anonymize_video(source, tmp_path / "out.mp4", settings, fixed[1], threads=1, keep_detections=True)
    assert 40 <= len(searched) < 80
    assert [len(frame) > 0 for frame in found.detections.frames] == [True] * 120
    assert all(not frame.filled[0] for frame in found.detections.frames[::3])
    assert all((frame.boxes[:, :2].min(0) <= BOX[:2]).all() for frame in found.detections.frames)
    assert all((frame.boxes[:, 2:].max(0) >= BOX[2:]).all() for frame in found.detections.frames)


def test_a_failing_detector_hides_the_whole_frame(clip, fixed, tmp_path, monkeypatch):
    class Failing(Fixed):
        def __call__(self, image: np.ndarray) -> Instances:
            if read_number(image) == 4:
                raise RuntimeError("the runtime gave up")
            return Instances()

    monkeypatch.setattr(module, "make_detector", lambda settings: Failing())
    settings = fixed[0].model_copy(update={"fill_gap": 0, "interval": 0.0})
    done = anonymize_video(clip, tmp_path / "out.mp4", settings, fixed[1])
    assert (done.frames, done.instances, done.failed, done.detections) == (12, 0, 1, None)
    assert done.notes == ("detection failed on 1 frame, at 0.40 s, which is hidden whole: the runtime gave up",)
    frames = frames_of(tmp_path / "out.mp4")
    assert frames[4].to_ndarray(format="rgb24").max() < 16
    assert [read_number(upright(f)) for f in frames] == [0, 1, 2, 3, 0, 5, 6, 7, 8, 9, 10, 11]


def test_a_gap_is_filled(clip, fixed, tmp_path, monkeypatch):
    class Blinking(Fixed):
        def __call__(self, image: np.ndarray) -> Instances:
            return Instances() if read_number(image) in (3, 4, 5) else super().__call__(image)

    monkeypatch.setattr(module, "make_detector", lambda settings: Blinking())
    found = anonymize_video(clip, tmp_path / "out.mp4", *fixed, keep_detections=True)
    frames = found.detections.frames
    assert [len(frame) for frame in frames] == [1] * 12
    assert [bool(frame.filled.any()) for frame in frames] == [3 <= k <= 5 for k in range(12)]


def test_damaged_input_leaves_no_output(tmp_path, fixed):
    source = write_clip(
        tmp_path / "in.mp4", frames=60, container_options={"movflags": "faststart"}, options={"g": "60"}
    )
    content = bytearray(source.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 900] = bytes(i * 37 % 256 for i in range(900))
    source.write_bytes(content)
    with pytest.raises(VideoError, match="decoding failed after"):
        anonymize_video(source, tmp_path / "out.mp4", *fixed)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4"]


def test_what_was_done_is_told(clip, fixed, tmp_path):
    steps = []
    done = anonymize_video(clip, tmp_path / "out.mp4", *fixed, progress=steps.append)
    assert (done.frames, done.instances, done.failed, done.notes, done.detections) == (12, 12, 0, (), None)
    assert steps == list(range(1, 13))


@pytest.mark.parametrize("rotation", [0, 90])
def test_a_preview_shows_everything_with_a_box_around_what_would_be_hidden(fixed, tmp_path, rotation):
    source = write_clip(tmp_path / "in.mp4", frames=3, size=(192, 256), rotation=rotation, options={"crf": "1"})
    output = tmp_path / "out.preview.mp4"
    done = anonymize_video(source, output, *fixed, preview=True, encoding=Encoding(crf=1))
    assert (done.frames, done.instances) == (3, 3)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    before, after = (upright(frames_of(path)[1]).astype(int) for path in (source, output))
    height, width = before.shape[:2]
    assert read_number(after) == 1
    assert np.abs(before - after)[: height // 2 - 20].max() < 30
    inside = np.s_[height // 2 + 6 : height * 3 // 4 - 6, width // 2 + 6 : width * 3 // 4 - 6]
    assert np.abs(before - after)[inside].max() < 60  # green bleeds into its neighbours' colour
    line = after[height // 2 + 10 : height * 3 // 4 - 10, width // 2]
    assert (line[:, 1] > line[:, 0] + 60).all()


def test_audio_only_input_is_refused(tmp_path, fixed):
    with av.open(str(tmp_path / "sound.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
    with pytest.raises(VideoError, match=r"not a supported container|no video stream"):
        anonymize_video(tmp_path / "sound.wav", tmp_path / "out.mp4", *fixed)


def test_unknown_container_is_a_clear_error(clip, fixed, tmp_path):
    with pytest.raises(ActaError, match=r"cannot write out\.xyz: choose one of"):
        anonymize_video(clip, tmp_path / "out.xyz", *fixed)
    assert list(tmp_path.iterdir()) == []


def test_avi_in_a_folder_becomes_a_file_that_keeps_its_time_stamps(fixed, tmp_path):
    source = write_clip(tmp_path / "in/clip.avi", codec="mpeg4")
    assert main(["anonymize", str(source.parent), str(tmp_path / "out")]) == 0
    assert [read_number(upright(f)) for f in frames_of(tmp_path / "out/clip.mkv")] == list(range(12))
    assert read_times(tmp_path / "out/clip.mkv") == pytest.approx(read_times(source), abs=1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_stream_without_time_stamps_gets_the_frame_rates(fixed, tmp_path, suffix):
    source = write_clip(tmp_path / "in.h264", rate=25)
    anonymize_video(source, tmp_path / f"out{suffix}", *fixed)
    times = read_times(tmp_path / f"out{suffix}")
    assert np.diff(times) == pytest.approx([0.04] * 11, abs=2e-3)


def test_rgb_keeps_its_colours(fixed, tmp_path):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        stream: Any = out.add_stream("libx264rgb", rate=10, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), (200, 30, 60), np.uint8), "rgb24")
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    anonymize_video(source, tmp_path / "out.mp4", *fixed)
    image = frames_of(tmp_path / "out.mp4")[0].to_ndarray(format="rgb24").astype(int)
    assert np.abs(image[:28, :28] - [200, 30, 60]).max() < 6
    assert image[36:44, 36:44].max() < 6


def test_a_size_that_changes_half_way_is_refused(fixed, tmp_path):
    first = write_clip(tmp_path / "a.h264", frames=5, size=(96, 128)).read_bytes()
    second = write_clip(tmp_path / "b.h264", frames=5, size=(64, 64)).read_bytes()
    (tmp_path / "both.h264").write_bytes(first + second)
    with pytest.raises(VideoError, match="its size or rotation changes at frame 5"):
        anonymize_video(tmp_path / "both.h264", tmp_path / "out.mp4", *fixed)
    assert not (tmp_path / "out.mp4").exists()


def test_repeated_time_stamps_cost_no_frame(fixed, tmp_path):
    source = write_clip(tmp_path / "in.mkv", frames=4, times=[0, 100, 200, 300], options={"bf": "0"})
    with av.open(str(source)) as container, av.open(str(tmp_path / "twice.mkv"), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.pts = packet.dts = min(packet.pts or 0, 200)
                packet.stream = stream
                out.mux(packet)
    anonymize_video(tmp_path / "twice.mkv", tmp_path / "out.mp4", *fixed)
    assert read_times(tmp_path / "out.mp4") == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-3)
