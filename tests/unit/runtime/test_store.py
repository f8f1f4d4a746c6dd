"""The shard format, and files that are whole or not there."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import torch

from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.sealed import Array
from pipeline.runtime.store import FrameShard, StoredVideo, create_shard, write_frames
from tests import PROJECT
from tests.clips import numbered_image, read_number

PROVENANCE = Provenance(
    task="extract_frames",
    settings='{"frames":{"size":64}}',
    code="0123456789abcdef",
    inputs={"manifest": "12ab"},
    weights={"retinaface": "34cd"},
    packages=("h5py",),
)


def encode(number: int, height: int = 32, width: int = 64) -> bytes:
    image = np.ascontiguousarray(numbered_image(number, height, width)[..., ::-1])
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def video(
    folder: Path, name: str, numbers: range, start: float = 0.0, size: tuple[int, int] = (32, 64), label: str = "run"
) -> StoredVideo:
    """Frames with these numbers at 10 frames per second from ``start``."""
    images = [encode(number, *size) for number in numbers]
    folder.mkdir(exist_ok=True)
    spooled = folder / f"{numbers.start}.jpegs"
    spooled.write_bytes(b"".join(images))
    times = start + np.arange(len(images)) / 10
    return StoredVideo(name, label, "train", *size, times, np.array([len(i) for i in images], np.uint64), spooled)


def write_two(path: Path) -> Path:
    """``a`` holds the frames 0 to 9 from 0 s, ``b`` the frames 100 to 104 from 5 s."""
    folder = path.parent / "spooled"
    videos = [video(folder, "a", range(10)), video(folder, "b", range(100, 105), 5.0, (48, 80), "walk")]
    write_frames(path, videos, [Quarantined("c", "build_manifest", "empty (0 bytes)")], PROVENANCE)
    return path


@pytest.fixture(scope="module")
def shard_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_two(tmp_path_factory.mktemp("store") / "shard.h5")


@pytest.fixture
def shard(shard_path: Path) -> Iterator[FrameShard]:
    reader = FrameShard(shard_path)
    yield reader
    reader.close()


def numbers(images: list[np.ndarray]) -> list[int]:
    return [read_number(cv2.imdecode(image, cv2.IMREAD_COLOR_RGB)) for image in images]


def clip_numbers(clip: Any) -> list[int]:
    return [read_number(image.permute(1, 2, 0).numpy()) for image in clip]


# ---- round trip


def test_videos_come_back_in_order(shard: FrameShard) -> None:
    assert (shard.ids, shard.labels, shard.splits) == (["a", "b"], ["run", "walk"], ["train", "train"])


def test_sizes_come_back(shard: FrameShard) -> None:
    assert (shard.size("a"), shard.size("b")) == ((32, 64), (48, 80))


def test_time_stamps_come_back(shard: FrameShard) -> None:
    assert shard.times("a").tolist() == (np.arange(10) / 10).tolist()
    assert shard.times("b").tolist() == (5.0 + np.arange(5) / 10).tolist()


def test_quarantine_comes_back(shard: FrameShard) -> None:
    assert shard.quarantine == [Quarantined("c", "build_manifest", "empty (0 bytes)")]


def test_images_come_back_byte_for_byte(shard: FrameShard) -> None:
    assert [image.tobytes() for image in shard.jpegs("b")] == [encode(k, 48, 80) for k in range(100, 105)]


def test_provenance_comes_back_with_versions(shard: FrameShard) -> None:
    assert shard.provenance == {
        "task": "extract_frames",
        "settings": {"frames": {"size": 64}},
        "code": "0123456789abcdef",
        "inputs": {"manifest": "12ab"},
        "weights": {"retinaface": "34cd"},
        "packages": {"h5py": h5py.__version__},
    }


@pytest.mark.parametrize("name", ["日本.mp4", "a\tb", "a\nb", "k\udce9.mp4", "", " a ", "😀"], ids=ascii)
def test_strange_names_come_back(tmp_path: Path, name: str) -> None:
    entry = video(tmp_path / "spooled", name, range(1), label=name)
    write_frames(tmp_path / "shard.h5", [entry], [Quarantined(name + "x", "extract_frames", name)], PROVENANCE)
    shard = FrameShard(tmp_path / "shard.h5")
    assert (shard.ids, shard.labels) == ([name], [name])
    assert shard.quarantine == [Quarantined(name + "x", "extract_frames", name)]
    assert numbers(shard.jpegs(name)) == [0]


def test_layout_is_the_documented_one(shard_path: Path) -> None:
    with h5py.File(shard_path) as file:
        assert file.attrs["format"] == "acta-frames-2"
        assert {name: (file[name].dtype.str, file[name].shape[1:]) for name in ("frames/data", "frames/offsets")} == {
            "frames/data": ("|u1", ()),
            "frames/offsets": ("<u8", ()),
        }
        assert file["frames/offsets"].shape == (16,)
        assert file["frames/data"].shape == (int(file["frames/offsets"][-1]),)
        assert file["frames/data"].chunks is None
        assert file["videos/first"][:].tolist() == [0, 10, 15]
        assert file["videos/size"][:].tolist() == [[32, 64], [48, 80]]


# ---- clips


@pytest.mark.parametrize(
    ("name", "start", "stop", "expected"),
    [
        ("a", 0, None, list(range(10))),
        ("a", 3, 6, [3, 4, 5]),
        ("a", 9, 10, [9]),
        ("a", 4, 4, []),
        ("b", 0, None, [100, 101, 102, 103, 104]),
        ("b", 4, 5, [104]),
    ],
)
def test_jpegs_of_any_stretch(shard: FrameShard, name: str, start: int, stop: int | None, expected: list[int]) -> None:
    assert numbers(shard.jpegs(name, start, stop)) == expected


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [(0, None, list(range(10))), (2, 9, list(range(2, 9))), (0, 1, [0]), (9, 10, [9])],
)
def test_clip_by_index(shard: FrameShard, start: int, stop: int | None, expected: list[int]) -> None:
    assert clip_numbers(shard.clip("a", start, stop)) == expected


def test_clip_is_rgb_channels_first(shard: FrameShard) -> None:
    clip = shard.clip("b", 1, 3)
    assert tuple(clip.shape) == (2, 3, 48, 80)
    assert str(clip.dtype) == "torch.uint8"
    left = clip[0, :, 40, 2].tolist()  # red falls to the right, green downwards
    assert left[0] > 180
    assert left[2] < 100


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (0, 11), (6, 5), (11, 12)])
def test_stretch_outside_the_video(shard: FrameShard, start: int, stop: int) -> None:
    with pytest.raises(IndexError, match=f"frames {start}:{stop} of 'a', which has 10"):
        shard.jpegs("a", start, stop)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0], [0]),
        ([0.05], [0]),
        ([0.0999], [0]),
        ([0.1], [1]),
        ([0.1 - 1e-9], [1]),
        ([0.3], [3]),
        ([-5.0], [0]),
        ([99.0], [9]),
        ([0.9], [9]),
        ([0.7, 0.2, 0.7], [7, 2, 7]),
        ([0.0, 0.03, 0.06, 0.11], [0, 0, 0, 1]),
    ],
)
def test_clip_at_shows_what_is_on_screen(shard: FrameShard, times: list[float], expected: list[int]) -> None:
    assert clip_numbers(shard.clip_at("a", times)) == expected


@pytest.mark.parametrize(("time", "expected"), [(0.0, 100), (5.0, 100), (5.15, 101), (5.4, 104), (9.0, 104)])
def test_clip_at_counts_in_the_videos_own_time(shard: FrameShard, time: float, expected: int) -> None:
    assert clip_numbers(shard.clip_at("b", [time])) == [expected]


def test_clip_at_takes_an_iterator(shard: FrameShard) -> None:
    assert clip_numbers(shard.clip_at("a", (k / 10 for k in (1, 4)))) == [1, 4]


def test_clip_at_no_times(shard: FrameShard) -> None:
    with pytest.raises(ValueError, match="no times given for 'a'"):
        shard.clip_at("a", [])


@pytest.mark.parametrize("how", ["clip", "clip_at"])
def test_clip_is_one_read(shard: FrameShard, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shard.jpegs("a")  # the index is read once and kept
    reads = []
    original = Array.__getitem__

    def counted(self: Array, rows: slice) -> Any:
        reads.append(self.place)
        return original(self, rows)

    monkeypatch.setattr(Array, "__getitem__", counted)
    if how == "clip":
        shard.clip("a", 2, 9)
    else:
        shard.clip_at("a", [0.2, 0.8])
    assert reads.count(shard.array("frames/data").place) == 1


def test_unknown_video(shard: FrameShard) -> None:
    with pytest.raises(KeyError, match=r"'z' is not in .*shard\.h5"):
        shard.jpegs("z")


def test_quarantined_video_says_why(shard: FrameShard) -> None:
    with pytest.raises(KeyError, match=r"'c' is not in .*shard\.h5 \(quarantined: empty \(0 bytes\)\)"):
        shard.times("c")


# ---- empty shards, workers, closing


def test_shard_without_videos(tmp_path: Path) -> None:
    path = tmp_path / "empty.h5"
    write_frames(path, [], [Quarantined("c", "build_manifest", "missing")], PROVENANCE)
    shard = FrameShard(path)
    assert (shard.ids, shard.labels, shard.splits) == ([], [], [])
    assert shard.quarantine == [Quarantined("c", "build_manifest", "missing")]


def test_shard_without_anything(tmp_path: Path) -> None:
    write_frames(tmp_path / "empty.h5", [], [], PROVENANCE)
    assert FrameShard(tmp_path / "empty.h5").quarantine == []


def _read_in_worker(shard: FrameShard) -> tuple[int, list[int]]:
    return os.getpid(), numbers(shard.jpegs("b", 1, 3))


def test_open_shard_can_be_handed_to_a_worker(shard: FrameShard) -> None:
    assert numbers(shard.jpegs("a", 0, 1)) == [0]
    with ProcessPoolExecutor(1, get_context("forkserver")) as pool:
        pid, found = pool.submit(_read_in_worker, shard).result()
    assert pid != os.getpid()
    assert found == [101, 102]


def test_pickle_holds_the_path_only(shard: FrameShard) -> None:
    shard.jpegs("a")
    text = pickle.dumps(shard)
    assert len(text) < 500
    assert numbers(pickle.loads(text).jpegs("a", 7, 8)) == [7]


def test_closed_shard_opens_itself_again(shard: FrameShard) -> None:
    shard.close()
    assert numbers(shard.jpegs("a", 2, 3)) == [2]


# ---- wrong files


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"cannot read .*none\.h5: .*No such file or directory"):
        FrameShard(tmp_path / "none.h5")


def test_file_of_another_format(tmp_path: Path) -> None:
    with create_shard(tmp_path / "other.h5", "acta-detections-1", PROVENANCE, [], 0):
        pass
    with pytest.raises(ActaError, match=r"other\.h5 holds 'acta-detections-1', but 'acta-frames-2' is needed here"):
        FrameShard(tmp_path / "other.h5")


def test_hdf5_file_of_somebody_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1, 2, 3]
    with pytest.raises(ActaError, match=r"other\.h5 is damaged: its end has no seal"):
        FrameShard(tmp_path / "other.h5")


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all" * 100])
def test_file_that_is_not_hdf5(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.h5").write_bytes(content)
    with pytest.raises(ActaError, match=r"cannot read .*other\.h5"):
        FrameShard(tmp_path / "other.h5")


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9, -1])
def test_truncated_file(tmp_path: Path, shard_path: Path, kept: float) -> None:
    content = shard_path.read_bytes()
    (tmp_path / "short.h5").write_bytes(content[: int(kept * len(content)) if kept > 0 else -1])
    with pytest.raises(ActaError, match=r"short\.h5 is damaged: its end has no seal, so it was cut short"):
        FrameShard(tmp_path / "short.h5")


# ---- the same content gives the same bytes


def test_same_content_gives_the_same_bytes(tmp_path: Path, shard_path: Path) -> None:
    assert write_two(tmp_path / "another_name.h5").read_bytes() == shard_path.read_bytes()


def test_no_dataset_carries_a_time_of_writing(shard_path: Path) -> None:
    kept = []
    with h5py.File(shard_path) as file:
        file.visititems(lambda _, item: kept.append(item) if isinstance(item, h5py.Dataset) else None)
        assert len(kept) == 12
        assert [item.name for item in kept if item.id.get_create_plist().get_obj_track_times()] == []


def test_digest_does_not_depend_on_package_versions() -> None:
    assert replace(PROVENANCE, packages=("numpy",)).digest == PROVENANCE.digest


@pytest.mark.parametrize(
    "change",
    [{"task": "x"}, {"settings": "{}"}, {"code": "x"}, {"inputs": {}}, {"weights": {}}],
    ids=lambda change: next(iter(change)),
)
def test_digest_depends_on_everything_else(change: dict[str, Any]) -> None:
    assert replace(PROVENANCE, **change).digest != PROVENANCE.digest


# ---- failures while writing


@pytest.mark.parametrize("announced", [90, 110])
def test_spooled_bytes_must_be_those_announced(tmp_path: Path, announced: int) -> None:
    spooled = tmp_path / "spooled"
    spooled.write_bytes(bytes(100))
    entry = StoredVideo("a", "", "", 1, 1, np.zeros(1), np.array([announced], np.uint64), spooled)
    with pytest.raises(ActaError, match=f"bytes of images were spooled.* {announced} announced"):
        write_frames(tmp_path / "shard.h5", [entry], [], PROVENANCE)
    assert [path.name for path in tmp_path.iterdir()] == ["spooled"]


_FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from pipeline.runtime.errors import ActaError
from pipeline.runtime.store import Provenance, StoredVideo, write_frames

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
spooled = folder / "spooled"
spooled.write_bytes(bytes(400_000))
video = StoredVideo("a", "b", "c", 16, 16, np.arange(4) / 10, np.full(4, 100_000, np.uint64), spooled)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write_frames(folder / "shard.h5", [video], [], Provenance("extract_frames", "{}", "x"))
except (ActaError, OSError) as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("limit", [0, 1_000, 8_000, 50_000, 300_000, 402_000])
def test_full_disk_leaves_nothing_and_says_so(tmp_path: Path, limit: int) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path), str(limit)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "shard.h5").exists()
    assert result.returncode == 0, f"status {result.returncode}: {result.stderr[-300:]}"
    assert "refused:" in result.stdout
    assert "too large" in result.stdout.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["spooled"]


def test_images_are_decoded_as_torchvision_decodes_them(shard: FrameShard) -> None:
    from torchvision.io import ImageReadMode, decode_jpeg

    for video in ("a", "b"):
        expected = [decode_jpeg(torch.from_numpy(image), ImageReadMode.RGB) for image in shard.jpegs(video)]
        assert torch.equal(shard.clip(video), torch.stack(expected))
