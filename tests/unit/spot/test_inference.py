"""From windows to spots: an oracle in the network's place, and suppression by hand."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.runtime.errors import VideoError
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.halves import Anchor, Half
from pipeline.spot.inference import Windows, predict_windows, spots_of, suppress, votes, window_starts

T, RATE = 41, 2.0
CPU = torch.device("cpu")
NAMES = CLASSES[1]


class Halves:
    """A source made of tensors; it notes what is read."""

    def __init__(self, contents: Sequence[Tensor]):
        self._contents = contents
        self.halves = [Half("l/s/g", number, len(frames)) for number, frames in enumerate(contents, 1)]
        self.reads: list[tuple[int, int, int]] = []

    def read(self, half: int, start: int, stop: int) -> Tensor:
        assert 0 <= start < stop <= self.halves[half].frames
        self.reads.append((half, start, stop))
        return self._contents[half][start:stop]


def marked(frames: int, anchors: Sequence[Anchor]) -> Tensor:
    """Frames (frames, 4): at an event's frame 1 at its class, and what of a frame it comes later."""
    content = torch.zeros(frames, 4)
    for anchor in anchors:
        content[int(anchor.frame), anchor.label] = 1
        content[int(anchor.frame), 3] = anchor.frame % 1
    return content


def oracle(clips: Tensor) -> tuple[Tensor, Tensor]:
    """Of each window the first event that is marked in it."""
    there, kinds = clips[:, :, :3].max(2)
    place = there.argmax(1)
    rows = torch.arange(len(clips))
    label = torch.where(there.amax(1) > 0, kinds[rows, place], 3)
    return 10 * torch.eye(4)[label], (place + clips[rows, place, 3]) / clips.shape[1]


# ---- windows


@pytest.mark.parametrize(
    ("frames", "stride", "wanted"),
    [
        (10, 4, [0, 4]),
        (9, 4, [0, 4]),
        (8, 4, [0, 4]),
        (6, 4, [0]),
        (7, 4, [0, 4]),
        (3, 4, [0]),
        (1, 1, [0]),
        (8, 1, [0, 1, 2]),
        (12, 6, [0, 6]),
        (13, 6, [0, 6, 12]),
        (30, 20, [0, 20]),
        (20, 20, [0]),
    ],
)
def test_windows_reach_the_last_frame(frames: int, stride: int, wanted: list[int]) -> None:
    assert list(window_starts(frames, 6, stride)) == wanted


