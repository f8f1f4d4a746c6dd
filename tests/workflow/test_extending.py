"""The recipes of docs/extending.md, in a copy of the project: a task in three files, a backbone in two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D, R2Plus1dStem, VideoResNet

from tests.workflow.project import Project

TASK = '''"""Task `count_faces`: how many faces a shard's videos show."""

from pathlib import Path

from pipeline.privacy.instances import DetectionShard
from pipeline.runtime.files import Output
from pipeline.runtime.shown import write_table


def count_faces(detections: Path, output: Output) -> None:
    """Write how many faces each video shows.

    Args:
        detections: The detection shard.
        output: The table to write (CSV).
    """
    shard = DetectionShard(detections)
    rows = [(video, sum(len(frame) for frame in shard.frames(video))) for video in shard.ids]
    write_table(output, ("video", "faces"), rows)
'''
ROW = '    Task("privacy.count_faces", weight=_SHARD),\n'
RULE = '''

rule count_faces:
    """Count the faces of a shard."""
    input:
        result(paths.filled(paths.DETECTIONS, what="faces")),
    output:
        result("statistics/faces/{shard}.csv"),
    log:
        log_of("count_faces/{shard}.log"),
    conda:
        "../../envs/acta.yaml"
    params:
        **RUN.task("count_faces"),
    shell:
        command("count_faces", "--detections {input} -o {output}")
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("extended"))
    made.use_two_classes()
    return made


def insert(path: Path, text: str, before: str) -> None:
    content = path.read_text()
    assert content.count(before) == 1, before
    path.write_text(content.replace(before, text + before))


def acta(project: Project, *arguments: str) -> str:
    """What ``acta`` prints in the copy."""
    command = [sys.executable, "-m", "pipeline", *arguments]
    environment = os.environ | {"PYTHONPATH": str(project.folder)}
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_task_takes_three_files(project: Project) -> None:
    (project.folder / "pipeline/privacy/count_faces.py").write_text(TASK)
    insert(project.folder / "pipeline/tasks.py", ROW, '    Task("report.certify"),\n')
    with (project.folder / "workflow/rules/anonymize.smk").open("a") as rules:
        rules.write(RULE)
    assert "  --detections DETECTIONS\n" in acta(project, "task", "count_faces", "--help")
    targets = [f"results/clips/statistics/faces/{n}-of-2.csv" for n in (0, 1)]
    assert project.planned_rules(*targets)["count_faces"] == 2
    project.run(*targets)
    rows = [line for target in targets for line in (project.folder / target).read_text().splitlines()[1:]]
    assert len(rows) == 6
    # Its digest follows its imports.
    insert(project.folder / "pipeline/runtime/shown.py", "UNUSED = 1\n\n\n", "def safe_cell(")
    assert project.planned(*targets) == []
    insert(project.folder / "pipeline/privacy/instances.py", "UNUSED = 1\n\n\n", "class DetectionShard(")
    assert project.planned_rules(*targets)["count_faces"] == 2


def test_a_backbone_takes_two_files(project: Project) -> None:
    insert(project.folder / "pipeline/config/names.py", '    "r2plus1d_34",\n', '    "r3d_18",\n')
    entry = '    "r2plus1d_34": _Base(16, 112, (3, 4, 6, 3), *_TORCHVISION),\n'
    architecture = project.folder / "pipeline/models/architecture.py"
    insert(architecture, entry, next(line for line in architecture.open() if line.startswith('    "r3d_18": ')))
    cost = json.loads(acta(project, "complexity", "--backbone", "r2plus1d_34", "--json"))
    published = VideoResNet(BasicBlock, [Conv2Plus1D] * 4, [3, 4, 6, 3], R2Plus1dStem)  # with 400 classes
    assert cost["parameters"] == sum(parameter.numel() for parameter in published.parameters())
    project.configure(classify__recipes__r3d__backbone__name="r2plus1d_34")
    checked = acta(project, "config", "check", "config.yaml", "--targets", "all")  # six clips are no epoch of the demo
    assert checked == "config.yaml is valid: dataset clips, base demo\n"
