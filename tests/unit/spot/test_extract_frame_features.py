"""Features of single frames: the crop that the backbone sees, batches, the shard and its reader."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.config.spot import FrameBackboneSettings
from pipeline.config.tasks.spot import ExtractFrameFeatures
from pipeline.models.frame_backbones import build_frame_backbone, load_frame_weights
from pipeline.models.weights import open_weights
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import FrameShard, write_frames
from pipeline.spot.extract_frame_features import (
    FrameFeatureShard,
    extract,
    extract_frame_features,
    write_frame_features,
)
from tests.clips import read_number
from tests.shards import numbered, stored, write_shard

GAME = "league/2016-2017/2016-08-13 - 14-30 One 1 - 0 Other"
HALVES = [f"{GAME}/1", f"{GAME}/2"]
SETTINGS = ExtractFrameFeatures(
    backbone=FrameBackboneSettings(name="mobilenet_v2", weights=None),
    crop=32,
    batch=3,
    precision="float32",
    device="cpu",
    threads=1,
)
BAD = [Quarantined("league/other/1", "frames", "no picture")]


class Spy(nn.Module):
    """A backbone that keeps what it was shown; the first feature is the number of the frame."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, pictures: Tensor) -> Tensor:
        self.seen.append(pictures)
        numbers = [read_number(picture.permute(1, 2, 0).numpy()) for picture in pictures]
        return torch.tensor(numbers).float()[:, None]


def run(backbone: nn.Module, pictures, *, crop: int | None = None, batch: int = 3) -> list[Tensor]:
    return list(extract(backbone, pictures, crop=crop, batch=batch, device="cpu", precision="float32"))


@pytest.fixture
def game(tmp_path: Path) -> Path:
    """A frame shard of two halves of 7 and 4 frames, 36 × 64 pixels, and a video in quarantine."""
    halves = [
        stored(tmp_path / "s", HALVES[0], numbered(7, size=(36, 64)), label="", split="train annotated"),
        stored(tmp_path / "s", HALVES[1], numbered(4, 50, size=(36, 64)), label="", split="train annotated", start=0.5),
    ]
    write_frames(tmp_path / "frames.h5", halves, BAD, Provenance("frames", "{}", "test"))
    return tmp_path / "frames.h5"


def test_every_picture_is_shown_once_in_batches_as_they_come():
    backbone, taken = Spy(), 0

    def pictures() -> Iterator[np.ndarray]:
        nonlocal taken
        for picture in numbered(8):
            taken += 1
            yield picture

    batches = extract(backbone, pictures(), crop=None, batch=3, device="cpu", precision="float32")
    assert next(batches)[:, 0].tolist() == [0, 1, 2]
    assert taken == 3, "no more than a batch is held"
    assert [batch[:, 0].tolist() for batch in batches] == [[3, 4, 5], [6, 7]]
    assert all(batch.dtype == torch.uint8 for batch in backbone.seen)
    assert not backbone.training
    assert run(backbone, []) == []


def test_the_crop_is_the_square_in_the_middle():
    picture = np.random.default_rng(0).integers(0, 256, (36, 65, 3)).astype(np.uint8)
    backbone = Spy()
    run(backbone, [picture], crop=32)
    run(backbone, [picture], crop=36)
    run(backbone, [picture])
    cropped, as_high, whole = (batch[0].permute(1, 2, 0).numpy() for batch in backbone.seen)
    assert np.array_equal(cropped, picture[2:34, 16:48])
    assert np.array_equal(as_high, picture[:, 14:50])
    assert np.array_equal(whole, picture)


def test_pictures_that_cannot_be_computed_together_are_errors():
    small, large = np.zeros((36, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ActaError, match=r"`crop` is 40, but a picture has 36 × 64 pixels"):
        run(Spy(), [large, small], crop=40)
    with pytest.raises(ActaError, match=r"different sizes \[\(36, 64, 3\), \(64, 64, 3\)\]"):
        run(Spy(), [large, small])
    assert len(run(Spy(), [large, small], crop=32)) == 1


def test_mixed_precision_gives_float32_features():
    layer = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))

    class Backbone(nn.Module):
        def forward(self, pictures: Tensor) -> Tensor:
            return layer(pictures.float())

    pictures = [np.full((2, 2, 3), 200, np.uint8)]
    exact = run(Backbone(), pictures)[0]
    (mixed,) = extract(Backbone(), pictures, crop=None, batch=1, device="cpu", precision="bfloat16")
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, mixed.bfloat16().float()), "not computed in bfloat16"
    assert not torch.equal(mixed, exact)