@pytest.mark.parametrize("frames", [1, 3, 41, 42, 100, 130])
@pytest.mark.parametrize("stride", [1, 4, 41])
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_windows_hold_the_frames_they_should(frames: int, stride: int, batch: int) -> None:
    seen: list[Tensor] = []

    def network(clips: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(clips.clone())
        return torch.zeros(len(clips), 4), torch.full((len(clips),), 0.5)

    source = Halves([torch.zeros(3, 1), torch.arange(frames)[:, None]])
    windows = predict_windows(network, source, 1, T, stride, batch=batch, device=CPU)
    assert max(len(clips) for clips in seen) <= batch
    wanted = [[min(start + k, frames - 1) for k in range(T)] for start in windows.starts]
    assert torch.cat(seen)[:, :, 0].tolist() == wanted
    assert wanted[-1][-1] == frames - 1
    assert windows.probabilities.shape == (len(wanted), 4)
    assert windows.probabilities.dtype == windows.offsets.dtype == np.float64
    read = [frame for half, start, stop in source.reads for frame in range(start, stop) if half == 1]
    assert read == list(range(frames))  # each once
    assert max(stop - start for _, start, stop in source.reads) <= (batch - 1) * stride + T


def test_strides_beyond_the_clip_leave_frames_out() -> None:
    source = Halves([torch.arange(30)[:, None]])
    windows = predict_windows(oracle_of_nothing, source, 0, 6, 10, batch=1, device=CPU)
    assert windows.starts.tolist() == [0, 10, 20]
    assert source.reads == [(0, 0, 6), (0, 10, 16), (0, 20, 26)]


def oracle_of_nothing(clips: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros(len(clips), 4), torch.zeros(len(clips))


def test_a_half_without_frames_is_refused() -> None:
    with pytest.raises(VideoError, match="half 1 of l/s/g has no frames"):
        predict_windows(oracle_of_nothing, Halves([torch.zeros(0, 4)]), 0, T, T, batch=1, device=CPU)


def test_probabilities_are_a_softmax() -> None:
    def network(clips: Tensor) -> tuple[Tensor, Tensor]:
        return torch.log(torch.tensor([[1.0, 2.0, 1.0, 4.0]])).expand(len(clips), 4), torch.zeros(len(clips))

    windows = predict_windows(network, Halves([torch.zeros(50, 1)]), 0, T, T, batch=8, device=CPU)
    np.testing.assert_allclose(windows.probabilities, [[0.125, 0.25, 0.125, 0.5]] * 2, rtol=1e-6)


# ---- the oracle's spots

EVENTS = {
    0: [Anchor(0.0, 2), Anchor(90.5, 0), Anchor(201.25, 1), Anchor(330.0, 2), Anchor(498.0, 0)],
    1: [Anchor(1.5, 1), Anchor(122.75, 2), Anchor(412.0, 0), Anchor(536.5, 1)],
}
FRAMES = {0: 500, 1: 537}


@pytest.mark.parametrize("stride", [1, 4, 20, 41])
@pytest.mark.parametrize("half", [0, 1])
def test_the_oracles_events_are_found_where_they_are(stride: int, half: int) -> None:
    source = Halves([marked(FRAMES[number], EVENTS[number]) for number in (0, 1)])
    windows = predict_windows(oracle, source, half, T, stride, batch=5, device=CPU)
    spots = spots_of(windows, T, RATE, NAMES, half + 1, FRAMES[half])
    for anchor in EVENTS[half]:
        near = [spot for spot in spots if spot.label == NAMES[anchor.label]]
        assert any(abs(spot.time - anchor.frame / RATE) < 0.25 for spot in near)
    for spot in spots:
        assert spot.half == half + 1
        assert 0 <= spot.time <= FRAMES[half] / RATE
        assert any(abs(spot.time - a.frame / RATE) < 0.25 and spot.label == NAMES[a.label] for a in EVENTS[half])
    assert len(suppress(spots, 15.0)) == len(EVENTS[half])


def test_half_shorter_than_a_clip() -> None:
    source = Halves([marked(7, [Anchor(6.0, 1)])])
    windows = predict_windows(oracle, source, 0, T, T, batch=5, device=CPU)
    (spot,) = spots_of(windows, T, RATE, NAMES, 1, 7)
    assert spot.label == "subs"
    assert spot.time == pytest.approx(3.0)
    assert spot.confidence == pytest.approx(np.exp(10) / (np.exp(10) + 3))


# ---- spots by hand


def windows(*rows: tuple[int, list[float], float]) -> Windows:
    starts, probabilities, offsets = zip(*rows, strict=True)
    return Windows(np.array(starts), np.array(probabilities), np.array(offsets))


SAID = windows(
    (0, [0.1, 0.2, 0.3, 0.4], 0.5),
    (10, [0.1, 0.2, 0.5, 0.2], 0.25),
    (20, [0.7, 0.1, 0.1, 0.1], 1.0),
    (30, [0.4, 0.1, 0.1, 0.4], 0.0),
)


def test_spots_are_the_likeliest_class_unless_that_is_background() -> None:
    assert spots_of(SAID, 8, 2.0, NAMES, 2, 27) == [
        Spot(2, 6.0, "soccer", 0.5),
        Spot(2, 13.5, "card", 0.7),  # 14 s, but the half ends before
        Spot(2, 13.5, "card", 0.4),
    ]


def test_no_events_no_spots() -> None:
    assert spots_of(windows((0, [0.1, 0.2, 0.7], 0.5)), 8, 2.0, ("a", "b"), 1, 50) == []


def test_votes() -> None:
    said = windows(
        (0, [0.9, 0.1], 0.5), (4, [0.9, 0.1], 0.0), (2, [0.2, 0.8], 0.25), (4, [0.9, 0.1], 1.0), (1, [0.9, 0.1], 0.34)
    )
    assert votes(said, 10, 8).tolist() == [0, 0, 0, 0, 3, 0, 0, 0, 0, 1]  # 4, 4, background, 12, 3.72
    assert votes(windows((0, [0.1, 0.9], 0.5)), 3, 8).tolist() == [0, 0, 0]


def spot(time: float, confidence: float, label: str = "card", half: int = 1) -> Spot:
    return Spot(half, time, label, confidence)


def test_suppression() -> None:
    found = [
        spot(10.0, 0.5),
        spot(17.5, 0.9),  # silences the one before, 7.5 s away, and the next
        spot(25.0, 0.8),
        spot(25.25, 0.7),  # 7.75 s away
        spot(18.0, 0.3, "subs"),
        spot(18.0, 0.3, half=2),
    ]
    assert suppress(found, 15.0) == [
        spot(17.5, 0.9),
        spot(18.0, 0.3, "subs"),
        spot(25.25, 0.7),
        spot(18.0, 0.3, half=2),
    ]
    assert suppress(list(reversed(found)), 15.0) == suppress(found, 15.0)


def test_a_silenced_spot_silences_nothing() -> None:
    found = [spot(0.0, 0.9), spot(5.0, 0.8), spot(10.0, 0.7)]
    assert suppress(found, 15.0) == [spot(0.0, 0.9), spot(10.0, 0.7)]


def test_of_equally_sure_spots_the_earlier_stays() -> None:
    assert suppress([spot(4.0, 0.5), spot(3.0, 0.5)], 15.0) == [spot(3.0, 0.5)]
    assert suppress([], 15.0) == []


# ---- RMS-Net


def network(**changes: object) -> RmsNet:
    torch.manual_seed(0)
    fields = {
        "classes": 3,
        "features": 4,
        "clip": 6,
        "projection": 5,
        "convolutions": (8, 8),
        "kernel": 3,
        "dropout": 0.5,
        "hidden": 8,
        "regression": True,
    }
    return RmsNet(RmsNetArchitecture(**(fields | changes))).eval()


def padded(frames: Tensor, start: int) -> Tensor:
    return torch.stack([frames[min(start + k, len(frames) - 1)] for k in range(6)])


def feature_frames() -> tuple[RmsNet, Tensor]:
    return network(), torch.randn(20, 4, generator=torch.Generator().manual_seed(1))


def picture_frames() -> tuple[RmsNet, Tensor]:
    draw = torch.Generator().manual_seed(1)
    model = network(features=3, backbone="resnet18", trainable="last_block")
    return model, torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8, generator=draw)


@torch.no_grad()
@pytest.mark.parametrize("kind", [feature_frames, picture_frames])
def test_a_networks_windows_are_its_clips(kind: Callable[[], tuple[RmsNet, Tensor]]) -> None:
    model, frames = kind()
    source, counted = Halves([frames]), []
    if model.backbone is not None:
        model.backbone.register_forward_pre_hook(lambda module, inputs: counted.append(len(inputs[0])))
    found = predict_windows(model, source, 0, 6, 4, batch=2, device=CPU)
    assert sum(counted) == (20 if counted else 0)  # each frame goes through the backbone once
    logits, offsets = model(torch.stack([padded(frames, int(start)) for start in found.starts]))
    np.testing.assert_allclose(found.probabilities, logits.softmax(1), rtol=1e-4)
    np.testing.assert_allclose(found.offsets, offsets, rtol=1e-4)


def test_double_precision_stays() -> None:
    model, frames = feature_frames()
    found = predict_windows(model.double(), Halves([frames]), 0, 6, 4, batch=2, device=CPU)
    logits, _ = model(torch.stack([padded(frames, int(start)) for start in found.starts]))
    np.testing.assert_allclose(found.probabilities, logits.detach().softmax(1), rtol=1e-13)
