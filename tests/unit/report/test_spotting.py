"""Tables of Ch. 4 out of invented results: which number stands where."""

import csv
from pathlib import Path

import pytest

from pipeline.config.tasks.report import DrawSpotting
from pipeline.config.whole import load
from pipeline.report.spotting import paired, write_spotting_table
from pipeline.report.thesis_spotting import (
    RMS_NET,
    ROWS,
    TABLES,
    networks_of,
)
from pipeline.runtime.errors import ActaError
from pipeline.tasks import task_settings
from tests.unit.report.small_spotting import (
    BY_SEED,
    SEEDS,
    evaluation,
    network,
    settings,
    write,
    write_results,
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


def table(results: Path, name: str, given: DrawSpotting | None = None) -> list[dict[str, str]]:
    output = results / f"{name}.csv"
    write_spotting_table(name, results, given or settings(), output)
    with output.open(newline="") as file:
        return list(csv.DictReader(file))


def of(rows: list[dict[str, str]], name: str) -> dict[str, str]:
    (row,) = [row for row in rows if row["network"] == name]
    return row


def cells(row: dict[str, str], *names: str) -> list[str]:
    return [row[name] for name in names]


def test_pairs_are_the_seeds_that_both_have() -> None:
    assert paired({0: 3.0, 1: 5.0}, {1: 1.0, 2: 9.0}) == [4.0]
    assert paired({0: 3.0}, {}) == []


def test_table_4_2(results: Path) -> None:
    rows = table(results, "table_4_2")
    assert [(row["what"], row["clip_s"], row["thesis_test"]) for row in rows[4:10]] == [
        ("Vats et al.", "15", "60.1"),
        ("Cioppa et al.", "120", "62.5"),
        ("Ours", "5", "–"),
        ("Ours", "20", "65.5"),
        ("Ours", "60", "–"),
        ("challenge recipe (Sec. 4.3), SoccerNet-v2", "20", "63.49"),
    ]
    ours, half = of(rows, RMS_NET), BY_SEED * 2 / 3**0.5  # of 64, 66 and 68
    assert cells(ours, "test", "test_low", "test_high") == ["66.00", f"{66 - half:.2f}", f"{66 + half:.2f}"]
    assert cells(ours, "val", "test_tight", "seeds", "gain", "gain_over") == ["56.00", "33.00", "3", "–", "–"]
    assert cells(ours, "thesis_val", "thesis_challenge_set", "input", "differs") == ["67.8", "–", "pca512", "–"]
    assert cells(ours, "val_games", "val_left_out", "test_games", "test_left_out") == ["100", "0", "100", "0"]
    challenge = of(rows, "challenge")
    assert cells(challenge, "thesis_challenge_set", "gain", "test", "input") == ["60.92", "–", "51.00", "resnet152"]
    assert challenge["differs"] == "not comparable: labels of SoccerNet version 1, thesis 2"
    assert list(ours)[-1] == "differs"


def test_differences_are_paired(results: Path) -> None:
    """Without masking 64, 65 and 66 against 64, 66 and 68: 0, -1 and -2; half of that at the tight tolerances."""
    row = of(table(results, "table_4_3"), "no_masking")
    half = BY_SEED / 3**0.5
    assert cells(row, "gain", "gain_low", "gain_high") == ["-1.00", f"{-1 - half:+.2f}", f"{-1 + half:+.2f}"]
    assert cells(row, "gain_tight", "gain_tight_low") == ["-0.50", f"{-(1 + half) / 2:+.2f}"]
    assert cells(row, "gain_over", "pairs", "thesis_gain") == ["rms_net", "3", "-1.5"]


def test_one_seed_is_paired_with_the_same_one(results: Path) -> None:
    networks = {RMS_NET: network(RMS_NET), "no_masking": network("no_masking", seeds=(2,))}
    row = of(table(results, "table_4_3", settings(networks)), "no_masking")
    assert cells(row, "test", "test_low", "seeds", "gain", "gain_low", "pairs") == [
        "66.00",
        "–",
        "1",
        "-2.00",
        "–",
        "1",
    ]


def test_no_common_seed_no_gain(results: Path) -> None:
    networks = {RMS_NET: network(RMS_NET, seeds=(0,)), "no_masking": network("no_masking", seeds=(2,))}
    row = of(table(results, "table_4_3", settings(networks)), "no_masking")
    assert cells(row, "test", "gain", "gain_over", "pairs") == ["66.00", "–", "–", "–"]


def test_table_4_4(results: Path) -> None:
    rows = table(results, "table_4_4")
    assert [(row["p"], row["q"], row["thesis_val"], row["thesis_test"]) for row in rows] == [
        ("0.2", "0.5", "66.8", "64.6"),
        ("0.25", "0.5", "67.0", "64.4"),
        ("0.333", "0.5", "67.8", "65.5"),
        ("0.5", "0.5", "67.1", "64.4"),
        ("1", "0.5", "64.7", "60.7"),
        ("0.333", "0.1", "65.5", "63.4"),
        ("0.333", "0.25", "67.4", "64.7"),
        ("0.333", "0.5", "67.8", "65.5"),
        ("0.333", "0.75", "66.5", "64.0"),
        ("0.333", "1", "64.7", "62.6"),
    ]
    assert rows[2] == rows[7]


def test_table_4_5(results: Path) -> None:
    rows = table(results, "table_4_5")
    assert [(row["p"], row["thesis_val"], row["thesis_test"]) for row in rows] == [
        ("0.2", "65.2", "62.5"),
        ("0.25", "64.6", "62.9"),
        ("0.333", "63.8", "61.8"),
        ("0.5", "61.4", "60.7"),
        ("1", "54.1", "54.1"),
    ]
    assert cells(rows[0], "gain", "gain_over", "thesis_gain") == ["-15.00", "rms_net", "-3.0"]


def test_table_4_6_shows_other_backbones(results: Path) -> None:
    networks = {name: network(name) for name in (RMS_NET, "finetuned_resnet18", "challenge")}
    networks["mine"] = network("finetuned_resnet50", backbone="mobilenet_v2")
    rows = table(results, "table_4_6", settings(networks))
    assert [(row["what"], row["network"], row["thesis_test"], row["test"]) for row in rows] == [
        ("ResNet-18 + Our", "finetuned_resnet18", "70.9", "51.00"),
        ("ResNet-50 + Our", "finetuned_resnet50", "74.9", "–"),
        ("ResNet-152 + Our", "finetuned_resnet152", "75.1", "–"),
        ("mobilenet_v2 + Our", "mine", "–", "51.00"),
    ]
    assert rows[3]["differs"] == "the thesis has no such network"
    assert cells(rows[0], "gain", "thesis_gain") == ["-15.00", "+5.4"]


def test_networks_that_the_configuration_does_not_have(results: Path) -> None:
    """Those of which the thesis prints nothing either have no row."""
    rows = table(results, "table_4_2", settings({}))
    assert [row["network"] for row in rows if row["network"] != "–"] == [RMS_NET, "challenge"]
    assert cells(of(rows, RMS_NET), "clip_s", "thesis_test", "test", "seeds", "input", "differs") == [
        "20", "65.5", "–", "–", "–", "not in the configuration",
    ]  # fmt: skip
    assert of(table(results, "table_4_4", settings({})), "p_1_5")["p"] == "0.2"


def test_what_differs(results: Path) -> None:
    changed = network(RMS_NET, clip=21, probability=0.5, max_offset=0.4, regression_weight=5.0, backbone="resnet18")
    row = of(table(results, "table_4_2", settings({RMS_NET: changed}, dataset="demo", rate=1.0)), RMS_NET)
    assert row["differs"] == (
        "not comparable: data demo, thesis SoccerNet; frames per second 1, thesis 2; clip 21, thesis 41; "
        "p 0.5, thesis 0.333; q 0.4, thesis 0.5; λ 5, thesis 10; backbone resnet18, thesis none"
    )
    assert row["clip_s"] == "20"


def test_what_differs_in_training(results: Path) -> None:
    """The demo's rate, batch and epochs, which no word of its own names."""
    shipped = task_settings(load(), "draw_spotting")
    assert isinstance(shipped, DrawSpotting)
    of_demo = {"trained": shipped.trained, "thesis": shipped.thesis}
    row = of(table(results, "table_4_3", settings().model_copy(update=of_demo)), RMS_NET)
    assert row["differs"] == (
        "projection 64, thesis 256; convolutions 64–32, thesis 256–128; hidden 32, thesis 64; "
        "sampling.foreground 1500, thesis 30000; sampling.background 500, thesis 10000; "
        "sampling.margin 8, thesis none; "
        "training.epochs 12, thesis 50; training.learning_rate 0.02, thesis 0.05; training.patience 5, thesis 10"
    )
    as_the_thesis = {"trained": shipped.thesis, "thesis": shipped.thesis}
    rows = table(results, "table_4_3", settings().model_copy(update=as_the_thesis))
    assert {row["differs"] for row in rows} == {"–"}


def test_splits_that_train_are_not_reported(results: Path) -> None:
    row = of(table(results, "table_4_3", settings({RMS_NET: network(RMS_NET)}, validation=None)), RMS_NET)
    assert cells(row, "val", "val_games", "test", "test_games", "thesis_val") == ["–", "–", "66.00", "100", "67.8"]
    row = of(table(results, "table_4_3", settings({RMS_NET: network(RMS_NET)}, test=None)), RMS_NET)
    assert cells(row, "val", "test", "test_games", "seeds") == ["56.00", "–", "–", "–"]


def test_games_left_out(results: Path) -> None:
    for seed, games in zip(SEEDS, (99, 99, 98), strict=True):
        content = evaluation(0.6) | {"games": games, "left_out": [{"game": "g", "reason": "r"}] * (100 - games)}
        write(results / f"evaluations/rms_net/seed_{seed}/test/evaluation.json", content)
    row = of(table(results, "table_4_2"), RMS_NET)
    assert cells(row, "val_games", "val_left_out", "test_games", "test_left_out") == ["100", "0", "99, 98", "1, 2"]
    assert row["differs"] == "thesis 100 games a split"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_written(results: Path, name: str) -> None:
    rows = table(results, name)
    assert all(None not in row and None not in row.values() for row in rows)
    assert [row["network"] for row in rows if row["network"] != "–"] == list(ROWS[name])


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_evaluation_is_named(results: Path, name: str) -> None:
    missing = results / f"evaluations/{networks_of(name)[0]}/seed_1/valid/evaluation.json"
    missing.unlink()
    with pytest.raises(ActaError, match=f"cannot read the result {missing}"):
        table(results, name)
    assert not (results / f"{name}.csv").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"loose": {}}, "does not hold 'a_mAP'"),
        ({"loose": {"a_mAP": None}}, "is damaged: float"),
        ([], "holds no JSON object; make it again"),
    ],
)
def test_a_damaged_evaluation_is_named(results: Path, content: object, said: str) -> None:
    path = results / "evaluations/rms_net/seed_2/test/evaluation.json"
    write(path, content)
    with pytest.raises(ActaError, match=f"{path} {said}"):
        table(results, "table_4_3")
