"""The table of broken and unusual inputs: each gives the right frames or a quarantine entry with its reason.

Every case is run alone through `probe` and `decode`, and all of them lie in one folder for the tasks, where none may
stop the others.
"""

import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.config.tasks.privacy import ExtractFrames
from pipeline.data.adapters import list_videos
from pipeline.data.build_manifest import build_manifest
from pipeline.data.extract_frames import extract_frames
from pipeline.media.decode import decode, open_video, scaled_size, to_rgb
from pipeline.media.lists import write_lists
from pipeline.media.manifest import read_manifest
from pipeline.media.probe import probe
from pipeline.runtime.errors import VideoError
from pipeline.runtime.store import FrameShard
from tests.clips import read_number, read_times, write_clip


@dataclass(frozen=True)
class Case:
    """A file to make, and either the numbers of its frames with the upright size, or the beginning of the reason."""

    name: str
    make: Callable[[Path], object]
    frames: int = 0
    size: tuple[int, int] = (96, 128)
    reason: str = ""


def cut(share: float, suffix_options: dict[str, str] | None = None) -> Callable[[Path], None]:
    """A clip of which only the first ``share`` of the bytes is there."""

    def make(path: Path) -> None:
        write_clip(path, frames=60, container_options=suffix_options, options={"g": "10"})
        os.truncate(path, int(path.stat().st_size * share))

    return make


def damage(path: Path) -> None:
    """A clip whose coded pictures are overwritten in the middle."""
    write_clip(path, frames=60, options={"g": "60"})
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    middle = start + (len(content) - start) // 3
    content[middle : middle + 900] = bytes(i * 37 % 256 for i in range(900))
    path.write_bytes(content)


def audio_only(path: Path) -> None:
    write_clip(path.with_suffix(".full.mp4"), audio=True)
    import av

    with av.open(str(path.with_suffix(".full.mp4"))) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    path.with_suffix(".full.mp4").unlink()


def no_decoder(path: Path) -> None:
    write_clip(path)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))


def unreadable(path: Path) -> None:
    write_clip(path)
    path.chmod(0)


FASTSTART = {"movflags": "faststart"}
SECRET = "secret.mp4"

CASES = [
    Case("good.mp4", lambda p: write_clip(p), 12),
    Case("good_with_sound.mp4", lambda p: write_clip(p, audio=True), 12),
    Case("empty.mp4", lambda p: p.touch(), reason="empty (0 bytes)"),
    Case("truncated_header.mp4", cut(0.02), reason="cannot be opened"),
    Case("truncated_half_index_at_end.mp4", cut(0.5), reason="cannot be opened"),
    Case("truncated_half_index_at_start.mp4", cut(0.5, FASTSTART), reason="truncated"),
    Case("truncated_last_bytes.mp4", cut(0.995, FASTSTART), reason="truncated"),
    Case("truncated.mkv", cut(0.5), reason="truncated"),
    Case("truncated.avi", cut(0.5), reason="decoding failed"),
    Case("damaged.mp4", damage, reason="decoding failed after"),
    Case("text.mp4", lambda p: p.write_text("this is no video\n" * 50), reason="cannot be opened"),
    Case("noise.mp4", lambda p: p.write_bytes(bytes(i * i % 251 for i in range(20000))), reason="cannot be opened"),
    Case("audio_only.mp4", audio_only, reason="no video stream (only audio)"),
    Case("no_decoder.mp4", no_decoder, reason="no decoder for its video stream"),
    Case("unreadable.mp4", unreadable, 12 if os.geteuid() == 0 else 0, reason="cannot be opened: Permission denied"),
    Case("mp4_named.avi", lambda p: (write_clip(p.with_suffix(".mp4")), p.with_suffix(".mp4").rename(p)), 12),
    Case("one_frame.mp4", lambda p: write_clip(p, frames=1), 1),
    Case("variable_rate.mkv", lambda p: write_clip(p, frames=5, times=[0, 30, 400, 410, 2000]), 5),
    Case("rotated_90.mp4", lambda p: write_clip(p, rotation=90), 12, (128, 96)),
    Case("rotated_180.mp4", lambda p: write_clip(p, rotation=180), 12),
    Case("rotated_270.mp4", lambda p: write_clip(p, rotation=270), 12, (128, 96)),
    Case("odd_size.mkv", lambda p: write_clip(p, size=(97, 131), codec="ffv1"), 12, (97, 131)),
    Case("yuv444.mp4", lambda p: write_clip(p, pixel_format="yuv444p"), 12),
    Case("ten_bit.mp4", lambda p: write_clip(p, pixel_format="yuv420p10le"), 12),
    Case("grey.mp4", lambda p: write_clip(p, pixel_format="gray"), 12),
    Case("mpeg4.avi", lambda p: write_clip(p, codec="mpeg4"), 12),
    Case("vp9.webm", lambda p: write_clip(p, codec="libvpx-vp9"), 12),
    Case("mpegts.ts", lambda p: write_clip(p), 12),
    Case(
        "playlist_names_file.mp4",
        lambda p: p.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{SECRET}\n#EXT-X-ENDLIST\n"),
        reason="cannot be opened",
    ),
    Case("concat_names_file.mp4", lambda p: p.write_text(f"ffconcat version 1.0\nfile {SECRET}\n"), reason="cannot be"),
    Case(
        "dash_names_file.mp4",
        lambda p: p.write_text(
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
            f'bandwidth="1"><BaseURL>{SECRET}</BaseURL></Representation></AdaptationSet></Period></MPD>'
        ),
        reason="cannot be opened",
    ),
    Case("folder.mp4", lambda p: p.mkdir(), reason="not a file"),
]
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("inputs")
    write_clip(folder / SECRET)
    for case in CASES:
        case.make(folder / case.name)
    yield folder
    (folder / "unreadable.mp4").chmod(0o600)


