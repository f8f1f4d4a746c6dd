"""Votes around events: where they gather, which events are chosen, and all of them counted by hand."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import torch

from pipeline.spot import count_votes as votes
from pipeline.spot.count_votes import count_votes
from pipeline.spot.events import CLASSES
from pipeline.spot.games import read_games
from pipeline.spot.halves import Anchor, Half
from pipeline.spot.inference import predict_windows
from pipeline.spot.sources import open_source
from pipeline.spot.spotter_file import load_spotter
from tests.unit.spot.small_games import (
    CLIP,
    FRAMES,
    NAMES,
    PREDICT,
    RATE,
)


def test_votes_gather_where_the_event_is(trained, data, tmp_path):
    count_votes(data.manifests, data.imported, trained, tmp_path / "votes.json", PREDICT)
    content = json.loads((tmp_path / "votes.json").read_text())
    assert (content["rate"], content["clip"]) == (RATE, CLIP)
    assert [example["label"] for example in content["examples"]] == list(CLASSES[1])
    truth = data.truth("Test")[NAMES["Test"]]
    for example in content["examples"]:
        assert example.keys() == {"game", "half", "label", "event", "start", "votes"}
        label, frame = example["label"], int(RATE * example["event"])
        assert (example["game"], example["half"]) == (NAMES["Test"], 1)
        assert example["event"] == next(event.time for event in truth if event.label == label), "its first"
        assert (example["start"], len(example["votes"])) == (frame - CLIP, 2 * CLIP + 1)
        counted = np.array(example["votes"])
        assert abs(int(counted.argmax()) - CLIP) <= 4, counted
        assert counted[CLIP - 4 : CLIP + 5].sum() > 0.6 * counted.sum(), counted


def test_votes_are_of_the_first_event_that_is_alone():
    """No other event within a clip's 11 frames, nor an end of the half."""
    anchors = [(10, 0), (30.5, 0), (41, 0), (60.5, 1), (71.5, 0), (88, 1), (89, 2)]
    halves = [Half(NAMES["Test"], half, 100, tuple(Anchor(*anchor) for anchor in anchors)) for half in (1, 2)]
    chosen = votes._choose(SimpleNamespace(halves=halves), CLIP)
    assert chosen == [], "each has a neighbour, or is too near an end"
    halves.append(Half(NAMES["Test"], 2, 112, (Anchor(11, 1), Anchor(22.5, 0), Anchor(40, 1), Anchor(100, 2))))
    chosen = votes._choose(SimpleNamespace(halves=halves), CLIP)
    assert chosen == [(2, Anchor(22.5, 0)), (2, Anchor(11, 1))]
    halves.append(Half(NAMES["Test"], 1, 113, (Anchor(100, 2),)))
    assert votes._choose(SimpleNamespace(halves=halves), CLIP)[2:] == [(3, Anchor(100, 2))]


def test_votes_by_hand(trained, data, tmp_path):
    """Of windows at every frame, each predicted event is a vote for its frame."""
    games = read_games(data.manifests, ["test"], 0)
    source, _ = open_source(games, data.imported, 1, RATE)
    network, _ = load_spotter(trained)
    windows = predict_windows(network, source, 0, CLIP, 1, batch=PREDICT.batch, device=torch.device("cpu"))
    assert windows.starts.tolist() == list(range(FRAMES - CLIP + 1))
    columns = windows.starts.tolist(), windows.offsets.tolist(), windows.foreground.tolist()
    counted = Counter(
        round(start + CLIP * offset) for start, offset, is_event in zip(*columns, strict=True) if is_event
    )
    count_votes(data.manifests, data.imported, trained, tmp_path / "votes.json", PREDICT)
    for example in json.loads((tmp_path / "votes.json").read_text())["examples"]:
        frames = range(example["start"], example["start"] + 2 * CLIP + 1)
        assert example["votes"] == [counted[frame] for frame in frames]
