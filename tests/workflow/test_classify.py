"""Action recognition in the real Snakemake: each change trains and evaluates what it must, nothing else."""

from collections import Counter

import pytest
import yaml

from tests import PROJECT
from tests.workflow.project import Project

FACES = "results/clips/evaluations/split1/r2plus1d/faces/kd/on_faces/evaluation.json"
TEACHER = "results/clips/evaluations/split1/r2plus1d/none/cross_entropy/on_faces/evaluation.json"


@pytest.fixture(scope="module")
def done(tmp_path_factory, footage):
    """A teacher, a student and an evaluation of each, on six clips of two classes."""
    project = Project(tmp_path_factory.mktemp("classify"))
    project.use_two_classes()
    project.configure(
        privacy__what=["faces"],
        classify__training__epochs=1,
        classify__recipes__r2plus1d__batch=4,
        classify__recipes__r2plus1d__micro_batch=4,
        classify__recipes__r2plus1d__clip__frames=4,
    )
    project.run("--", FACES, TEACHER)
    return project


@pytest.fixture
def project(done):
    with done.restored() as project:
        yield project


def planned(project):
    return [(rule, w.get("strategy"), w.get("tested")) for rule, w in project.planned("--", FACES, TEACHER)]


BOTH_TRAIN = [("train_classifier", "cross_entropy", None), ("train_classifier", "kd", None)]
BOTH_EVALUATE = [("evaluate_classifier", "cross_entropy", "faces"), ("evaluate_classifier", "kd", "faces")]
STUDENT = [("train_classifier", "kd", None), ("evaluate_classifier", "kd", "faces")]


def test_nothing_is_left_to_do(project):
    assert planned(project) == []


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ({"classify__strategies__kd__kd": 7.0}, STUDENT),
        ({"classify__strategies__kd__temperature": 2.0}, STUDENT),
        ({"classify__strategies__kd_rkd__rkd": 1.0}, []),
        ({"classify__test_clips": 7}, BOTH_EVALUATE),
        ({"classify__training__seed": 5}, BOTH_TRAIN + BOTH_EVALUATE),
        ({"classify__recipes__r2plus1d__learning_rate": 0.2}, BOTH_TRAIN + BOTH_EVALUATE),
        ({"classify__recipes__r3d__learning_rate": 0.2}, []),
        ({"contact_sheet__videos": 1}, []),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_changed_setting(project, change, jobs):
    project.configure(**change)
    assert sorted(planned(project), key=str) == sorted(jobs, key=str)


def test_another_blur_trains_the_student_and_not_the_teacher(project):
    project.configure(privacy__obfuscate__faces__kernel=0.7)
    found = Counter(planned(project))
    assert found[("train_classifier", "kd", None)] == 1
    assert found[("train_classifier", "cross_entropy", None)] == 0
    assert found[("evaluate_classifier", "cross_entropy", "faces")] == 1


def test_an_edited_loss_trains_all_anew(project):
    path = project.folder / "pipeline/training/losses.py"
    kept = path.read_text()
    try:
        path.write_text(kept.replace("F.cross_entropy(student, labels)", "2 * F.cross_entropy(student, labels)"))
        assert sorted(planned(project), key=str) == sorted(BOTH_TRAIN + BOTH_EVALUATE, key=str)
        path.write_text(kept + "\n# a remark\n")
        assert planned(project) == []
    finally:
        path.write_text(kept)


def test_a_label_without_training_video_is_named(project):
    lines = "run\nwalk\njump\n"
    (project.folder / "classes.txt").write_text(lines)
    project.configure(classify__classes="classes.txt", dataset="other", classify__training__epochs=1)
    target = FACES.replace("clips", "other", 1)
    failed = project.snakemake("--cores", "2", "--", target, check=False)
    assert failed.returncode != 0
    log = project.folder / "logs/other/train_classifier/split1/r2plus1d/none/cross_entropy.log"
    assert "class 'jump' of classes.txt has no video in split 'train'" in log.read_text()


@pytest.mark.parametrize(
    ("overlay", "splits"),
    [("kinetics400", 1), ("ucf101", 3), ("hmdb51", 3)],
)
def test_overlays_plan_from_the_annotation_alone(tmp_path, overlay, splits):
    """Teacher and eight students of R(2+1)D, three networks each of R3D and SlowFast, in every split."""
    project = Project(tmp_path)
    (tmp_path / "videos").mkdir()
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    many = range(400)  # of each class: enough for a batch
    match overlay:
        case "kinetics400":
            annotations /= "k.csv"
            parts = [(label, part) for label in ("run", "walk") for part in ("train", "val")]
            rows = [f"{label},{label}{part}{n},0,10,{part}" for label, part in parts for n in many]
            annotations.write_text("label,youtube_id,time_start,time_end,split\n" + "\n".join(rows))
        case "ucf101":
            for number in (1, 2, 3):
                train = "".join(f"Run/r{n}.avi 1\nWalk/w{n}.avi 2\n" for n in many)
                (annotations / f"trainlist0{number}.txt").write_text(train)
                (annotations / f"testlist0{number}.txt").write_text("Run/a.avi\nWalk/b.avi\n")
        case _:
            for number in (1, 2, 3):
                for label in ("run", "walk"):
                    train = "".join(f"{label}{n}.avi 1\n" for n in many)
                    (annotations / f"{label}_test_split{number}.txt").write_text(f"{train}{label}b.avi 2\n")
    here = {"data": {"root": "videos", "annotations": str(annotations), "shards": 2}}
    (tmp_path / "here.yaml").write_text(yaml.safe_dump(here))
    files = [str(PROJECT / "config" / f"{overlay}.yaml"), "here.yaml"]
    rules = project.planned_rules("--configfile", *files, "--", "classify")
    assert rules["train_classifier"] == 15 * splits
    assert rules["evaluate_classifier"] == 17 * splits
    assert rules["draw_classification_table"] == 3
