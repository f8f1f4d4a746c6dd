"""What the rules of action detection read (Ch. 3)."""

from pathlib import Path

import pytest

from pipeline.dag import detect
from pipeline.dag.run import Run
from tests.unit.dag.changed import changed, wild

DATA = "resources/demo_detection"
RESULTS = "results/demo/detect"
SPLITS = ("train", "val", "test")
IMPORTED = {
    "layout": "slowfast",
    "actors": {"train": "a/train.h5", "val": "a/val one.h5"},
    "objects": {"train": "o/train.h5"},
    "frame_lists": {"val": "f/val.csv"},
    "half_precision": True,
}


def test_what_names_keyframes(run: Run) -> None:
    boxes = {f"boxes_{split}": f"{DATA}/{split}.csv" for split in SPLITS}
    assert detect.annotated(run) == {"label_map": f"{DATA}/label_map.pbtxt"} | boxes
    assert detect.annotated_options(run) == (
        "--label-map {input.label_map:q} "
        "--boxes train={input.boxes_train:q} val={input.boxes_val:q} test={input.boxes_test:q} --proposals"
    )
    other = changed(run, detect__data__proposals={"val": "p.csv"})
    assert detect.annotated(other)["proposals_val"] == "p.csv"
    assert detect.annotated_options(other).endswith(" --proposals val={input.proposals_val:q}")


def test_table_3_5_reads_the_other_splits_that_are_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    three = changed(run, detect__mean_over=["demo", "second", "third"], detect__seeds=[1])
    alone = detect.results_of(three, "table_3_5")
    assert alone == detect.results_of(changed(run, detect__seeds=[1]), "table_3_5")
    there = "results/second/detect/evaluations/i3d/linear/seed_1/detected/evaluation.json"
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).touch()
    assert set(detect.results_of(three, "table_3_5")) == {*alone, there}
    assert there not in detect.results_of(three, "table_3_2")


def test_what_trains(run: Run) -> None:
    assert detect.trained_on(run) == {"train": f"{DATA}/train.csv"}
    both = changed(run, detect__splits__train=["train", "val"])
    assert list(detect.trained_on(both)) == ["train", "val"]


def test_truth_of_a_split(run: Run) -> None:
    assert detect.truth(run, "test") == {"label_map": f"{DATA}/label_map.pbtxt", "truth": f"{DATA}/test.csv"}
    assert detect.truth_options(run, "test") == "--label-map {input.label_map:q} --truth {input.truth:q}"
    other = changed(run, detect__data__evaluated="counted.pbtxt", detect__data__excluded={"val": "out.csv"})
    assert detect.truth(other, "val") == {
        "label_map": f"{DATA}/label_map.pbtxt",
        "evaluated": "counted.pbtxt",
        "truth": f"{DATA}/val.csv",
        "excluded": "out.csv",
    }
    assert "excluded" not in detect.truth(other, "test")


def test_nobody_knows_the_truth_of_a_split_without_boxes(run: Run) -> None:
    boxes = {split: f"{DATA}/{split}.csv" for split in ("train", "val")}
    other = changed(run, detect__data__boxes=boxes, detect__data__proposals={"test": "p.csv"})
    assert detect.truth(other, "test") == {"label_map": f"{DATA}/label_map.pbtxt"}


def test_the_detector_is_trained_given_or_registered(run: Run) -> None:
    without = {"detect__detector": None, "detect__detector_boxes": None}
    assert detect.detector(run) == f"{RESULTS}/detector/model.safetensors"
    assert detect.detector(changed(run, **without)) is None
    assert detect.detector(changed(run, **without, detect__objects__weights="mine.pth")) == "mine.pth"


def test_objects_are_detected_or_published(run: Run) -> None:
    wildcards = wild(shard="1-of-2", features="i3d")
    assert detect.objects(run, wildcards) == f"{RESULTS}/objects/1-of-2.h5"
    assert detect.imported_objects(run) == {}
    published = {split: f"o/{split}.h5" for split in SPLITS}
    other = changed(run, detect__objects__imported=published, detect__data__proposals={"val": "p.csv"})
    assert detect.objects(other, wildcards) == f"{RESULTS}/published_objects/1-of-2.h5"
    assert detect.imported_objects(other) == published


def test_a_backbone_is_given_or_trained(run: Run) -> None:
    assert detect.backbone(run, wild(features="i3d")) == f"{RESULTS}/backbones/i3d/model.safetensors"
    given = changed(
        run,
        detect__features__i3d__backbone__weights="mine.safetensors",
        detect__features__i3d__backbone__training=None,
    )
    assert detect.backbone(given, wild(features="i3d")) == "mine.safetensors"


