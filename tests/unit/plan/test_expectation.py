"""What a job's expectation rests on: earlier jobs here, then elsewhere, then the demo's, then an assumption."""

import json

import pytest
import yaml

from pipeline.plan.expectation import REFERENCE as SHIPPED
from pipeline.plan.expectation import UNKNOWN, Expected, Experience, measured, read_reference
from pipeline.plan.outlook import Plan, RulePlan, Totals, read_plan
from pipeline.runtime.errors import ActaError
from pipeline.tasks import weight_of
from tests.unit.plan.made import write_costs

REFERENCE = {
    "build_manifest": {
        "unit": "bytes of video",
        "work": 4e6,
        "jobs": 2,
        "seconds": 8.0,
        "cpu_seconds": 6.0,
        "bytes": 2e6,
    },
    "train_classifier": {
        "unit": "10¹² multiply-adds",
        "work": 10.0,
        "jobs": 1,
        "seconds": 50.0,
        "cpu_seconds": 40.0,
        "bytes": 7.0,
    },
    "certify": {"unit": "jobs", "work": 2.0, "jobs": 2, "seconds": 2.0, "cpu_seconds": 4.0, "bytes": None},
}


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "reference.yaml").write_text(yaml.safe_dump({"rules": REFERENCE}))
    return tmp_path / "logs" / "mine"


def expect(logs, rule, work, gpu=False, writes=None):
    known = Experience(logs, weight_of, 20.0, logs.parents[1] / "reference.yaml")
    return known.expect(rule, work, writes or [None] * len(work), gpu)


