"""Tables of Ch. 3 out of invented results: which number stands where."""

import shutil
from pathlib import Path

import pytest

from pipeline.config.tasks.report import DrawDetection
from pipeline.report.detection import entities_per_clip, write_detection_table
from pipeline.report.tables import read_rows as rows_of
from pipeline.report.thesis_detection import (
    GROUPS,
    TABLES,
    TRAININGS,
    networks_of,
)
from pipeline.runtime.errors import ActaError
from tests.unit.report.small_detection import (
    AS_THE_THESIS,
    BY_SEED,
    OF_SEED,
    SEEDS,
    SHIPPED,
    evaluation,
    feature_shard,
    settings,
    write,
    write_results,
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


def table(results: Path, name: str, **changes: object) -> list[dict[str, str]]:
    output = results / f"{name}.csv"
    write_detection_table(name, results, settings(**changes), output)
    return rows_of(output)


def mine(rows: list[dict[str, str]], what: str) -> dict[str, str]:
    (row,) = [row for row in rows if row["what"] == what and row["features"] == "mine"]
    return row


def cells(row: dict[str, str], *names: str) -> list[str]:
    return [row[name] for name in names]


def test_table_3_2(results: Path) -> None:
    rows = table(results, "table_3_2")
    stage, backbone = mine(rows, "STAGE"), mine(rows, "Original backbone")
    half = BY_SEED * 2 / 3**0.5  # of 44, 46 and 48
    assert cells(stage, "mAP", "mAP_low", "mAP_high", "seeds") == ["46.00", f"{46 - half:.2f}", f"{46 + half:.2f}", "3"]
    assert cells(stage, "gain", "gain_low", "gain_high") == ["+6.00", f"{6 - half:+.2f}", f"{6 + half:+.2f}"]
    assert cells(stage, "gain_over", "thesis_mAP", "thesis_gain", "differs") == ["backbone", "23.0", "+3.3", "–"]
    assert cells(backbone, "mAP", "mAP_low", "seeds", "gain", "gain_over", "thesis_mAP") == [
        "40.00", "–", "–", "–", "–", "19.7",
    ]  # fmt: skip
    assert [row["thesis_mAP"] for row in rows if row["what"] == "SMAD"] == ["22.2"]
    assert list(stage)[-1] == "differs"


def test_one_seed_has_no_interval(results: Path) -> None:
    stage = mine(table(results, "table_3_2", seeds=(1,)), "STAGE")
    assert cells(stage, "mAP", "mAP_low", "seeds", "gain", "gain_high") == ["46.00", "–", "1", "+6.00", "–"]


def test_what_differs(results: Path) -> None:
    feature_shard(results / "features/mine/0-of-1.h5", task="extract_actor_features")
    stage = mine(table(results, "table_3_2", dataset="demo", features={"mine": None}), "STAGE")
    assert stage["differs"] == (
        "not comparable: data demo, thesis AVA 2.1; features that the thesis does not have; "
        "features extracted here (weights 01234567)"
    )
    assert cells(stage, "thesis_mAP", "thesis_gain") == ["–", "–"]


def test_what_differs_in_training(results: Path) -> None:
    assert isinstance(SHIPPED, DrawDetection)
    stage = mine(table(results, "table_3_2", recipes={"mine": SHIPPED.recipes["i3d"]}), "STAGE")
    assert stage["differs"] == (
        "learning_rate 0.0005, thesis 6.25e-05; training.epochs 20, thesis 100; "
        "backbone.network.width 0.125, thesis 1; backbone.network.frames 5, thesis none; "
        "backbone.training.epochs 6, thesis 10; backbone.training.batch 8, thesis 64; "
        "backbone.training.micro_batch 8, thesis 1; backbone.training.learning_rate 0.05, thesis 0.01; "
        "backbone.training.trainable all, thesis mixed_5; backbone.training.dropout 0, thesis 0.5; "
        "backbone.rate 5, thesis none"
    )
    for key in AS_THE_THESIS["i3d"]:
        changed = AS_THE_THESIS["i3d"] | {key: "another"}
        stage = mine(table(results, "table_3_2", recipes={"mine": changed}), "STAGE")
        assert stage["differs"].startswith(f"{key} another, thesis ")


def test_features_without_a_classifier_of_the_backbone(results: Path) -> None:
    (results / "evaluations/mine/backbone/detected/evaluation.json").unlink()
    rows = table(results, "table_3_2", without_backbone=["mine"])
    assert cells(mine(rows, "STAGE"), "mAP", "gain", "thesis_gain") == ["46.00", "–", "+3.3"]
    backbone = mine(rows, "Original backbone")
    assert cells(backbone, "mAP", "thesis_mAP", "differs") == ["–", "19.7", "no classifier of the backbone's own"]


def test_table_3_3(results: Path) -> None:
    rows = table(results, "table_3_3", dataset="ava_2_2", features={"mine": "slowfast_nl_8x8"})
    assert cells(mine(rows, "STAGE"), "thesis_mAP", "thesis_test_mAP", "differs") == ["30.0", "29.6", "–"]
    assert cells(mine(rows, "Original backbone"), "thesis_mAP", "thesis_test_mAP") == ["29.1", "–"]


def test_table_3_4(results: Path) -> None:
    rows = {(row["what"], row["group"]): row for row in table(results, "table_3_4")}
    assert [group for _, group in rows] == [group for group in GROUPS for _ in range(2)]
    assert cells(rows["STAGE", "pose"], "mAP", "gain", "thesis_mAP", "thesis_gain") == [
        "56.00",
        "+6.00",
        "40.4",
        "+3.0",
    ]
    assert cells(rows["STAGE", "person-object"], "mAP", "seeds", "gain", "thesis_mAP") == ["–", "–", "–", "15.7"]
    assert rows["Original backbone", "person-person"]["thesis_mAP"] == "20.4"


def test_table_3_5_pairs_by_seed(results: Path) -> None:
    """Actors only: 41, 42 and 43; the linear classifier: 30, 31 and 32. Each seed gains 11: no spread at all."""
    rows = table(results, "table_3_5", dataset="jhmdb21", features={"mine": "amtnet"})
    stage = mine(rows, "STAGE (actors only)")
    assert cells(stage, "mAP", "gain", "gain_low", "gain_high", "gain_over") == [
        "42.00", "+11.00", "+11.00", "+11.00", "linear",
    ]  # fmt: skip
    assert cells(stage, "thesis_jhmdb21", "thesis_ucf101_24") == ["48.1", "69.1"]
    assert cells(mine(rows, "published"), "mAP", "thesis_jhmdb21", "thesis_ucf101_24") == ["–", "45.0", "–"]
    assert stage["differs"] == "one split, thesis mean of three"


SPLITS = ("jhmdb21", "jhmdb21_split2", "jhmdb21_split3")


@pytest.fixture
def splits(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``results/`` with J-HMDB-21's splits; on the second everything is 6 points better, on the third 9."""
    folder = tmp_path_factory.mktemp("results")
    for split, better in zip(SPLITS, (0.0, 0.06, 0.09), strict=True):
        shutil.copytree(results, folder / split / "detect")
        for network in networks_of("table_3_5"):
            for seed, precision in zip(SEEDS, OF_SEED.get(network, (0.41, 0.42, 0.43)), strict=True):
                path = folder / split / f"detect/evaluations/mine/{network}/seed_{seed}/detected/evaluation.json"
                write(path, evaluation(precision + better))
    return folder


def of_split(splits: Path, dataset: str) -> dict[str, str]:
    changes = {"dataset": dataset, "features": {"mine": "amtnet"}, "mean_over": SPLITS}
    return mine(table(splits / dataset / "detect", "table_3_5", **changes), "STAGE (actors only)")


@pytest.mark.parametrize("dataset", SPLITS)
def test_table_3_5_is_the_mean_over_the_splits(splits: Path, dataset: str) -> None:
    """42, 48 and 51; each seed's mean is 47 but for a point: the interval is over the seeds, not over the splits."""
    row = of_split(splits, dataset)
    assert cells(row, "mAP", "gain", "seeds", "splits", "thesis_jhmdb21", "differs") == [
        "47.00", "+11.00", "3", "3", "48.1", "–",
    ]  # fmt: skip
    assert float(row["mAP_high"]) == pytest.approx(47 + BY_SEED / 3**0.5, abs=0.01)
    assert row["mAP_of_splits"] == "jhmdb21 42.00; jhmdb21_split2 48.00; jhmdb21_split3 51.00"


def test_table_3_5_leaves_out_splits_that_are_not_evaluated(splits: Path) -> None:
    """A split counts once all of its networks are evaluated, so that rows are of the same splits."""
    evaluations = splits / "jhmdb21_split3/detect/evaluations/mine"
    (evaluations / "linear/seed_1/detected/evaluation.json").unlink()
    row = of_split(splits, "jhmdb21")
    assert cells(row, "mAP", "splits") == ["45.00", "2"]
    assert row["differs"] == "mean without jhmdb21_split3, not evaluated so far"
    shutil.rmtree(splits / "jhmdb21_split2")
    row = of_split(splits, "jhmdb21")
    assert cells(row, "mAP", "splits", "mAP_of_splits") == ["42.00", "1", "–"]
    with pytest.raises(ActaError, match=r"cannot read the result .*jhmdb21_split3/detect/evaluations/mine/linear"):
        of_split(splits, "jhmdb21_split3")


def test_table_3_6(results: Path) -> None:
    rows = {(row["layers"], row["heads"]): row for row in table(results, "table_3_6")}
    assert len(rows) == 9
    assert cells(rows["2", "4"], "what", "mAP", "seeds", "thesis_mAP") == ["STAGE", "42.00", "3", "23.0"]
    assert rows["3", "8"]["thesis_mAP"] == "21.9"


def test_table_3_8_is_relative_to_stage(results: Path) -> None:
    """Without time: 44, 45 and 46 against 44, 46 and 48, so 0, -1 and -2."""
    rows = table(results, "table_3_8")
    ablation = mine(rows, "STAGE w/o temporal connections")
    half = BY_SEED / 3**0.5
    assert cells(ablation, "gain", "gain_low", "gain_high") == ["-1.00", f"{-1 - half:+.2f}", f"{-1 + half:+.2f}"]
    assert cells(ablation, "gain_over", "thesis_mAP", "thesis_gain") == ["stage", "22.1", "-0.9"]
    assert cells(mine(rows, "Original backbone"), "gain", "thesis_gain") == ["-6.00", "-3.3"]
    assert mine(rows, "STAGE")["gain"] == "–"
    assert not [row for row in rows if "annotated" in row["what"]]


def test_annotated_boxes(results: Path) -> None:
    for seed in SEEDS:
        write(results / f"evaluations/mine/stage/seed_{seed}/annotated/evaluation.json", evaluation(0.56))
    row = mine(table(results, "table_3_8", features={"mine": "slowfast_nl"}), "STAGE on annotated boxes")
    assert cells(row, "mAP", "gain", "thesis_mAP", "thesis_gain") == ["56.00", "+10.00", "36.5", "+6.7"]


def test_table_3_9(results: Path) -> None:
    rows = table(results, "table_3_9")
    stage = mine(rows, "STAGE")
    assert cells(stage, "device", "training_clips", "best_epoch", "epochs", "seconds") == [
        "cpu", "60", "4.0", "11.0", "101.0",
    ]  # fmt: skip
    assert cells(stage, "thesis_gpus", "thesis_epochs", "thesis_time") == ["1", "20", "<1 day"]
    assert len(rows) == len(TRAININGS)


def test_table_3_10(results: Path) -> None:
    """Published: the thesis's numbers, but for how they are counted. Here: 3 detected actors and 6 objects, 2 clips."""
    rows = table(results, "table_3_10")
    published = {row["what"]: row for row in rows if row["features"] == "–"}
    printed = {"I3D": ("0.11", "6.4"), "R101-I3D-NL": ("0.24", "17"), "SlowFast-NL, 16×8": ("0.26", "21.8")}
    for name, (flops, parameters) in printed.items():
        row = published[f"+ STAGE ({name})"]
        assert cells(row, "thesis_gflops", "thesis_parameters") == [flops, f"{parameters}M"]
        assert float(row["gflops_linear"]) == pytest.approx(float(flops), abs=0.006)
        assert int(row["parameters"]) == pytest.approx(1e6 * float(parameters), rel=0.01)
    backbones = {"I3D": (108, 12), "R101-I3D-NL": (359, 54.3), "SlowFast-NL, 16×8": (234, 59.9)}
    for name, (flops, parameters) in backbones.items():
        row = published[name]
        assert cells(row, "thesis_gflops", "thesis_parameters") == [f"{flops}", f"{parameters}M"]
        assert int(row["parameters"]) == pytest.approx(1e6 * parameters, rel=0.08)
        assert float(row["gflops"]) == pytest.approx(flops, rel=0.27 if name.startswith("SlowFast") else 0.03)
        assert "thesis as published for Kinetics-400" in row["differs"]
    own = mine(rows, "+ STAGE")
    assert cells(own, "actors", "objects", "actor_size", "object_size", "classes") == ["2", "3", "6", "8", "8"]
    assert entities_per_clip([results / "features/mine/0-of-1.h5"]) == (1.5, 3.0)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_written(results: Path, name: str) -> None:
    rows = table(results, name)
    assert all(None not in row and None not in row.values() for row in rows)
    assert any(row["features"] == "mine" for row in rows)


@pytest.mark.parametrize("name", [name for name in TABLES if networks_of(name) and name != "table_3_9"])
def test_a_missing_evaluation_is_named(results: Path, name: str) -> None:
    network = networks_of(name)[-1]
    missing = results / f"evaluations/mine/{network}/seed_1/detected/evaluation.json"
    missing.unlink()
    with pytest.raises(ActaError, match=f"cannot read the result {missing}"):
        write_detection_table(name, results, settings(), results / "out.csv")
    assert not (results / "out.csv").exists()


def test_other_missing_files_are_named(results: Path) -> None:
    (results / "networks/mine/stage/seed_2/metrics.json").write_text("{")
    with pytest.raises(
        ActaError, match=r"networks/mine/stage/seed_2/metrics.json, line 1: .* it is no JSON; make it again"
    ):
        table(results, "table_3_9")
    (results / "features/mine/0-of-1.h5").unlink()
    with pytest.raises(ActaError, match=r"no feature shards in .*features/mine"):
        table(results, "table_3_10")


def test_an_evaluation_without_truth(results: Path) -> None:
    path = results / "evaluations/mine/stage/seed_0/detected/evaluation.json"
    write(path, {"coverage": {}})
    with pytest.raises(ActaError, match=f"{path} does not hold 'mAP'"):
        table(results, "table_3_2")