@pytest.fixture
def published(run: Run) -> Run:
    """Features of which the second ones are imported."""
    i3d = run.config.model_dump(mode="json")["detect"]["features"]["i3d"]
    both = {"i3d": i3d, "theirs": i3d | {"backbone": None, "imported": IMPORTED}}
    return changed(run, detect__features=both)


def test_features_by_their_source(run: Run, published: Run) -> None:
    assert [detect.features_with(run, source) for source in ("backbone", "imported", "average_of")] == [
        "i3d",
        "(?!)",  # which no name matches
        "(?!)",
    ]
    assert [detect.features_with(published, source) for source in ("backbone", "imported")] == ["i3d", "theirs"]


def test_published_files_and_their_options(published: Run) -> None:
    wildcards = wild(features="theirs")
    assert detect.published(published, wildcards) == ["a/train.h5", "a/val one.h5", "o/train.h5", "f/val.csv"]
    assert detect.import_options(published, wildcards) == (
        "--actors train=a/train.h5 'val=a/val one.h5' --objects train=o/train.h5 --frame-lists val=f/val.csv"
    )


def test_features_that_are_averaged(run: Run) -> None:
    i3d = run.config.model_dump(mode="json")["detect"]["features"]["i3d"]
    mean = i3d | {"backbone": None, "average_of": ["slow", "i3d"]}
    other = changed(run, detect__features={"i3d": i3d, "slow": i3d, "mean": mean})
    wildcards = wild(features="mean", shard="1-of-2")
    found = [detect.averaged(other, wildcards, place) for place in (0, 1)]
    assert found == [f"{RESULTS}/features/{name}/1-of-2.h5" for name in ("slow", "i3d")]
    assert detect.features_with(other, "average_of") == "mean"


def evaluations(*networks: str, boxes: str = "detected") -> list[str]:
    return [
        f"{RESULTS}/evaluations/i3d/{network}/seed_{seed}/{boxes}/evaluation.json"
        for network in networks
        for seed in (1, 2, 3)
    ]


BASELINE = f"{RESULTS}/evaluations/i3d/backbone/detected/evaluation.json"
ABLATIONS = (
    "no_proximity",
    "no_temporal",
    "no_actor_actor",
    "no_object_object",
    "transformer",
    "feature_distance",
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table_3_2", [BASELINE, *evaluations("stage")]),
        ("figure_3_4", [BASELINE, *evaluations("stage")]),
        ("table_3_8", [BASELINE, *evaluations("stage", *ABLATIONS), *evaluations("stage", boxes="annotated")]),
        ("table_3_6", evaluations(*(f"layers{n}_heads{m}" for n in (1, 2, 3) for m in (2, 4, 8)))),
    ],
)
def test_evaluations_of_a_table(run: Run, name: str, expected: list[str]) -> None:
    assert sorted(detect.evaluations_of(run, name)) == sorted(expected)


def test_features_without_a_classifier_have_no_baseline(published: Run) -> None:
    found = detect.evaluations_of(published, "table_3_2")
    assert [path for path in found if "/backbone/" in path] == [BASELINE]
    assert [path for path in found if "/theirs/" in path] == [
        path.replace("/i3d/", "/theirs/") for path in evaluations("stage")
    ]


def test_results_of_a_table_say_whose_the_features_are(run: Run) -> None:
    shards = [f"{RESULTS}/features/i3d/{shard}.h5" for shard in ("0-of-2", "1-of-2")]
    trainings = [f"{RESULTS}/networks/i3d/stage/seed_{seed}/metrics.json" for seed in (1, 2, 3)]
    assert detect.results_of(run, "table_3_2") == [*detect.evaluations_of(run, "table_3_2"), shards[0]]
    assert detect.results_of(run, "table_3_9") == [*detect.evaluations_of(run, "table_3_9"), *trainings, shards[0]]
    assert detect.results_of(run, "table_3_10") == [*detect.evaluations_of(run, "table_3_10"), *shards]


@pytest.mark.parametrize("name", detect.PICTURES)
def test_pictures_show_one_networks_detections(run: Run, name: str) -> None:
    shards = ("0-of-2", "1-of-2")
    assert detect.results_of(run, name) == [
        f"{RESULTS}/evaluations/i3d/stage/seed_1/detected/detections.csv",
        *(f"{RESULTS}/frames/none/{shard}.h5" for shard in shards),
        *(f"{RESULTS}/features/i3d/{shard}.h5" for shard in shards),
    ]
