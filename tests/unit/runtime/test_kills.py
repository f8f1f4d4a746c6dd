"""SIGKILL at random moments of a tiny whole run: raw frames lie in private folders only, and the end is the same.

``ACTA_KILLS`` says how many moments; 30 take some minutes.
"""

import hashlib
import os
import random
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pipeline.config.whole import load
from pipeline.media.decode import decode, open_video, to_rgb
from pipeline.media.frames import extract_video
from pipeline.media.manifest import Video
from pipeline.media.probe import probe
from pipeline.runtime.store import FrameShard
from tests import PROJECT
from tests.clips import ffmpeg, write_clip
from tests.warm import warm_python
from tests.whole_run import commands, prepare

KILLS = int(os.environ.get("ACTA_KILLS", "5"))
FACE = "train/run/face.mp4"
LONGEST = 4.0  # seconds from a start to a kill
_PROBE = 40  # bytes by which a frame is known
SHARED_MEMORY = Path("/dev/shm")


def make(folder: Path, footage: Path) -> Path:
    """A folder with four short videos, of which one shows a face in every frame."""
    face = folder / "videos" / FACE
    face.parent.mkdir(parents=True)
    ffmpeg("-i", footage / "talking_in_car/carphone_pristine.mp4", "-frames:v", "16", face)
    for name in ("train/walk/b", "test/run/c", "test/walk/d"):
        write_clip(folder / f"videos/{name}.mp4", frames=8)
    prepare(folder)
    return folder


@pytest.fixture
def temporary() -> Iterator[Path]:
    """$TMPDIR, where others could look; its path is short, as sockets want it."""
    with tempfile.TemporaryDirectory(prefix="kills") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def start(folder: Path, temporary: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [warm_python(), "-m", "tests.whole_run", str(folder)],
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def finish(folder: Path, temporary: Path) -> None:
    process = start(folder, temporary)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said.decode()[-2000:]


def digests(folder: Path) -> dict[str, str]:
    """Of all that the run has made."""
    made = [folder / name for name in commands(folder, load(folder / "mine.yaml"))]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in made}


def needles(folder: Path, spooled: Path) -> list[bytes]:
    """Bytes from the middle of every raw picture of the face as the run stores it: JPEG at two sizes, RGB, and luma."""
    video = folder / "videos" / FACE
    shard = FrameShard(folder / "none/frames.h5")
    pictures = [image.tobytes() for image in shard.jpegs(f"{FACE}")]
    settings = load(folder / "mine.yaml").detect
    stored = extract_video(Video("v", "v", "", "", probe(video)), video, spooled, settings.sampling, settings.frames)
    data, ends = spooled.read_bytes(), stored.sizes.cumsum().astype(int)
    pictures += [data[end - int(size) : end] for end, size in zip(ends, stored.sizes, strict=True)]
    with open_video(video) as (container, stream):
        for _, frame in decode(container, stream):
            pictures += [to_rgb(frame, frame.height, frame.width).tobytes(), bytes(frame.planes[0])]
    return [picture[len(picture) // 2 :][:_PROBE] for picture in pictures]


def open_files(folders: Iterable[Path]) -> Iterator[Path]:
    """Files that somebody else could reach: those below no private folder."""
    for place in (*folders, SHARED_MEMORY):
        for path, folders, names in os.walk(place):
            folders[:] = [name for name in folders if not is_private(Path(path, name))]
            yield from (Path(path, name) for name in names)


def is_private(path: Path) -> bool:
    status = path.lstat()
    return stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid == os.geteuid()


def raw_frames(known: list[bytes], *folders: Path) -> list[Path]:
    """Files outside private folders that hold one of the pictures and that others may read."""
    found = []
    for path in open_files(folders):
        if "videos" in path.parts or path.is_symlink() or not path.is_file():
            continue
        if path.is_relative_to(SHARED_MEMORY) and not path.stat().st_mode & 0o077:
            continue
        content = path.read_bytes()
        if any(needle in content for needle in known):
            found.append(path)
    return found


def test_killed_at_random_moments(tmp_path: Path, footage: Path, temporary: Path) -> None:
    undisturbed, killed = make(tmp_path / "undisturbed", footage), tmp_path / "killed"
    shutil.copytree(undisturbed, killed)  # with the times of the videos, which their manifest holds
    finish(undisturbed, temporary)
    known = needles(undisturbed, tmp_path / "spooled")
    assert raw_frames(known, undisturbed, temporary) == []
    check_the_search(tmp_path / "checked", undisturbed, known)
    source = random.Random(18)
    cut_short = 0
    while cut_short < KILLS:
        process = start(killed, temporary)
        try:
            process.communicate(timeout=source.uniform(0.5, LONGEST))
        except subprocess.TimeoutExpired:
            cut_short += 1
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        else:  # all was done: half of it is made again
            for name in [name for name in digests(killed) if source.random() < 0.5]:
                (killed / name).unlink()
        assert raw_frames(known, killed, temporary) == []
    finish(killed, temporary)
    assert digests(killed) == digests(undisturbed)
    assert raw_frames(known, killed, temporary) == []
    left = [path for folder in (killed, temporary) for path in folder.rglob("*")]
    assert [path for path in left if ".tmp" in path.name or path.name.startswith("acta-private-")] == []


def check_the_search(folder: Path, run: Path, known: list[bytes]) -> None:
    """It finds pictures in folders that are not private, and only there."""
    for name, mode in (("open", 0o755), ("private", 0o700)):
        (folder / name).mkdir(parents=True)
        (folder / name).chmod(mode)
        (folder / name / "frames.h5").write_bytes((run / "none/frames.h5").read_bytes())
    assert raw_frames(known, folder) == [folder / "open/frames.h5"]
