"""PAS in the real Snakemake: 25 static jobs a backbone, and each change reruns what depends on it."""

import json
import re
import time
from collections import Counter

import pytest
import yaml

from pipeline.report.tables import read_rows
from tests import PROJECT
from tests.workflow.project import Project

SHRUNK = "results/clips/shrink/r3d"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two iterations with s, t and c on six clips of two classes; the clip of two frames halves once."""
    project = Project(tmp_path_factory.mktemp("shrink"))
    project.use_two_classes()
    plan = {"operators": ["s", "t", "c"]}
    settings = yaml.safe_load((project.folder / "config.yaml").read_text())
    plain = settings["shrink"]["plans"]["pas"] | plan
    plans = {
        "pas": plain,
        "inherit": plain | {"inherit_weights": True},
        "stored": plain | {"store_logits": True},
        "halving": plain | {"halving": {"epochs": 1, "keep": 1}},
        "pairs": plain | {"operators": ["st", "sc"]},
    }
    project.configure(
        classify__training__epochs=1,
        classify__recipes__r3d__batch=4,
        classify__recipes__r3d__micro_batch=4,
        classify__recipes__r3d__backbone__width=0.05,
        classify__recipes__r3d__clip__frames=2,
        shrink__recipes=["r3d"],
        shrink__iterations=2,
        shrink__epochs=2,
        shrink__plans=plans,
    )
    project.run("--", "shrink", "table_6_9")
    return project


@pytest.fixture
def project(done):
    with done.restored() as project:
        yield project


def planned(project, *targets):
    """Jobs as (rule, iteration, operators); those of the report left out."""
    jobs = [
        (rule, w.get("iteration"), w.get("operators") or w.get("network"))
        for rule, w in project.planned("--", *(targets or ("shrink",)))
    ]
    return {job for job in jobs if not job[0].startswith(("draw", "shrink", "table"))}


ALL_OF = {1: {("try_hypothesis", "1", o) for o in "stc"}, 2: {("try_hypothesis", "2", o) for o in "stc"}}


def hypotheses(jobs):
    return {job for job in jobs if job[0] == "try_hypothesis"}


def test_it_is_done_and_says_why(project):
    assert planned(project) == set()
    for iteration in (1, 2):
        selected = json.loads((project.folder / SHRUNK / f"pas/iteration_{iteration}/selected.json").read_text())
        selection = selected["selection"]
        assert [one["operators"] for one in selection["hypotheses"]] == ["s", "t", "c"]
        assert selection["reason"].startswith("Eq. 6.1, as ")
        assert len(selected["architecture"]["reductions"]) == iteration
        assert (project.folder / SHRUNK / f"pas/iteration_{iteration}/export/model.onnx").stat().st_size > 0
    rows = read_rows(project.folder / "results/clips/tables/table_6_1.csv")
    assert [row["network"] for row in rows] == ["base", "PAS-1", "PAS-2"]
    assert (project.folder / "results/clips/figures/shrink_r3d.png").stat().st_size > 10_000
    costs = read_rows(project.folder / "results/clips/tables/shrink_costs.csv")
    seconds = {(row["iteration"], row["operators"]): float(row["device_seconds"]) for row in costs}
    assert seconds["(all)", "(all)"] == pytest.approx(seconds["1", "(all)"] + seconds["2", "(all)"], abs=0.2)
    assert seconds["1", "(all)"] == pytest.approx(sum(seconds["1", o] for o in "stc"), abs=0.3)


def test_another_distillation_weight_reruns_every_hypothesis_and_no_base(project):
    project.configure(shrink__alpha=3.0)
    jobs = planned(project)
    assert hypotheses(jobs) == ALL_OF[1] | ALL_OF[2]
    assert not [job for job in jobs if job[0] in ("train_classifier", "evaluate_classifier")]


def test_another_factor_reruns_its_hypothesis_and_what_follows(project):
    project.configure(shrink__factors__c=1.5)
    assert hypotheses(planned(project)) == {("try_hypothesis", "1", "c")} | ALL_OF[2]


def test_another_iteration_adds_its_jobs_alone(project):
    project.configure(shrink__iterations=3)
    jobs = planned(project)
    assert hypotheses(jobs) == {("try_hypothesis", "3", o) for o in "stc"}
    added = ("select_hypothesis", "train_classifier_alone", "export_network", "measure_resources")
    assert [job for job in jobs if job[0] in added] == [
        job for job in jobs if job[1] == "3" and job[0] != "try_hypothesis"
    ]


@pytest.mark.parametrize(
    ("change", "iterations"),
    [({"shrink__fine_tuning_rate": 0.2}, {("1", "s"), ("1", "t")}), ({"shrink__feature_weight": 9.0}, set())],
)
def test_what_a_hypothesis_does_not_read_does_not_rerun_it(project, change, iterations):
    project.configure(**change)
    first = {(job[1], job[2]) for job in hypotheses(planned(project)) if job[1] == "1"}
    assert first == iterations


def test_dropping_an_operator_selects_anew(project):
    project.configure(shrink__plans__pas__operators=["s", "t"])
    jobs = planned(project)
    assert ("select_hypothesis", "1", None) in jobs
    assert hypotheses(jobs) == {("try_hypothesis", "2", "s"), ("try_hypothesis", "2", "t")}


def test_killed_in_iteration_2_and_run_again_gives_the_same_bytes(project):
    folder = project.folder / SHRUNK / "pas"
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.name in ("selected.json", "selected.safetensors", "model.safetensors", "survivors.json")
    ]
    before = {path: path.read_bytes() for path in files}
    for path in (folder / "iteration_2").rglob("*"):
        if path.is_file():
            path.unlink()
    process = project.start("--cores", "2", "--nolock", "--", "shrink")
    deadline = time.monotonic() + 120
    while not list((folder / "iteration_2").glob("*/model.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, "the workflow ended before it could be killed"
    project.kill(process)
    assert not (folder / "iteration_2" / "selected.json").exists()
    project.run("--nolock", "--", "shrink")
    assert {path: path.read_bytes() for path in files} == before


def test_the_open_problems_next_to_the_plain_algorithm(project):
    project.configure(shrink__iterations=1)
    project.run("--", "shrink_beyond")
    rows = read_rows(project.folder / "results/clips/tables/shrink_beyond.csv")
    found = {(row["plan"], row["iteration"]): row for row in rows}
    assert set(found) == {(plan, n) for plan in ("pas", "inherit", "halving", "pairs", "stored") for n in "1"}
    # A stored teacher changes nothing but the time.
    for column in ("operators", "top1", "gflops"):
        assert found["stored", "1"][column] == found["pas", "1"][column]
    stopped = [
        json.loads(path.read_text())["status"]
        for path in (project.folder / SHRUNK / "halving/iteration_1").glob("*/metrics.json")
    ]
    assert sorted(stopped) == ["stopped", "stopped", "trained"]


def test_transfer_needs_to_know_from_where(project):
    failed = project.snakemake("-n", "--", "table_6_6", check=False)
    assert failed.returncode != 0
    assert "shrink.transfer is null" in failed.stdout + failed.stderr


def test_transfer_to_another_dataset(project):
    """To the same videos under another name: base and reduced networks, each fine-tuned and tested."""
    project.configure(
        dataset="other",
        shrink__iterations=1,
        shrink__transfer={
            "base": "results/clips/models/split1/{recipe}/none/cross_entropy/model.safetensors",
            "reduced": "results/clips/shrink/{recipe}/pas/iteration_{iteration}/selected.safetensors",
        },
    )
    project.run("--", "table_6_6")
    rows = read_rows(project.folder / "results/other/tables/table_6_6.csv")
    assert [(row["network"], row["expected"]) for row in rows] == [("base", "2"), ("PAS-1", "2")]


def test_a_private_student_is_shrunk_without_original_frames(project):
    """Only its teacher sees those."""
    project.configure(
        classify__strategies__kd__kd="1 per class", shrink__base={"variant": "faces", "strategy": "kd", "model": None}
    )
    output = project.snakemake("-n", "--cores", "1", "--", "shrink").stdout
    blocks = [block for block in re.split(r"\n(?=(?:local)?rule )", output) if "try_hypothesis" in block.split("\n")[0]]
    assert len(blocks) == 6
    for block in blocks:
        read = re.search("input: (.*)", block)[1]
        assert "frames/faces/0-of-2.h5" in read
        assert "models/split1/r3d/faces/kd/model.safetensors" in read
        assert "frames/none" not in read
    jobs = project.planned("--", "shrink")
    trained = {(w["variant"], w["strategy"]) for rule, w in jobs if rule == "train_classifier"}
    assert trained == {("faces", "kd")}, "its teacher is there already"
    assert {w["tested"] for rule, w in jobs if rule == "evaluate_classifier"} == {"faces"}
    rules = Counter(rule for rule, _ in jobs)
    assert (rules["obfuscate"], rules["select_hypothesis"]) == (2, 2)


def test_a_model_file_is_shrunk(project):
    """As a published network is: nothing of Ch. 5 is trained."""
    model = "results/clips/models/split1/{recipe}/none/cross_entropy/model.safetensors"
    base = {"variant": "none", "strategy": None, "model": model}
    project.configure(dataset="published", shrink__iterations=1, shrink__base=base)
    project.run("--", "table_6_1")
    assert not (project.folder / "results/published/models").exists()
    there, trained = (
        read_rows(project.folder / f"results/{dataset}/tables/table_6_1.csv") for dataset in ("published", "clips")
    )
    assert there[0] | {"differs": ""} == trained[0] | {"differs": ""}
    assert "shrink.base.model model.safetensors, thesis none" in there[0]["differs"]


def test_thesis_scale_plans_fifty_hypotheses(tmp_path):
    project = Project(tmp_path)
    (tmp_path / "videos").mkdir()
    parts = [(label, part) for label in ("run", "walk") for part in ("train", "val")]
    lines = [f"{label},{label}{part}{n},0,10,{part}" for label, part in parts for n in range(400)]
    (tmp_path / "k.csv").write_text("label,youtube_id,time_start,time_end,split\n" + "\n".join(lines))
    (tmp_path / "here.yaml").write_text(
        yaml.safe_dump({"data": {"root": "videos", "annotations": str(tmp_path / "k.csv"), "shards": 2}})
    )
    files = [str(PROJECT / "config" / "kinetics400.yaml"), "here.yaml"]
    jobs = project.planned("--configfile", *files, "--", "shrink")
    rules = Counter(rule for rule, _ in jobs)
    plans = Counter(w["plan"] for rule, w in jobs if rule == "try_hypothesis")
    # Of both networks; the side studies have one iteration each, on activations R(2+1)D alone.
    studies = {"without_kd": 6, "without_fine_tuning": 6, "mse": 1, "margin_relu": 1, "teacher_eval": 10}
    assert plans == {"pas": 50} | studies
    assert rules["select_hypothesis"] == rules["train_classifier_alone"] == rules["export_network"] == 10
    assert rules["train_classifier"] == 2
    of_pas = [w for rule, w in jobs if rule == "try_hypothesis" and w["plan"] == "pas"]
    side_by_side = Counter((w["recipe"], w["iteration"]) for w in of_pas)
    assert set(side_by_side.values()) == {5}
    assert len(side_by_side) == 10
