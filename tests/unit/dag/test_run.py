"""What the plan of a run asks of its configuration: paths, what decides reruns, command lines."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.dag import classify, detect, paths, shrink, spot
from pipeline.dag.report import ARCHITECTURES
from pipeline.dag.run import Run, about, by_split, command, named, roles, sha256_of
from pipeline.models.weights import registered_digest
from pipeline.runtime.digest import code_digest
from pipeline.runtime.provenance import canonical
from pipeline.tasks import TASKS, task_settings
from tests.unit.dag.changed import changed, wild

# ---- paths


def test_results_lie_below_the_data_sets_name(run: Run) -> None:
    assert run.result(paths.QUARANTINE) == "results/demo/quarantine.tsv"
    assert run.result(paths.MANIFEST) == "results/demo/manifest/{shard}.json"
    assert run.result(paths.STAGE, features="i3d", network="stage", seed=2) == (
        "results/demo/detect/networks/i3d/stage/seed_2"
    )
    assert changed(run, dataset="mine").result(paths.REPORT) == "results/mine/report"


def test_a_path_for_every_shard(run: Run) -> None:
    assert run.of_shards(paths.FRAMES, variant="faces") == [
        "results/demo/frames/faces/0-of-2.h5",
        "results/demo/frames/faces/1-of-2.h5",
    ]
    other = Run(run.config, ["0-of-1"], ["0-of-3", "2-of-3"], run.games)
    assert other.of_shards(paths.MANIFEST) == ["results/demo/manifest/0-of-1.json"]
    assert other.of_detection_shards(paths.ACTOR_FEATURES, features="i3d") == [
        "results/demo/detect/features/i3d/0-of-3.h5",
        "results/demo/detect/features/i3d/2-of-3.h5",
    ]


def test_a_path_for_every_game_of_some_splits(run: Run) -> None:
    assert run.of_games(["test", "train", "test"], paths.GAME) == [
        "results/demo/spot/games/c.json",
        "results/demo/spot/games/d.json",
        "results/demo/spot/games/a.json",
    ]
    assert run.of_games([], paths.GAME) == []
    assert run.split_of("d") == "test"


def test_lists_of_games_as_words_of_a_command(run: Run) -> None:
    assert run.game_lists(["train", "valid", "train"]) == "results/demo/spot/lists/train results/demo/spot/lists/valid"
    odd = Run(run.config, (), (), {"my split": []})
    assert odd.game_lists(["my split"]) == "'results/demo/spot/lists/my split'"


def test_variants_of_frames_and_what_was_searched(run: Run) -> None:
    frames = [f"frames/{variant}/{{shard}}.h5" for variant in ("none", "faces", "bodies")]
    assert run.anonymised == [*frames, "detections/faces/{shard}.h5", "detections/bodies/{shard}.h5"]
    assert changed(run, privacy__what=["faces"]).anonymised == [
        "frames/none/{shard}.h5",
        "frames/faces/{shard}.h5",
        "detections/faces/{shard}.h5",
    ]


# ---- what decides whether a job reruns


def test_parameters_of_a_task_are_its_code_and_its_settings(run: Run) -> None:
    parameters = run.task("obfuscate")
    assert set(parameters) == {"code", "settings"}
    assert parameters["code"] == code_digest("pipeline.privacy.obfuscate")
    for what in ("faces", "bodies"):
        expected = task_settings(run.config, "obfuscate", what=what)
        assert expected is not None
        assert parameters["settings"](wild(what=what, shard="0-of-2")) == canonical(expected)
    assert parameters["settings"](wild(what="faces")) != parameters["settings"](wild(what="bodies"))


def test_a_task_without_settings_has_its_code_only(run: Run) -> None:
    assert run.task("collect_quarantine") == {"code": code_digest("pipeline.data.collect_quarantine")}


def test_names_that_no_wildcard_says_are_fixed(run: Run) -> None:
    tested = json.loads(run.task("evaluate_classifier", split="split1")["settings"](wild(recipe="slowfast")))
    assert tested["split"] == {"train": "train", "test": "test"}
    trained = run.task("train_classifier", strategy="kd")["settings"]
    text = trained(wild(split="split1", recipe="r2plus1d", variant="faces"))
    assert json.loads(text)["strategy"] == {"teacher": "none", "kd": "31.25 per class", "rkd": 0.0, "temperature": 5.0}
    assert json.loads(text)["variant"] == "faces"


def test_a_name_that_neither_says_has_its_default(run: Run) -> None:
    text = run.task("train_classifier")["settings"](wild(split="split1", recipe="r3d"))
    assert json.loads(text)["strategy"]["kd"] == 0.0
    assert json.loads(text)["variant"] == "none"


def test_settings_that_there_are_not_are_empty(run: Run) -> None:
    without = changed(run, detect__detector=None, detect__detector_boxes=None)
    assert without.task("train_detector")["settings"](wild()) == "{}"
    assert json.loads(run.task("train_detector")["settings"](wild()))["detector"]["short_side"] == 192


@pytest.mark.parametrize(
    ("task", "key", "value", "differs"),
    [
        ("extract_frames", "frames__jpeg_quality", 80, True),
        ("extract_frames", "privacy__obfuscate__faces__jpeg_quality", 80, False),
        ("extract_frames", "data__root", "elsewhere", False),
        ("draw_contact_sheet", "contact_sheet__videos", 2, True),
        ("train_classifier", "classify__training__epochs", 2, True),
        ("train_classifier", "classify__recipes__r3d__batch", 32, False),
        ("train_classifier", "shrink__epochs", 2, False),
    ],
)
def test_only_what_a_task_reads_is_among_its_parameters(
    run: Run, task: str, key: str, value: object, differs: bool
) -> None:
    wildcards = wild(split="split1", recipe="r2plus1d", variant="none", strategy="kd")
    one, other = (each.task(task)["settings"](wildcards) for each in (run, changed(run, **{key: value})))
    assert (one != other) == differs


@pytest.mark.parametrize(
    ("key", "value", "shown", "not_shown"),
    [
        ("spot__networks__p_1__masking", None, {"table_4_4"}, {"table_4_2", "table_4_3", "figure_4_5"}),
        ("spot__networks__no_masking__hidden", 16, {"table_4_3"}, {"table_4_2", "table_4_4", "table_4_6"}),
        ("spot__network__hidden", 16, {"table_4_2", "table_4_6", "figure_4_5"}, set()),
        ("classify__recipes__slowfast__learning_rate", 0.5, {"table_5_3"}, {"table_5_1", "table_5_2", "figure_5_7"}),
        ("shrink__plans__inherit__operators", ["s", "c"], {"shrink_beyond"}, {"table_6_1", "table_6_4", "table_6_5"}),
        ("shrink__plans__teacher_eval__operators", ["s", "c"], {"table_6_8"}, {"table_6_1", "table_6_7"}),
        ("shrink__plans__pas__operators", ["s", "c"], {"table_6_1", "table_6_7", "shrink_beyond"}, set()),
        ("shrink__iterations", 3, {"table_6_1", "table_6_10"}, {"table_3_1", "table_4_1"}),
        ("detect__features__i3d__heads", 2, {"table_3_2", "figure_3_5"}, set()),
    ],
)
def test_a_table_reads_only_what_it_shows(
    run: Run, key: str, value: object, shown: set[str], not_shown: set[str]
) -> None:
    other = changed(run, **{key: value})
    for name in shown | not_shown:
        assert (_drawn(run, name) != _drawn(other, name)) == (name in shown), name


def test_pictures_read_of_the_first_features_only(run: Run) -> None:
    features = run.config.model_dump(mode="json")["detect"]["features"]
    two = changed(run, detect__features=features | {"other": features["i3d"]})
    for name, is_read in (("table_3_2", True), ("figure_3_4", True), ("figure_3_5", False), ("figure_3_6", False)):
        assert (_drawn(run, name) != _drawn(two, name)) == is_read, name


def _drawn(run: Run, name: str) -> str:
    """The settings of a table or figure, as its rule takes them."""
    fixed: dict[str, tuple[str, Callable[[Run, Any], str]]] = {
        "draw_detection": ("features", detect.shown_features),
        "draw_spotting": ("networks", spot.shown_networks),
        "draw_classification": ("recipes", classify.shown_recipes),
        "draw_shrinkage": ("plans", shrink.shown_plans),
    }
    chapters = dict(zip("3456", fixed, strict=True)) | {"b": "draw_shrinkage"}
    task = "draw_architecture" if name in ARCHITECTURES else chapters[name.split("_")[1][0]]
    if task == "draw_architecture":
        return str(run.task(task)["settings"](wild(name=name)))
    argument, function = fixed[task]
    return str(run.task(task, **{argument: partial(function, run)})["settings"](wild(name=name)))


def test_weights_of_detectors_and_auditors(run: Run) -> None:
    found = run.detector_weights("detect_people")
    assert found(wild(what="faces")) == [f"centerface={registered_digest('centerface')}"]
    assert found(wild(what="bodies")) == [
        f"centerface={registered_digest('centerface')}",
        f"ssdlite={registered_digest('ssdlite')}",
    ]
    assert run.detector_weights("audit")(wild(what="faces")) == [f"retinaface={registered_digest('retinaface')}"]


def test_digests_of_weights_that_no_rule_makes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"abc")
    assert run.weights_digest(None, None) == ""
    assert run.weights_digest(None, "centerface") == registered_digest("centerface")
    assert run.weights_digest(str(tmp_path / "mine.pth"), "centerface") == hashlib.sha256(b"abc").hexdigest()
    assert run.weights_digest("results/demo/detect/detector/model.safetensors", "centerface") == ""
    assert run.weights_digest("results/other/model.safetensors", None) == "missing"


def test_a_file_that_is_not_there_has_no_hash(tmp_path: Path) -> None:
    assert sha256_of(str(tmp_path / "none")) == sha256_of(str(tmp_path)) == "missing"


# ---- command lines


@pytest.mark.parametrize(
    ("task", "options", "expected"),
    [
        (
            "collect_quarantine",
            "-o {output}",
            "python -m pipeline --costs {log} task collect_quarantine -o {output} &> {log}",
        ),
        (
            "build_manifest",
            "--videos {input.videos} -o {output}",
            "python -m pipeline --costs {log} task build_manifest --videos {input.videos} -o {output} "
            "--cores {threads} &> {log}",
        ),
        (
            "halve_hypotheses",
            "-o {output}",
            "python -m pipeline --costs {log} task halve_hypotheses -o {output} "
            "--settings {params.settings:q} &> {log}",
        ),
        (
            "train_classifier",
            "-o {output.model}",
            "SRUN_CPUS_PER_TASK={threads} {resources.launcher} python -m pipeline --costs {log} task train_classifier "
            "-o {output.model} --settings {params.settings:q} --cores {threads} &> {log}",
        ),
    ],
)
def test_the_line_of_a_rule(task: str, options: str, expected: str) -> None:
    assert command(task, options) == expected


@pytest.mark.parametrize("task", TASKS)
def test_what_a_line_holds_is_what_the_command_takes(task: str) -> None:
    known = TASKS[task].parser().format_help()
    line = command(task, "")
    for option in ("--settings", "--cores"):
        assert (f"{option} " in line) == (f"{option} " in known)


def test_files_by_split() -> None:
    files = {"train": "data/a.csv", "val": "data/b.csv"}
    assert named("boxes", files) == {"boxes_train": "data/a.csv", "boxes_val": "data/b.csv"}
    assert named("boxes", {}) == {}
    assert by_split("boxes", "boxes", files) == "--boxes train={input.boxes_train:q} val={input.boxes_val:q}"
    assert by_split("proposals", "proposals", {}) == "--proposals"
    assert roles(files, {"test": "other/c.csv"}) == ["train=a.csv", "val=b.csv", "test=c.csv"]


def test_about_a_model() -> None:
    assert about("x/model.safetensors") == "x/model.json"


def test_wildcards_may_be_any_object(run: Run) -> None:
    """Snakemake's are a list with attributes."""
    wildcards = SimpleNamespace(what="faces", shard="0-of-2", other=None)
    assert run.task("audit")["settings"](wildcards) == run.task("audit", what="faces")["settings"](SimpleNamespace())
