"""What reruns what: the real DAG, run once on small clips, then planned again after each kind of change."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.media.lists import shard_name, shard_of
from pipeline.runtime.costs import read_costs
from tests.clips import write_clip
from tests.workflow.project import Project

SHARDS = 2
VIDEOS = ("run/a.mp4", "run/e.mp4", "walk/c.mp4")
EVERY_TASK = {"build_manifest", "extract_frames", "detect_people", "obfuscate", "audit", "certify"} | {
    "collect_quarantine",
    "draw_sensitive_information",
    "draw_contact_sheet",
    "draw_face_sample",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The workflow, run to its end on three clips in two shards."""
    project = Project(tmp_path_factory.mktemp("workflow") / "project")
    for video in VIDEOS:
        write_clip(project.folder / "videos" / video, frames=5)
    assert {shard_of(video, SHARDS) for video in VIDEOS} == {0, 1}
    project.configure(
        dataset="clips", data__adapter="folder", data__root="videos", data__shards=SHARDS, frames__size=64
    )  # fmt: skip
    project.run()
    return project


@pytest.fixture
def project(finished: Project) -> Iterator[Project]:
    """The finished project; what a test changes in its files is put back."""
    kept = finished.folder.parent / "kept"
    shutil.copytree(finished.folder, kept, symlinks=True, copy_function=shutil.copy2)
    yield finished
    for part in ("config.yaml", "pipeline", "videos", "workflow", "results/clips/lists"):
        target, source = finished.folder / part, kept / part
        if source.is_dir():
            shutil.rmtree(target)
            shutil.copytree(source, target, symlinks=True, copy_function=shutil.copy2)
        else:
            shutil.copy2(source, target)
    shutil.rmtree(kept)


def test_every_job_writes_what_it_cost_next_to_its_log(finished):
    folder = finished.folder / "logs/clips"
    logs = [log.relative_to(folder) for log in folder.rglob("*.log")]
    assert {log.parts[0].removesuffix(".log") for log in logs} == EVERY_TASK
    costs = read_costs(folder)
    assert set(costs) == EVERY_TASK
    assert all(job.cpu_seconds > 0 for rule in costs.values() for job in rule if job.finished)
    assert all(job.output_bytes for rule in ("extract_frames", "obfuscate", "audit") for job in costs[rule])
    assert sum(job.finished for rule in costs.values() for job in rule) == len(logs)


def test_jobs_keep_bytecode_where_the_environment_forbids_it(project, monkeypatch):
    for cached in list((project.folder / "pipeline").rglob("__pycache__")):
        shutil.rmtree(cached)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    project.run("--forcerun", "collect_quarantine", "--", "results/clips/quarantine.tsv")
    assert list((project.folder / "pipeline").rglob("*.pyc"))


def edit(project: Project, module: str, old: str, new: str) -> None:
    path = project.folder / "pipeline" / module
    text = path.read_text()
    assert text.count(old) >= 1, f"{old!r} is not in {module}"
    path.write_text(text.replace(old, new, 1))


def test_everything_is_there(finished):
    results = finished.folder / "results/clips"
    for name in (
        "quarantine.tsv",
        "private/contact_sheet.png",
        "audit/faces/certificate.json",
        "audit/bodies/audit.csv",
    ):
        assert (results / name).stat().st_size > 0
    assert (results / "frames/none").stat().st_mode & 0o777 == 0o700
    assert (results / "private").stat().st_mode & 0o777 == 0o700


def test_no_change_plans_nothing(project):
    assert project.planned() == []


def test_another_blur_kernel_reruns_obfuscate_and_below_of_that_variant(project):
    project.configure(privacy__obfuscate__faces__kernel=0.5)
    jobs = project.planned()
    rules = Counter(rule for rule, _ in jobs)
    assert rules == {
        "obfuscate": SHARDS, "audit": SHARDS, "certify": 1, "collect_quarantine": 1, "draw_contact_sheet": 1
    }  # fmt: skip
    assert {w["what"] for _, w in jobs if "what" in w} == {"faces"}


def test_another_detector_of_bodies_reruns_detect_and_below_of_that_variant(project):
    project.configure(privacy__detect__bodies__detector="selfie")
    jobs = project.planned()
    assert {rule for rule, _ in jobs} == EVERY_TASK - {"build_manifest", "extract_frames", "draw_face_sample"}
    assert {w["what"] for _, w in jobs if "what" in w} == {"bodies"}


def test_another_detector_of_faces_reruns_both_variants_as_bodies_hide_faces_too(project):
    project.configure(
        privacy__detect__faces__detector="retinaface",
        privacy__audit={"faces": {"centerface": 0.2}, "bodies": {"pose": 0.5}},
    )
    jobs = project.planned()
    assert {rule for rule, _ in jobs} == EVERY_TASK - {"build_manifest", "extract_frames"}
    assert {w["what"] for _, w in jobs if "what" in w} == {"faces", "bodies"}