@pytest.mark.parametrize("name", [case.name for case in CASES if case.frames])
def test_unusual_file_gives_the_right_frames(folder, name):
    case = BY_NAME[name]
    info = probe(folder / name)
    assert (info.frames, info.height, info.width) == (case.frames, *case.size)
    with open_video(folder / name) as (container, stream):
        frames = list(decode(container, stream))
    assert [read_number(to_rgb(frame, *scaled_size(frame, None))) for _, frame in frames] == list(range(case.frames))
    assert [time for time, _ in frames] == pytest.approx(read_times(folder / name))


@pytest.mark.parametrize("name", [case.name for case in CASES if not case.frames])
def test_broken_file_is_refused_with_its_reason(folder, name):
    with pytest.raises(VideoError) as error:  # noqa: PT012  # either the probe or the decoder sees it
        probe(folder / name)
        with open_video(folder / name) as (container, stream):
            list(decode(container, stream))
    assert str(error.value).startswith(BY_NAME[name].reason)
    assert str(folder) not in str(error.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(VideoError, match=r"^missing$"):
        probe(tmp_path / "nowhere.mp4")


def test_none_stops_the_others(folder, config, tmp_path):
    """All at once through the tasks: every file is either in the store, whole, or in quarantine."""
    settings = config.data.model_copy(update={"adapter": "folder", "root": str(folder)})
    videos = [v for v in list_videos(settings) if v.id != SECRET]
    [shard] = write_lists(videos, tmp_path / "lists", 1)
    build_manifest(tmp_path / f"lists/{shard}.json", folder, tmp_path / "manifest.json", workers=2)
    settings = ExtractFrames(
        sampling=config.sampling.model_copy(update={"rate": None}),
        frames=config.frames.model_copy(update={"size": None}),
    )
    extract_frames(tmp_path / "manifest.json", folder, tmp_path / "frames/all.h5", settings, workers=2)
    store = FrameShard(tmp_path / "frames/all.h5")
    files = {case.name for case in CASES if case.name != "folder.mp4"}  # a folder is walked into, not listed
    good = {case.name for case in CASES if case.frames}
    refused = {
        entry.id: entry.reason for entry in [*read_manifest(tmp_path / "manifest.json").quarantine, *store.quarantine]
    }
    assert set(store.ids) == good
    assert set(refused) == files - good
    for name, reason in refused.items():
        assert reason.startswith(BY_NAME[name].reason)
    for name in good:
        images = store.clip(name).permute(0, 2, 3, 1).numpy()
        assert [read_number(image) for image in images] == list(range(BY_NAME[name].frames))


def test_playlist_never_asks_the_network(tmp_path):
    """A playlist behind a video's name must not make the decoder call an address: a real server waits and counts."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class's name
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        contents = [
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}/a.ts\n#EXT-X-ENDLIST\n",
            f"ffconcat version 1.0\nfile {address}/b.mp4\n",
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {server.server_port} RTP/AVP 96\n",
        ]
        for number, content in enumerate(contents):
            (tmp_path / f"{number}.mp4").write_text(content)
            with pytest.raises(VideoError, match="cannot be opened"):
                probe(tmp_path / f"{number}.mp4")
        server.shutdown()
        thread.join()
    assert asked == []


def test_names_that_look_like_addresses_are_files(tmp_path):
    shutil.copy(write_clip(tmp_path / "clip.mp4"), tmp_path / "http:example.mp4")
    assert probe(tmp_path / "http:example.mp4").frames == 12


def test_disk_full_stops_the_task_and_leaves_nothing_half_written(tmp_path, config):
    """The file system refuses to grow a file past a limit, in the middle of the first video's frames."""
    write_clip(tmp_path / "videos/a.mp4", frames=40)
    settings = config.data.model_copy(update={"adapter": "folder", "root": str(tmp_path / "videos")})
    [shard] = write_lists(list_videos(settings), tmp_path / "lists", 1)
    build_manifest(tmp_path / f"lists/{shard}.json", tmp_path / "videos", tmp_path / "manifest.json")
    text = ExtractFrames(sampling=config.sampling, frames=config.frames).model_dump_json()
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000)); "
        "from pipeline.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "frames" / "a.h5"
    result = subprocess.run(
        [sys.executable, "-c", code, "task", "extract_frames", "--manifest", str(tmp_path / "manifest.json")]
        + ["--root", str(tmp_path / "videos"), "--settings", text, "-o", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "File too large" in result.stderr
    assert list(out.parent.iterdir()) == []
