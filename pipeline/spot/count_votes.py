"""Task `count_votes`: how often each frame around an event is predicted as its spot (Sec. 4.2.6, Figure 4.7)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline.config.tasks.spot import CountVotes
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.progress import progress
from pipeline.spot.events import CLASSES
from pipeline.spot.games import read_games
from pipeline.spot.halves import Anchor, Half, Source
from pipeline.spot.inference import predict_windows, votes
from pipeline.spot.sources import Inputs, open_source
from pipeline.spot.spotter_file import load_spotter

_CLASSES = 3  # as the figure shows


def count_votes(
    manifests: Sequence[Path],
    inputs: Inputs,
    model: Path,
    output: Output,
    settings: CountVotes,
    *,
    max_bad_fraction: float = 1.0,
) -> None:
    """Write the votes around one event of each of the three most common classes, with windows at every frame.

    The event is not picked by its result: it is the first of its class, in the order of the games, that has no other
    event and no end of its half within a clip's length.

    Args:
        manifests: Every game's manifest.
        inputs: Where their frames or features are.
        model: The model file.
        output: A JSON: ``rate``, ``clip`` and ``examples``, each with ``game``, ``half``, ``label``, ``event``
            (seconds), and ``votes`` of the frames from ``start`` on.
        settings: Split, how to compute.
        max_bad_fraction: As for `pipeline.spot.predict_spots.predict_spots`.

    Raises:
        ActaError: the split has no games, too many are bad, or the model was trained on other inputs.
    """
    inputs.check()
    check_device(settings.device, "float32")
    network, about = load_spotter(model)
    network = network.to(settings.device)
    games = read_games(manifests, [settings.split], max_bad_fraction)
    source, _ = open_source(games, inputs, about.version, about.rate, max_bad_fraction=max_bad_fraction)
    about.check_input(source, str(model))
    clip, classes = about.architecture.clip, CLASSES[about.version]
    examples: list[dict[str, Any]] = []
    chosen = _choose(source, clip)
    with pinned_threads(settings.threads):
        for position, anchor in progress(chosen, total=len(chosen), unit="events", desc="count_votes"):
            half = source.halves[position]
            windows = predict_windows(
                network, source, position, clip, 1, batch=settings.batch, device=torch.device(settings.device)
            )
            first = int(anchor.frame) - clip
            counted = votes(windows, half.frames, clip)[first : first + 2 * clip + 1]
            examples.append(
                {
                    "game": half.game,
                    "half": half.number,
                    "label": classes[anchor.label],
                    "event": anchor.frame / about.rate,
                    "start": first,
                    "votes": counted.tolist(),
                }
            )
    write_json(output, {"rate": about.rate, "clip": clip, "examples": examples})


def _choose(source: Source, clip: int) -> list[tuple[int, Anchor]]:
    """The position of a half and an event in it, for each of the most common classes, in the order of the classes."""
    events = [(position, anchor) for position, half in enumerate(source.halves) for anchor in half.anchors]
    common = {label for label, _ in Counter(anchor.label for _, anchor in events).most_common(_CLASSES)}
    firsts: dict[int, tuple[int, Anchor]] = {}
    for position, anchor in events:
        if anchor.label in common and _is_alone(anchor, source.halves[position], clip):
            firsts.setdefault(anchor.label, (position, anchor))
    return [firsts[label] for label in sorted(firsts)]


def _is_alone(anchor: Anchor, half: Half, clip: int) -> bool:
    near = [other for other in half.anchors if abs(other.frame - anchor.frame) <= clip]
    return near == [anchor] and clip <= anchor.frame < half.frames - clip - 1
