"""The GPU memory of trainings: the table in the documentation, and what is calculated for it."""

import torch

from pipeline.config.whole import of_the_thesis
from pipeline.plan.memory import TrainingMemory, _gib, _spotter, of_classification, of_detection, of_spotting
from tests import PROJECT

TRAININGS = (
    (of_classification, ("kinetics400",)),
    (of_detection, ("ava",)),
    (of_spotting, ("soccernet", "soccernet_finetuned")),
    (of_spotting, ("soccernet_v2",)),
)


def row(memory: TrainingMemory, files: str) -> str:
    numbers = (memory.full, memory.half, memory.full_again, memory.half_again)
    shown = ["-" if gib is None else f"{gib:.1f}" for gib in numbers]
    return f"| `{memory.name}` | {files} | {memory.micro_batch} | {' | '.join(shown)} |"


def test_the_documentation_has_what_is_calculated() -> None:
    rows = [row(memory, " ".join(files)) for of, files in TRAININGS for memory in of(of_the_thesis(*files))]
    lines = (PROJECT / "docs" / "slurm.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| training | files in")) + 2
    assert lines[start : start + len(rows) + 1] == [*rows, ""]


def test_the_challenge_fits_on_the_gpus_of_marconi100() -> None:
    """One clip of 41 frames on a V100 of 16 GB, in half precision (Sec. 4.3)."""
    challenge = of_the_thesis("soccernet_v2").spot.spotters["challenge"]
    gib = _gib(lambda: _spotter(challenge, (300, 533)), torch.bfloat16, False, 1)
    assert gib is not None
    assert 6 < gib < 14


def test_a_step_by_hand() -> None:
    """A linear layer: weights, momenta and gradients, the input, the output and its gradient."""

    def make():
        model = torch.nn.Linear(1024, 2048, bias=False)
        return model, lambda dtype: model(torch.empty(512, 1024, dtype=dtype)).sum()

    weights, before, after = 1024 * 2048, 512 * 1024, 512 * 2048
    found = _gib(make, torch.float32, False, 1)
    assert found is not None
    # The loss and its gradient are a few bytes.
    least = 4 * (3 * weights + before) / 2**30
    assert least <= found <= least + 4 * 2 * after / 2**30 + 1e-6
    assert _gib(make, torch.float32, True, 1) is None
