"""Tables and figures of Ch. 3 out of invented results: which number stands where, and which detection is right."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.base import parse
from pipeline.config.tasks.report import DrawDetection
from pipeline.config.whole import load
from pipeline.detect.annotation.ava import read_label_map, read_rows
from pipeline.detect.features.entities import Actors, FeaturedVideo, Objects, write_features
from pipeline.report.catalogue import other_data
from pipeline.report.detection import TABLES as WRITTEN
from pipeline.report.detection import entities_per_clip, write_detection_table
from pipeline.report.detection_figures import draw_examples, draw_gains, judge, said_of
from pipeline.report.detection_results import gains
from pipeline.report.intervals import mean_of
from pipeline.report.tables import read_rows as rows_of
from pipeline.report.thesis_detection import (
    FIGURES,
    GROUPS,
    NETWORKS,
    PRINTED,
    TABLES,
    TRAININGS,
    kind_of,
    networks_of,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance
from pipeline.tasks import TASKS, task_settings
from tests.shards import numbered, stored, write_shard

SEEDS = (0, 1, 2)
ACTIONS = {"stand": "PERSON_MOVEMENT", "talk": "PERSON_INTERACTION"}
ACTIONS |= {f"use {thing}": "OBJECT_MANIPULATION" for thing in ("a", "b", "c", "d", "e", "f")}
# The backbone has 0.40; a network has this at seed 0, 1 and 2.
OF_SEED = {"stage": (0.44, 0.46, 0.48), "no_temporal": (0.44, 0.45, 0.46), "linear": (0.30, 0.31, 0.32)}
BY_SEED = 4.302652729749462  # Student's t, two degrees of freedom, 97.5 %


SHIPPED = task_settings(load(), "draw_detection")
assert isinstance(SHIPPED, DrawDetection)
AS_THE_THESIS = SHIPPED.thesis


def settings(**changes: object) -> DrawDetection:
    content = {"dataset": "ava_2_1", "features": {"mine": "i3d"}, "heads": {"mine": 4}, "seeds": SEEDS, "start": 0.0}
    content |= {"thesis": AS_THE_THESIS, "mean_over": (), "departures": {}} | changes
    features: Any = content["features"]
    recipes = {name: AS_THE_THESIS.get(kind or "", {}) for name, kind in features.items()}
    return parse(DrawDetection, {"recipes": recipes} | content)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def evaluation(precision: float) -> dict[str, object]:
    """Use a gains nothing over the backbone's 0.4, b a sixth of what f gains, and so on."""
    gain = precision - 0.4
    classes = {f"use {name}": 0.4 + gain * place / 5 for place, name in enumerate("abcdef")}
    return {
        "mAP": precision,
        "groups": {"pose": precision + 0.1, "person-person": precision, "person-object": None},
        "classes": classes | {"stand": precision, "talk": None},
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """``results/<dataset>/detect`` with everything that any table needs of the features ``mine``."""
    evaluations = tmp_path / "evaluations/mine"
    write(evaluations / "backbone/detected/evaluation.json", evaluation(0.4))
    for network in {each for name in (*TABLES, *FIGURES) for each in networks_of(name)} - {"backbone"}:
        for seed, precision in zip(SEEDS, OF_SEED.get(network, (0.41, 0.42, 0.43)), strict=True):
            write(evaluations / f"{network}/seed_{seed}/detected/evaluation.json", evaluation(precision))
            history = [{"epoch": n} for n in range(10 + seed)]
            metrics = {"seconds": 100.0 + seed, "device": "cpu", "clips": 60, "best_epoch": 4, "history": history}
            write(tmp_path / f"networks/mine/{network}/seed_{seed}/metrics.json", metrics)
    (tmp_path / "features/mine").mkdir(parents=True)
    feature_shard(tmp_path / "features/mine/0-of-1.h5")
    return tmp_path


def feature_shard(path: Path, task: str = "import_actor_features") -> Path:
    """Video v: 2 annotated and 1 detected actor at 0 s, 2 detected ones at 1 s; 4 objects, then 2."""
    times = np.arange(2.0)
    actors, objects = [], []
    for annotated, count in (((1, 1, 0), 4), ((0, 0), 2)):
        n = len(annotated)
        box = np.tile(np.array([0.1, 0.2, 0.4, 0.9], np.float32), (n, 1))
        blank = np.zeros((n, len(ACTIONS)))
        actors.append(Actors(np.ones((n, 6), np.float32), box, np.ones(n), np.array(annotated) > 0, blank, blank))
        corners = np.linspace(0.1, 0.6, count)[:, None] * np.ones(2)
        objects.append(
            Objects(np.ones((count, 8), np.float32), np.hstack([corners, corners + 0.2]), np.linspace(0.9, 0.3, count))
        )
    provenance = Provenance(task=task, settings="{}", code="test", weights={"backbone": "0123456789abcdef"})
    write_features(path, [FeaturedVideo("v", "", "val", times, actors, objects)], list(ACTIONS), [], provenance)
    return path


def label_map(folder: Path) -> Path:
    entries = [
        f'item {{ name: "{name}" id: {number} label_type: {kind} }}'
        for number, (name, kind) in enumerate(ACTIONS.items(), 1)
    ]
    (folder / "label_map.pbtxt").write_text("\n".join(entries))
    return folder / "label_map.pbtxt"


def table(results: Path, name: str, **changes: object) -> list[dict[str, str]]:
    output = results / f"{name}.csv"
    write_detection_table(name, results, settings(**changes), output)
    return rows_of(output)


def mine(rows: list[dict[str, str]], what: str) -> dict[str, str]:
    (row,) = [row for row in rows if row["what"] == what and row["features"] == "mine"]
    return row


def cells(row: dict[str, str], *names: str) -> list[str]:
    return [row[name] for name in names]


def test_mean_and_interval() -> None:
    """Of 1, 2 and 3: a deviation of 1, so 2 ± t / √3."""
    mean = mean_of([1.0, 2.0, 3.0])
    assert mean.value == 2
    assert mean.high == pytest.approx(2 + BY_SEED / 3**0.5, abs=1e-9)
    assert mean.low == pytest.approx(2 - BY_SEED / 3**0.5, abs=1e-9)
    assert mean_of([5.0]) == (5.0, None, None)
    assert mean_of([]) == (None, None, None)


def test_gains_are_paired() -> None:
    assert gains([3.0, 5.0], [1.0, 2.0]) == [2.0, 3.0]
    assert gains([3.0, 5.0], [1.0]) == [2.0, 4.0]
    assert gains([1.0], [3.0, 5.0]) == [-2.0, -4.0]
    assert gains([3.0], []) == []


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


def test_networks() -> None:
    assert networks_of("table_3_8")[:2] == ("backbone", "stage")
    assert set(networks_of("table_3_7")) == {"sto_1l", "sto_2l", "sto_stage", "stage"}
    assert len(networks_of("table_3_6")) == 9
    assert networks_of("table_3_10") == ()
    assert tuple(WRITTEN) == TABLES
    for name, by_features in PRINTED.items():
        assert all(set(printed) <= set(networks_of(name)) for printed in by_features.values())
    named = {network for name in TABLES if name != "table_3_6" for network in networks_of(name)}
    assert named == set(NETWORKS)
    with pytest.raises(ActaError, match="no table or figure 'table_4_1'"):
        networks_of("table_4_1")


def test_the_thesis_agrees_with_itself() -> None:
    """STAGE's numbers stand in Tables 3.2, 3.6, 3.7 and 3.8; the text speaks of gains of 16, 10 and 6 %."""
    heads = {"i3d": 4, "r101_i3d_nl": 2, "slowfast_nl": 2}
    for features, relative in zip(heads, (16, 10, 6), strict=True):
        values = {PRINTED[name][features]["stage"] for name in ("table_3_2", "table_3_7", "table_3_8")}
        assert values == {PRINTED["table_3_6"][features][f"layers2_heads{heads[features]}"]}
        backbone = PRINTED["table_3_2"][features]["backbone"]
        assert round(100 * (values.pop() / backbone - 1)) in (relative, relative + 1)
        assert backbone == PRINTED["table_3_8"][features]["backbone"]


def test_whose_numbers_stand_next_to_measured_ones() -> None:
    assert [kind_of(like) for like in ("slowfast_nl_8x8", "slowfast_nl_16x8", "i3d", None)] == [
        "slowfast_nl", "slowfast_nl_16x8", "i3d", "",
    ]  # fmt: skip
    assert other_data("table_3_3", "ava_2_1") == "not comparable: data ava_2_1, thesis AVA 2.2"
    assert other_data("table_3_3", "ava_2_2") == other_data("table_3_2", "ava") == ""
    assert other_data("table_3_5", "ucf101_24") == ""


TRUTH = """\
v,0000,0.125,0.25,0.5,0.75,3,0
v,0000,0.125,0.25,0.5,0.75,1,0
v,0000,0.6,0.25,0.9,0.75,4,1
v,0001
w,0001,0.125,0.25,0.5,0.75,1,0
"""
# Overlaps of the first three with the first of those: 1; exactly 1/2 (half as tall); less than 1/2.
FOUND = """\
v,0000,0.125,0.25,0.5,0.75,3,0.9
v,0000,0.125,0.25,0.5,0.5,3,0.8
v,0000,0.125,0.25,0.5,0.49,3,0.95
v,0000,0.125,0.25,0.5,0.75,4,0.7
v,0001,0.125,0.25,0.5,0.75,1,0.6
v,0002,0.125,0.25,0.5,0.75,1,0.99
v,0000,0.125,0.25,0.5,0.75,77,0.99
v,0000,0.6,0.25,0.9,0.75,4,0.3
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "truth.csv").write_text(TRUTH)
    (tmp_path / "detections.csv").write_text(FOUND)
    return {
        "detections": tmp_path / "detections.csv",
        "truth": tmp_path / "truth.csv",
        "label_map": label_map(tmp_path),
        "frames": write_shard(tmp_path / "frames.h5", [stored(tmp_path / "s", "v", numbered(20), split="val")]),
        "features": feature_shard(tmp_path / "features.h5"),
    }


def test_right_and_wrong(files: dict[str, Path]) -> None:
    """Frame 2 is not annotated and action 77 is none; on frame 1 there is nobody."""
    counts, right = judge(read_rows(files["detections"]), read_rows(files["truth"]), read_label_map(files["label_map"]))
    assert counts.tolist() == [True, True, True, True, True, False, False, True]
    assert right.tolist() == [True, True, False, False, False, False, False, True]


def test_what_is_annotated_there(files: dict[str, Path]) -> None:
    actions = read_label_map(files["label_map"])
    box, other = np.array([0.1, 0.2, 0.5, 0.8]), np.array([0.6, 0.2, 0.9, 0.8])
    people = [(box, 3), (other, 4), (box, 1)]
    assert said_of(box, people, actions) == "annotated: use a, stand"
    assert said_of(np.array([0.0, 0.0, 0.1, 0.1]), people, actions) == "annotated: nobody here"
    assert said_of(box, [], actions) == "annotated: nobody here"
    assert said_of(box, [(box, 77)], actions) == "annotated: action 77"


def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles and labels of the figures to come."""
    from matplotlib.axes import Axes

    said: list[str] = []
    for name in ("set_title", "set_xlabel"):
        original = getattr(Axes, name)

        def spy(self: Axes, text: str, *rest: Any, original: Any = original, **named: Any) -> Any:
            said.append(text)
            return original(self, text, *rest, **named)

        monkeypatch.setattr(Axes, name, spy)
    return said


def draw(name: str, files: dict[str, Path], output: Path) -> bytes:
    draw_examples(
        name, files["detections"], files["truth"], files["label_map"], [files["frames"]], [files["features"]], output
    )
    return output.read_bytes()


def test_figure_3_5(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = texts(monkeypatch)
    assert draw("figure_3_5", files, tmp_path / "private/five.png").startswith(b"\x89PNG")
    assert said == ["use a: 0.90", "v, 0 s", "use b: 0.30", "v, 0 s"]
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700


def test_figure_3_6(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = texts(monkeypatch)
    assert draw("figure_3_6", files, tmp_path / "private/six.png").startswith(b"\x89PNG")
    assert said == [
        "use a: 0.95", "annotated: nobody here\nv, 0 s",
        "use b: 0.70", "annotated: use a, stand\nv, 0 s",
        "stand: 0.60", "annotated: nobody here\nv, 1 s",
    ]  # fmt: skip


def test_nothing_to_show(files: dict[str, Path], tmp_path: Path) -> None:
    files["detections"].write_text("")
    assert draw("figure_3_5", files, tmp_path / "private/none.png").startswith(b"\x89PNG")


def test_the_same_picture_again(files: dict[str, Path], tmp_path: Path) -> None:
    assert draw("figure_3_6", files, tmp_path / "a/1.png") == draw("figure_3_6", files, tmp_path / "a/2.png")


def test_a_video_that_no_shard_has(files: dict[str, Path], tmp_path: Path) -> None:
    files["detections"].write_text("w,0001,0.1,0.2,0.5,0.8,1,0.9\n")
    with pytest.raises(ActaError, match="none of the frame shards has the video 'w'"):
        draw("figure_3_5", files, tmp_path / "private/five.png")
    write_shard(files["frames"], [stored(tmp_path / "s", "w", numbered(20), split="val")])
    with pytest.raises(ActaError, match="none of the feature shards has the video 'w'"):
        draw("figure_3_5", files, tmp_path / "private/five.png")


def test_figure_3_4(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six actions the five that gain most; talk is not annotated, stand is a pose."""
    from matplotlib.axes import Axes

    labels: list[str] = []
    original = Axes.set_yticks

    def spy(self: Axes, places: Any, names: Sequence[str] = (), **named: Any) -> Any:
        labels.extend(names)
        return original(self, places, names or None, **named)

    monkeypatch.setattr(Axes, "set_yticks", spy)
    draw_gains(results, settings(), label_map(tmp_path), tmp_path / "four.png")
    assert (tmp_path / "four.png").read_bytes().startswith(b"\x89PNG")
    assert labels == ["use f", "use e", "use d", "use c", "use b"]


def test_no_gains_without_a_backbone(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="nothing to gain over"):
        draw_gains(results, settings(without_backbone=["mine"]), label_map(tmp_path), tmp_path / "four.png")


def run(name: str, *words: object) -> None:
    given = ["--name", name, "--settings", settings().model_dump_json()]
    options = TASKS["draw_detection"].parser().parse_args([*given, *map(str, words)])
    options.run(options)


def test_command(results: Path, files: dict[str, Path], tmp_path: Path) -> None:
    results_here = ("--results", results)
    run("table_3_7", *results_here, "-o", tmp_path / "out.csv")
    assert "1L STO" in (tmp_path / "out.csv").read_text()
    run("figure_3_4", *results_here, "--label-map", files["label_map"], "-o", tmp_path / "4.png")
    where = results / "evaluations/mine/stage/seed_0/detected/detections.csv"
    where.write_text(FOUND)
    given = [
        word
        for name in ("truth", "label_map", "frames", "features")
        for word in (f"--{name.replace('_', '-')}", files[name])
    ]
    run("figure_3_6", *results_here, *given, "-o", tmp_path / "private/6.png")
    assert (tmp_path / "4.png").exists()
    assert (tmp_path / "private/6.png").exists()


def test_command_says_what_it_lacks(results: Path, files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="figure_3_5 needs --label-map"):
        run("figure_3_5", "--results", results, "-o", tmp_path / "5.png")
    given = ("--results", results, "--label-map", files["label_map"], "--truth", files["truth"])
    with pytest.raises(ActaError, match="figure_3_5 needs --truth, --frames and --features"):
        run("figure_3_5", *given, "--frames", files["frames"], "-o", tmp_path / "5.png")
    with pytest.raises(ActaError, match="no table or figure 'table_9'"):
        run("table_9", "--results", results, "-o", tmp_path / "out")