def test_a_gpu_is_asked_for_where_any_network_of_a_search_uses_one(project):
    """The search for bodies finds faces too."""
    project.configure(privacy__detect__faces__device="cuda")
    jobs = project.snakemake("-n", "--cores", "2").stdout.split("\nrule ")
    asked = [re.findall(r"wildcards: what=(\w+)|\bgpu=(\d)", job) for job in jobs if job.startswith("detect_people:")]
    assert sorted(asked) == [[(what, ""), ("", "1")] for what in ("bodies", "faces") for _ in range(SHARDS)]


def test_another_search_of_faces_in_time_reruns_faces_only(project):
    project.configure(privacy__detect__faces__interval=0.5)
    assert {w["what"] for _, w in project.planned() if "what" in w} == {"faces"}


def test_another_frame_size_detects_nothing_anew(project):
    project.configure(frames__size=48)
    rules = project.planned_rules()
    assert set(rules) == EVERY_TASK - {"build_manifest", "detect_people", "draw_sensitive_information"}
    assert rules["extract_frames"] == SHARDS
    assert rules["obfuscate"] == rules["audit"] == 2 * SHARDS


def test_another_frame_rate_reruns_frames_detect_and_below(project):
    project.configure(sampling__rate=7.0)
    assert set(project.planned_rules()) == EVERY_TASK - {"build_manifest"}


def test_another_auditor_threshold_reruns_the_audit_only(project):
    project.configure(privacy__audit__faces={"retinaface": 0.3})
    assert project.planned_rules() == {"audit": SHARDS, "certify": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda p: edit(p, "privacy/filters.py", "import cv2\n", "# a remark\nimport cv2\n\n"),
        lambda p: edit(
            p, "privacy/filters.py", '"""Hide every instance in place.', '"""Conceal every instance in place.'
        ),
        lambda p: edit(p, "privacy/filters.py", "    return cv2.blur(", "    return  cv2.blur("),
        lambda p: [os.utime(path) for path in (p.folder / "pipeline").rglob("*.py")],
        lambda p: p.configure(data__max_bad_fraction=0.5),
        lambda p: (p.folder / "videos").rename(p.folder / "moved") and p.configure(data__root="moved"),
    ],
    ids=["comment", "docstring", "reformatting", "modules touched", "tolerance for bad videos", "videos moved"],
)
def test_what_cannot_change_a_result_plans_nothing(project, change):
    change(project)
    try:
        assert project.planned() == []
    finally:
        if (project.folder / "moved").exists():
            (project.folder / "moved").rename(project.folder / "videos")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--cores", "1"),
        ("--set-threads", "detect_people=1", "obfuscate=1"),
        ("--set-resources", "detect_people:mem_mb=1234"),
        ("--default-resources", "runtime=7"),
        ("--quiet", "progress"),
        ("--verbose",),
        ("--workflow-profile", "none"),
    ],
)
def test_how_it_is_run_plans_nothing(project, arguments):
    assert project.planned(*arguments) == []


def test_a_changed_expression_in_the_blur_code_reruns_obfuscate_and_below(project):
    edit(project, "privacy/filters.py", "settings.kernel * side", "settings.kernel * side * 2")
    assert project.planned_rules() == {
        "obfuscate": 2 * SHARDS,
        "audit": 2 * SHARDS,
        "certify": 2,
        "collect_quarantine": 1,
        "draw_contact_sheet": 1,
    }


@pytest.mark.parametrize("change", ["added", "removed", "replaced"])
def test_one_video_reruns_its_shard_only(project, change):
    video = VIDEOS[0] if change != "added" else "walk/new.mp4"
    path = project.folder / "videos" / video
    if change == "removed":
        video = next(v for v in VIDEOS if sum(shard_of(v, SHARDS) == shard_of(o, SHARDS) for o in VIDEOS) > 1)
        (project.folder / "videos" / video).unlink()
    elif change == "added":
        write_clip(path, frames=5)
    else:
        write_clip(path, frames=7)
    jobs = project.planned()
    assert {w["shard"] for _, w in jobs if "shard" in w} == {shard_name(shard_of(video, SHARDS), SHARDS)}
    assert {rule for rule, _ in jobs} == EVERY_TASK


def test_a_wrong_configuration_is_one_clear_message(project):
    project.configure(privacy__obfuscate__faces__kernal=1.0)
    result = project.snakemake("-n", check=False)
    text = result.stdout + result.stderr
    assert result.returncode == 1
    assert "unknown key 'privacy.obfuscate.faces.kernal' (value 1.0). Did you mean 'kernel'?" in text
    assert "Traceback" not in text


def test_no_rule_holds_an_absolute_path_of_this_machine(finished):
    """The results name nothing of this machine, so that they are the same wherever they are made."""
    for path in sorted((finished.folder / "results").rglob("*")):
        if path.is_file():
            assert str(finished.folder).encode() not in path.read_bytes(), path


def test_the_plan_needs_no_torch(finished, monkeypatch):
    """A plan on a login node must not wait for torch, nor fail where it is not installed."""
    Path(finished.folder, "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(finished.folder))
    try:
        assert finished.planned() == []
    finally:
        Path(finished.folder, "sitecustomize.py").unlink()
