"""`acta anonymize` as a person types it: options, what is never overwritten, previews.

Most tests hide every frame whole, for which no detector runs, as it is the files that they are about.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.cli import command_parser
from pipeline.commands import anonymize as command
from pipeline.media import encode
from pipeline.models.weights import WEIGHTS
from pipeline.privacy import recordings_run as anonymize_run
from pipeline.privacy.instances import DetectionShard
from tests import PROJECT
from tests.clips import read_times, write_clip
from tests.unit.privacy.anonymizing import WHOLE, acta, plan, tree


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_detections_never_replace_a_video(tmp_path: Path, short_clip: Path, capsys: Any, overwrite: list[str]) -> None:
    """The order of a command line that is one word short."""
    videos = [Path(shutil.copy(short_clip, tmp_path / name)) for name in ("a.mp4", "b.mp4")]
    assert acta("--keep-detections", *videos, tmp_path / "out/", *overwrite) == 1
    assert f"--keep-detections {videos[0]} must end in .h5" in capsys.readouterr().err
    assert [video.read_bytes() for video in videos] == [short_clip.read_bytes()] * 2
    assert tree(tmp_path) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link", "pipe"])
@pytest.mark.parametrize("which", ["output", "detections"])
@pytest.mark.parametrize("name", ["clip.mp4", "in.png"])
def test_what_is_there_stays(recordings: Path, tmp_path: Path, capsys: Any, kind: str, which: str, name: str) -> None:
    source = recordings / {"clip.mp4": "a.mp4", "in.png": "d.png"}[name]
    (tmp_path / "out").mkdir()
    there = tmp_path / "out" / source.name if which == "output" else tmp_path / "found.h5"
    (tmp_path / "target").write_text("precious")
    match kind:
        case "file":
            there.write_text("precious")
        case "folder":
            there.mkdir()
        case "link":
            there.symlink_to(tmp_path / "target")
        case "dangling link":
            there.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(there)

    def everything() -> list[tuple[Path, int, int]]:
        return [(path, path.lstat().st_ino, path.lstat().st_size) for path in sorted(tmp_path.rglob("*"))]

    before = everything()
    assert acta(source, tmp_path / "out", *WHOLE, "--keep-detections", tmp_path / "found.h5") == 1
    words = {
        "folder": "is a folder, which is never replaced",
        "pipe": "is a pipe that nobody reads",
        "dangling link": "is a link to nothing; only links to regular files of your own are followed",
    }.get(kind, "exists; --overwrite replaces it")
    assert f"{there} " in (error := capsys.readouterr().err)
    assert words in error
    assert everything() == before


def test_detections_are_no_output_and_no_input(tmp_path: Path, short_clip: Path, capsys: Any) -> None:
    Path(shutil.copy(short_clip, tmp_path / "in.h5"))
    assert acta(tmp_path / "in.h5", tmp_path / "out.mp4", "--keep-detections", tmp_path / "in.h5", "--overwrite") == 1
    assert "in.h5 is an input; choose another output" in capsys.readouterr().err
    assert tree(tmp_path) == ["in.h5"]


def test_overwriting_is_done_when_asked_for(tmp_path: Path, short_clip: Path, capsys: Any) -> None:
    for name in ("out.mp4", "found.h5"):
        (tmp_path / name).write_text("old")
    assert (
        acta(short_clip, tmp_path / "out.mp4", *WHOLE, "--keep-detections", tmp_path / "found.h5", "--overwrite") == 0
    )
    assert capsys.readouterr().out == f"wrote {tmp_path / 'out.mp4'}: 3 frames, each hidden whole\n"
    assert DetectionShard(tmp_path / "found.h5").ids == ["clip.mp4"]
    assert (tmp_path / "out.mp4").stat().st_size > 500


def test_of_two_runs_on_one_output_one_is_refused(tmp_path: Path, short_clip: Path, capsys: Any) -> None:
    from pipeline.runtime.files import atomic

    for overwrite in (False, True):
        with atomic(tmp_path / "out.mp4", overwrite=overwrite) as temporary:
            temporary.write_text("the other's")
            options = ["--overwrite"] if overwrite else []
            assert acta(short_clip, tmp_path / "out.mp4", *WHOLE, *options) == 1
        assert "is being written by another run" in capsys.readouterr().err
        assert tree(tmp_path) == ["out.mp4"]
        assert (tmp_path / "out.mp4").read_text() == "the other's"


def test_a_damaged_video_leaves_no_detections(tmp_path: Path, short_clip: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(short_clip.read_bytes()[:300])
    assert acta(tmp_path / "in.mp4", tmp_path / "out.mp4", *WHOLE, "--keep-detections", tmp_path / "found.h5") == 1
    assert tree(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("name", ["in.y4m", "in.dv", "in.m3u8", "in.wav"])
def test_another_container_is_named_as_one(tmp_path: Path, capsys: Any, name: str) -> None:
    content = {
        ".y4m": b"YUV4MPEG2 W8 H8 F25:1 C420jpeg\n" + (b"FRAME\n" + bytes(96)) * 3,
        ".dv": bytes([0x1F, 0x07, 0x00, 0x3F]) * 36000,
        ".m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.ts\n#EXT-X-ENDLIST\n",
        ".wav": b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data" + bytes(2052),
    }  # fmt: skip
    (tmp_path / name).write_bytes(content[Path(name).suffix])
    assert acta(tmp_path / name, tmp_path / "out.mp4", *WHOLE) == 1
    error = capsys.readouterr().err
    assert f"{name}: cannot be opened: not a supported container" in error
    assert "matroska" in error or "mkv" in error
    assert "Invalid argument" not in error
    assert tree(tmp_path) == [name]


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("clip.mp4", "out.png", "cannot write out.png: choose one of .mp4"),
        ("in.png", "out.mp4", "cannot write out.mp4 from a photograph: choose one of .png"),
    ],
)
def test_a_video_is_no_photograph(
    tmp_path: Path, short_clip: Path, capsys: Any, source: str, output: str, message: str
) -> None:
    shutil.copy(short_clip, tmp_path / "clip.mp4")
    Image.new("L", (64, 48)).save(tmp_path / "in.png")
    assert acta(tmp_path / source, tmp_path / output, *WHOLE) == 1
    assert message in capsys.readouterr().err
    assert tree(tmp_path) == ["clip.mp4", "in.png"]


def test_skipping_and_overwriting_exclude_each_other() -> None:
    with pytest.raises(SystemExit, match="2"):
        command_parser("anonymize").parse_args(["a", "b", "--skip-existing", "--overwrite"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "error: --jobs 0: at least 1 is needed\n"),
        (["--crf", "52"], "--crf 52 is not in 0 to 51"),
        (["--crf", "-1"], "--crf -1 is not in 0 to 51"),
        (["--crf", "0", "--jobs", "1", "--weights", "nowhere.onnx"], "nowhere.onnx"),
        (["--crf", "51", "--jobs", "1", "--weights", "nowhere.onnx"], "nowhere.onnx"),
    ],
)
def test_values_out_of_range_are_named(
    short_clip: Path, tmp_path: Path, capsys: Any, arguments: list[str], message: str
) -> None:
    assert acta(short_clip, tmp_path / "out.mp4", *arguments) == 1
    assert message in capsys.readouterr().err


def test_options_reach_the_encoder(short_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(anonymize_run, "run", lambda jobs, treatment, *rest: seen.append(treatment))
    options = (
        "--crf 18 --preset slow --audio drop --keep chapters --keep subtitles --keep-what-is-whole "
        "--shape ellipse --turned"
    )
    assert acta(short_clip, tmp_path / "out.mp4", *options.split(), "--overwrite", *WHOLE[:2]) == 0
    [treatment] = seen
    assert treatment.encoding == encode.Encoding(
        crf=18, preset="slow", audio="drop", keep=frozenset({"chapters", "subtitles"}), keep_what_is_whole=True
    )
    assert (treatment.obfuscate.shape, treatment.overwrite, treatment.preview) == ("ellipse", True, False)
    assert treatment.search.detect.search_rotated


def test_what_can_be_kept_is_what_the_encoder_can_keep() -> None:
    assert command.KEEPABLE == encode.KEEPABLE


def test_missing_weights_are_one_error_and_not_one_a_file(recordings: Path, tmp_path: Path, capsys: Any) -> None:
    assert acta(recordings, tmp_path / "out", "--weights", "nowhere.onnx") == 1
    assert capsys.readouterr().err.count("nowhere.onnx") == 1
    assert not (tmp_path / "out").exists()


def test_no_detector_is_made_where_none_is_needed(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr("pipeline.privacy.detectors.make_detector", made.append)
    assert acta(recordings / "a.mp4", tmp_path / "out.mp4", *WHOLE) == 0
    assert acta(recordings / "a.mp4", tmp_path / "out.mp4", "--skip-existing") == 0
    assert made == []


def test_a_preview_is_called_one_and_is_its_owners(recordings: Path, tmp_path: Path, capsys: Any) -> None:
    assert acta(recordings, tmp_path / "out", "--preview") == 0
    assert tree(tmp_path / "out") == ["a.preview.mp4", "b.preview.mp4", "d.preview.png", "deep/c.preview.mp4"]
    modes = {stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) for name in tree(tmp_path / "out")}
    assert modes == {0o600}
    out = capsys.readouterr().out
    assert out.endswith("Previews show faces; only you can read them (mode 0600).\n")
    assert "0 faces drawn in 10 frames" in out
    assert len(plan(recordings, to=tmp_path / "out", skip=True).jobs) == 4  # for anonymised copies they do not pass


@pytest.mark.parametrize("name", ["a.mp4", "d.png"])
@pytest.mark.parametrize("configured", [False, True])
def test_a_preview_of_frames_hidden_whole_is_refused(
    recordings: Path, tmp_path: Path, capsys: Any, name: str, configured: bool
) -> None:
    options = ["--filter", "frame"]
    if configured:
        text = (PROJECT / "config.yaml").read_text()
        (tmp_path / "my.yaml").write_text(text.replace("filter: blur", "filter: frame"))
        options = ["--config", str(tmp_path / "my.yaml")]
    assert acta(recordings / name, tmp_path / "out", "--preview", *options) == 1
    assert capsys.readouterr().err == (
        "error: --preview shows boxes, and --filter frame draws none: every frame would be hidden whole\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["out.mp4", "preview.mp4", "out.preview"])
def test_a_preview_under_another_name_is_refused(short_clip: Path, tmp_path: Path, capsys: Any, name: str) -> None:
    assert acta(short_clip, tmp_path / name, "--preview") == 1
    assert "a preview shows faces, and its name has to say so: call it " in capsys.readouterr().err
    assert tree(tmp_path) == []


def test_names_of_250_bytes(tmp_path: Path, short_clip: Path) -> None:
    names = [letter * (246 // len(letter.encode())) + ".mp4" for letter in "aé漢"]
    for name in names:
        shutil.copy(short_clip, tmp_path / name)
        assert acta(tmp_path / name, tmp_path / "out" / name, *WHOLE) == 0
    shutil.rmtree(tmp_path / "out")
    assert acta(tmp_path, tmp_path / "again", *WHOLE, "--jobs", 2) == 0
    assert set(names) <= set(tree(tmp_path / "again"))


def test_refuses_to_overwrite_its_input(clip, capsys):
    before = clip.read_bytes()
    assert acta(clip, clip, "--overwrite") == 1
    assert "is an input; choose another output" in capsys.readouterr().err
    assert clip.read_bytes() == before


def test_refuses_through_a_link_too(clip, tmp_path, capsys):
    (tmp_path / "link.mp4").symlink_to(clip)
    assert acta(clip, tmp_path / "link.mp4", "--overwrite") == 1
    assert "is an input" in capsys.readouterr().err


def test_refuses_through_a_hard_link_too(tmp_path, capsys):
    source = write_clip(tmp_path / "a.mp4", frames=2)
    os.link(source, tmp_path / "b.mp4")
    before = source.read_bytes()
    assert acta(source, tmp_path / "b.mp4", "--overwrite") == 1
    assert "is an input" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_existing_output_is_kept_unless_told(clip, tmp_path, capsys):
    (tmp_path / "out.mp4").write_text("precious")
    assert acta(clip, tmp_path / "out.mp4") == 1
    assert "out.mp4 exists; --overwrite replaces it" in capsys.readouterr().err
    assert (tmp_path / "out.mp4").read_text() == "precious"


def test_a_folder_goes_into_a_folder_and_a_bad_file_does_not_stop_the_others(tmp_path, capsys):
    write_clip(tmp_path / "in/one.mp4", frames=2)
    write_clip(tmp_path / "in/deep/two.mp4", frames=2)
    (tmp_path / "in/bad.mp4").write_text("no video")
    (tmp_path / "in/notes.txt").write_text("not looked at")
    assert acta(tmp_path / "in", tmp_path / "out") == 1
    written = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert written == {"one.mp4", "deep/two.mp4"}
    out, error = capsys.readouterr()
    assert "bad.mp4: cannot be opened" in error
    assert out.startswith("2 videos done: 0 faces hidden in 4 frames\n")
    assert "not looked at, as neither videos nor photographs by name: 1 .txt\n1 left out:\n" in out


def test_keeps_detections(footage, tmp_path):
    source = footage / "talking_in_car/carphone_pristine.mp4"
    kept = tmp_path / "kept.h5"
    assert acta(source, tmp_path / "out.mp4", "--keep-detections", kept) == 0
    shard = DetectionShard(kept)
    assert shard.ids == ["carphone_pristine.mp4"]
    assert shard.times(shard.ids[0]) == pytest.approx(read_times(source))
    assert [len(frame) for frame in shard.frames(shard.ids[0])] == [1] * 120
    assert shard.provenance["weights"] == {"centerface": WEIGHTS["centerface"].source.sha256}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--enlarge", "0.5"], "'enlarge' is 0.5: input should be greater than or equal to 1"),
        (
            ["--detector", "selfie"],
            "detector 'selfie' does not find faces; choose one of retinaface, centerface, onnx",
        ),
        (["--threshold", "7"], "'detect.threshold' is 7.0"),
        (["--threshold", "1"], "so it would hide nothing; lower its `threshold`"),
        (["--weights", "nowhere.onnx"], "nowhere.onnx' of detector 'centerface' are not there"),
    ],
)
def test_wrong_options_are_named(clip, tmp_path, capsys, options, message):
    assert acta(clip, tmp_path / "out.mp4", *options) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_say_how_to_get_them(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ACTA_CACHE", str(tmp_path / "empty"))
    assert acta(clip, tmp_path / "out.mp4", "--what", "bodies", "--detector", "maskrcnn") == 1
    assert "get them with: acta weights fetch maskrcnn" in capsys.readouterr().err


def test_disk_full_leaves_no_output(tmp_path):
    source = write_clip(tmp_path / "in.mp4", frames=60, size=(240, 320), options={"crf": "1"})
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000)); "
        "from pipeline.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "anonymize", str(source), str(tmp_path / "out.mp4"), "--crf", "1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "File too large" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4"]


def test_killed_half_way_leaves_no_output_with_its_final_name(tmp_path, footage):
    source, output = footage / "giving_speech/obama_speech.mp4", tmp_path / "out.mp4"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "anonymize", str(source), str(output)], stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not list(tmp_path.glob(".out.mp4.*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    assert acta(source, output) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