def plan_of(folder, **rules: RulePlan) -> None:
    plan = Plan(
        made="2026-01-01T00:00:00Z",
        dataset=folder.name,
        targets=(),
        tflops=20.0,
        rules=rules,
        totals=Totals(jobs=1, to_run=1, cpu_hours=0, gpu_hours=0, bytes=0, at_least=False, bytes_at_least=False),
        chain=(),
        chain_hours=0,
        jobs_at_once=None,
        wall_hours=None,
        free_bytes=1,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(plan.model_dump_json())


def rule_plan(**changes: object) -> RulePlan:
    content: dict[str, object] = {
        "made": "2026-01-01T00:00:00Z",
        "jobs": 2,
        "to_run": 2,
        "gpu_jobs": 0,
        "cpu_hours": 1.0,
        "gpu_hours": 0.0,
        "bytes": 0.0,
    }
    content |= {"unknown_hours": 0, "unknown_bytes": 0, "basis": "x", "unit": "bytes of video", "work": 4e6}
    return RulePlan.model_validate(content | changes)


def test_earlier_jobs_here_come_first(logs):
    write_costs(logs, "build_manifest/a", 10.0)
    write_costs(logs, "build_manifest/b", 30.0, output_bytes=3000)
    write_costs(logs, "build_manifest/c", 999.0, finished=False)
    write_costs(logs.parent / "other", "build_manifest/a", 500.0)
    plan_of(logs.parent / "other", build_manifest=rule_plan())
    assert expect(logs, "build_manifest", [1e6, None]) == [Expected(20.0, 20.0, 2000.0, "mean of 2 earlier here")] * 2


def test_the_shipped_reference_knows_the_demos_rules():
    known = read_reference(SHIPPED)
    assert {
        "build_manifest",
        "detect_people",
        "audit",
        "train_classifier",
        "try_hypothesis",
        "train_stage",
        "predict_spots",
    } <= set(known)
    assert all(each.seconds > 0 and each.jobs > 0 for each in known.values())


@pytest.mark.parametrize(("demo", "size"), [(True, 7.0), (False, None)])
def test_what_the_demo_stored_counts_for_the_demo_alone(logs, demo, size):
    known = Experience(logs, weight_of, 20.0, logs.parents[1] / "reference.yaml", demo=demo)
    (found,) = known.expect("train_classifier", [20.0], [None], gpu=False)
    assert (found.seconds, found.bytes) == (100.0, size)
    (computed,) = known.expect("train_classifier", [20.0], [5.0], gpu=False)
    assert computed.bytes == 5.0


def test_then_those_of_another_dataset_by_the_work(logs):
    write_costs(logs.parent / "other", "build_manifest/a", 10.0)
    plan_of(logs.parent / "other", build_manifest=rule_plan())  # 2e6 bytes a job
    (found,) = expect(logs, "build_manifest", [6e6])
    assert found == Expected(30.0, 30.0, 3000.0, "1 of other, by bytes of video")


def test_of_several_datasets_that_with_the_most_jobs(logs):
    for name, jobs, seconds in (("few", 1, 10.0), ("many", 3, 20.0)):
        for k in range(jobs):
            write_costs(logs.parent / name, f"certify/{k}", seconds)
    (found,) = expect(logs, "certify", [1.0])
    assert (found.seconds, found.basis) == (20.0, "3 of many, by jobs")


@pytest.mark.parametrize("work", [[None], [6e6]])
def test_another_dataset_without_a_plan_or_work_tells_nothing(logs, work):
    write_costs(logs.parent / "other", "build_manifest/a", 10.0)
    (found,) = expect(logs, "build_manifest", work)
    assert found.basis.startswith("the demo on two cores")


def test_a_damaged_plan_of_another_dataset_is_a_warning(logs, capsys):
    write_costs(logs.parent / "other", "build_manifest/a", 10.0)
    (logs.parent / "other" / "plan.json").write_text("{")
    assert expect(logs, "build_manifest", [2e6])[0].seconds == 4.0
    assert "other" in capsys.readouterr().err


def test_then_the_demos_by_the_work(logs):
    assert expect(logs, "build_manifest", [2e6, 6e6]) == [
        Expected(4.0, 3.0, 1e6, "the demo on two cores, by bytes of video"),
        Expected(12.0, 9.0, 3e6, "the demo on two cores, by bytes of video"),
    ]


def test_without_the_work_by_jobs(logs):
    (found,) = expect(logs, "build_manifest", [None])
    assert found == Expected(4.0, 3.0, 1e6, "the demo on two cores, by jobs (bytes of video unknown yet)")


def test_what_a_training_writes_is_told_by_its_network(logs):
    (found,) = expect(logs, "train_classifier", [20.0], writes=[1234.0])
    assert found == Expected(100.0, 80.0, 1234.0, "the demo on two cores, by 10¹² multiply-adds; bytes by the network")


def test_what_is_told_counts_before_earlier_jobs(logs):
    """Those may have stored frames of another size."""
    write_costs(logs, "extract_frames/a", 10.0, output_bytes=3000)
    (found,) = expect(logs, "extract_frames", [1.0], writes=[5000.0])
    assert found == Expected(10.0, 10.0, 5000.0, "mean of 1 earlier here; bytes by a sample of the videos")


def test_without_a_sample_bytes_are_unknown_and_not_the_demos(logs):
    """Those would be of other frames and other shards."""
    write_costs(logs.parent / "other", "extract_frames/a", 10.0)
    plan_of(logs.parent / "other", extract_frames=rule_plan(unit="10⁶ pixels", work=4.0))
    (found,) = expect(logs, "extract_frames", [6.0])
    basis = "1 of other, by 10⁶ pixels; bytes unknown without a sample of the videos"
    assert found == Expected(30.0, 30.0, None, basis)


def test_hours_can_be_unknown_where_bytes_are_told(logs):
    (found,) = expect(logs, "obfuscate", [1.0], writes=[5000.0])
    assert found == Expected(None, None, 5000.0, "hours unknown; bytes by a sample of the videos")


def test_a_training_on_a_gpu_is_assumed(logs):
    write_costs(logs, "train_classifier/on_a_processor", 10.0)
    (found,) = expect(logs, "train_classifier", [1000.0], gpu=True, writes=[1234.0])
    basis = "assumption: a GPU does 20 TFLOP/s (--tflops); bytes by the network"
    assert found == Expected(100.0, 100.0, 1234.0, basis)


def test_an_earlier_job_on_a_gpu_counts_gpu_seconds(logs):
    write_costs(logs, "train_classifier/a", 50.0, gpu_seconds=200.0)
    (found,) = expect(logs, "train_classifier", [1000.0], gpu=True)
    assert (found.seconds, found.device_seconds) == (50.0, 200.0)


@pytest.mark.parametrize(("rule", "gpu"), [("detect_people", True), ("build_manifest", True), ("no_such_rule", False)])
def test_what_nobody_knows_is_unknown(logs, rule, gpu):
    assert expect(logs, rule, [1e6], gpu=gpu) == [Expected(None, None, None, UNKNOWN)]


def test_the_shipped_reference_can_be_read():
    assert isinstance(read_reference(), dict)


@pytest.mark.parametrize("text", ["", "rules: 3", "rules: {train_classifier: {unit: jobs}}", "{"])
def test_a_damaged_reference_is_named(tmp_path, text):
    (tmp_path / "reference.yaml").write_text(text)
    with pytest.raises(ActaError, match=r"reference.yaml is damaged"):
        read_reference(tmp_path / "reference.yaml")


def test_a_reference_is_measured_on_processors_only(logs):
    write_costs(logs, "build_manifest/a", 10.0, cpu_seconds=15.0)
    write_costs(logs, "build_manifest/b", 20.0, cpu_seconds=25.0)
    write_costs(logs, "train_classifier/a", 10.0, gpu_seconds=10.0)
    found = measured(
        Experience(logs, weight_of, 20.0).here, {"build_manifest": 3e6, "train_classifier": 1.0}, weight_of
    )
    assert list(found) == ["build_manifest"]
    content = {"unit": "bytes of video", "work": 6e6, "jobs": 2, "seconds": 30.0, "cpu_seconds": 40.0, "bytes": 2000.0}
    assert found["build_manifest"].model_dump() == content
    write_costs(logs, "obfuscate/a", 10.0)
    stored = measured(Experience(logs, weight_of, 20.0).here, {}, weight_of)["obfuscate"]
    assert (stored.seconds, stored.bytes) == (10.0, 1000.0)


@pytest.mark.parametrize("content", ["{", json.dumps({"made": "now"})])
def test_a_damaged_plan_is_named(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(ActaError, match=r"plan.json is no plan of `acta plan`"):
        read_plan(tmp_path / "plan.json")


def test_a_missing_plan_is_named(tmp_path):
    with pytest.raises(ActaError, match=r"cannot read the plan .*plan.json"):
        read_plan(tmp_path / "plan.json")