def test_the_features_are_those_of_the_frames(game, tmp_path):
    weights, threads = open_weights("mobilenet_v2"), torch.get_num_threads()
    extract_frame_features(game, tmp_path / "features.h5", SETTINGS, weights)
    assert torch.get_num_threads() == threads
    found, frames = FrameFeatureShard(tmp_path / "features.h5"), FrameShard(game)
    assert (found.ids, found.splits) == (HALVES, ["train annotated"] * 2)
    assert found.quarantine == BAD
    assert found.channels == 1280
    backbone = build_frame_backbone("mobilenet_v2")
    load_frame_weights(backbone, weights)
    for video in HALVES:
        assert np.array_equal(found.times(video), frames.times(video))
        with torch.inference_mode():
            expected = backbone.eval()(frames.clip(video)[:, :, 2:34, 16:48])
        features = found.features(video)
        assert features.dtype == np.float32
        assert features == pytest.approx(expected.numpy(), abs=1e-4)
        assert np.ptp(features, 0).max() > 0.1
    assert found.provenance["inputs"] == {"frames": frames.digest}
    assert found.provenance["weights"] == {"backbone": weights.sha256}
    assert found.provenance["task"] == "extract_frame_features"
    extract_frame_features(game, tmp_path / "again.h5", SETTINGS, weights)
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "features.h5").read_bytes()


def test_a_crop_larger_than_the_frames_names_the_video_and_leaves_no_file(game, tmp_path):
    settings, threads = SETTINGS.model_copy(update={"crop": 37}), torch.get_num_threads()
    with pytest.raises(ActaError, match=f"{HALVES[0]} in .*frames.h5.*`crop` is 37.*36 × 64"):
        extract_frame_features(game, tmp_path / "features.h5", settings, open_weights("mobilenet_v2"))
    assert not list(tmp_path.glob("*features.h5*"))
    assert torch.get_num_threads() == threads


def test_weights_of_another_network_are_an_error(game, tmp_path):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ActaError, match=r"other\.pth"):
        extract_frame_features(game, tmp_path / "features.h5", SETTINGS, tmp_path / "other.pth")


def write(path: Path, frames: Path, *blocks: np.ndarray) -> FrameFeatureShard:
    provenance = Provenance("test", "{}", "")
    write_frame_features(path, FrameShard(frames), 2, lambda video: blocks, provenance)
    return FrameFeatureShard(path)


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A frame shard of one video of 5 frames."""
    return write_shard(tmp_path / "half.h5", [stored(tmp_path / "s", HALVES[0], numbered(5))])


def test_the_reader_reads_what_is_asked_for(half, tmp_path):
    values = np.arange(10, dtype=np.float32).reshape(5, 2)
    shard = write(tmp_path / "f.h5", half, values[:2], values[2:])
    assert shard.features(HALVES[0], 1, 4).tolist() == [[2, 3], [4, 5], [6, 7]]
    assert shard.features(HALVES[0]).tolist() == values.tolist()
    assert len(shard.features(HALVES[0], 5, 5)) == 0
    copy = pickle.loads(pickle.dumps(shard))
    assert copy.features(HALVES[0], 4, 5).tolist() == [[8, 9]]
    for start, stop in ((-1, 2), (0, 6), (3, 2)):
        with pytest.raises(IndexError, match=f"frames {start}:{stop} of .*, which has 5"):
            shard.features(HALVES[0], start, stop)
    with pytest.raises(KeyError, match="no-such"):
        shard.features("no-such")
    with pytest.raises(ActaError, match="acta-frames-2"):
        FrameFeatureShard(half)


@pytest.mark.parametrize(
    ("rows", "change", "message"),
    [
        ((2, 2), 0.0, "features of 4 of its 5 frames"),
        ((3, 3), 0.0, "more features than its 5 frames"),
        ((3, 2), np.nan, "a feature of frames 0:3 is not finite"),
    ],
)
def test_features_that_do_not_fit_the_frames_leave_no_file(half, tmp_path, rows, change, message):
    blocks = [np.full((count, 2), change, np.float32) for count in rows]
    with pytest.raises(ActaError, match=f"{HALVES[0]}: {message}"):
        write(tmp_path / "out.h5", half, *blocks)
    assert not list(tmp_path.glob("*out.h5*"))


def test_a_shard_whose_videos_are_all_in_quarantine_has_no_rows(tmp_path):
    write_frames(tmp_path / "none.h5", [], BAD, Provenance("frames", "{}", "test"))
    extract_frame_features(tmp_path / "none.h5", tmp_path / "f.h5", SETTINGS, open_weights("mobilenet_v2"))
    shard = FrameFeatureShard(tmp_path / "f.h5")
    assert (shard.ids, shard.quarantine, shard.channels) == ([], BAD, 1280)
