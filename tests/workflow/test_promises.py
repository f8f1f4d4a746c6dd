"""The command at the head of each file in config/ makes the tables and figures that the head names, and no others."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import PROJECT
from tests.unit.config.overlays import OVERLAYS, files_of
from tests.workflow.project import Project

LABELS, MANY = ("run", "walk"), range(400)  # videos of each class: enough for the thesis's largest batch
LABEL_MAP = 'item {\n  name: "stand"\n  id: 1\n}\n'
MADE_BY_OTHERS = "results/kinetics400"  # the networks that Table 6.6 fine-tunes
# What a picture of Ch. 6 is called, by its number.
PICTURES = {"shrink_r2plus1d": "figure_6_3", "shrink_slowfast": "figure_6_4"}


def head(overlay: str) -> str:
    """The comment before the first key."""
    lines = (PROJECT / "config" / f"{overlay}.yaml").read_text().splitlines()
    return "\n".join(line.removeprefix("#")[1:] for line in lines[: lines.index(f"dataset: {overlay}")])


def promised(text: str) -> set[str]:
    """Tables and figures of a text, such as `Tables 5.1 to 5.3, 6.1 and 6.10`."""
    names = set()
    for kind, listed in re.findall(r"(Table|Figure)s? ((?:\d+\.\d+(?: to |, | and |,\n|\n)?)+)", text):
        for first, last in re.findall(r"(\d+\.\d+)(?: to (\d+\.\d+))?", listed):
            chapter, begin = map(int, first.split("."))
            end = int(last.split(".")[1]) if last else begin
            names |= {f"{kind.lower()}_{chapter}_{number}" for number in range(begin, end + 1)}
    return names


def command(overlay: str) -> list[str]:
    """The head's own, without how and where it runs."""
    (line,) = re.findall(r"^  snakemake (.*)$", head(overlay), re.MULTILINE)
    words = shlex.split(line)
    assert words[words.index("--configfile") + 1 : words.index("--configfile") + 1 + len(files_of(overlay))] == [
        str(path.relative_to(PROJECT)) for path in files_of(overlay)
    ]
    return words[words.index("--") :]


def moved(value: Any, folder: Path, made: list[Path]) -> Any:
    """The same settings with the paths below /datasets and /models in another folder."""
    if isinstance(value, dict):
        # Few shards: a thousand would only make the plan longer.
        return {key: 2 if key == "shards" else moved(part, folder, made) for key, part in value.items()}
    if isinstance(value, str) and value.startswith(("/datasets/", "/models/")):
        made.append(folder / value[1:])
        return str(made[-1])
    return value


def invent(path: Path) -> None:
    """What is at a path: annotations of one video, game or class; other files are empty."""
    (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
    if path.name == "kinetics400.csv":
        rows = [f"{label},{label}{part}{n},0,10,{part}" for label in LABELS for part in ("train", "val") for n in MANY]
        path.write_text("\n".join(["label,youtube_id,time_start,time_end,split", *rows]) + "\n")
    elif path.suffix == ".csv" and "excluded" in path.name:
        path.write_text(f"{path.stem.split('_')[1]},0904\n")
    elif path.suffix == ".csv":
        split = "train" if "train" in path.name else "val"
        person = ",0.9" if "detection" in path.name else ",0"
        path.write_text(f"{split},0902,0.0,0.0,0.5,1.0,1{person}\n")
    elif path.suffix == ".pbtxt":
        path.write_text(LABEL_MAP)
    elif path.suffix == ".json":
        games = {"league": {"season": [f"game {path.stem}"]}}
        path.write_text(json.dumps(games))
        for name in games["league"]["season"]:
            (path.parent / "league/season" / name).mkdir(parents=True)
    elif path.name == "ucfTrainTestlist":
        for number in (1, 2, 3):
            (path / f"trainlist0{number}.txt").write_text("".join(f"Run/{n}.avi 1\nWalk/w{n}.avi 2\n" for n in MANY))
            (path / f"testlist0{number}.txt").write_text("Run/a.avi\nWalk/b.avi\n")
    elif path.name == "testTrainMulti_7030_splits":
        for label in LABELS:
            train = "".join(f"{label}{n}.avi 1\n" for n in MANY)
            for number in (1, 2, 3):
                (path / f"{label}_test_split{number}.txt").write_text(f"{train}{label}b.avi 2\n")
    elif path.suffix:
        path.write_bytes(b"")


def invent_shrunk_networks(results: Path) -> None:
    """What another dataset's run has made."""
    for network in ("r2plus1d", "slowfast"):
        models = [results / f"models/split1/{network}/none/cross_entropy/model"]
        models += [results / f"shrink/{network}/pas/iteration_{n}/selected" for n in range(1, 6)]
        for model in models:
            model.parent.mkdir(parents=True)
            model.with_suffix(".safetensors").touch()
            model.with_suffix(".json").touch()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_command_makes_what_the_head_promises(overlay: str, project: Project, tmp_path: Path) -> None:
    named: list[Path] = []
    for path in files_of(overlay):
        content = moved(yaml.safe_load(path.read_text()), tmp_path, named)
        (project.folder / path.name).write_text(yaml.safe_dump(content))
    for path in named:
        invent(path)
    invent_shrunk_networks(project.folder / MADE_BY_OTHERS)
    files = [path.name for path in files_of(overlay)]
    planned = project.snakemake("-n", "--cores", "2", "--configfile", *files, *command(overlay)).stdout
    drawn = set(re.findall(rf"results/{overlay}/(?:tables|figures|statistics|private)/(\w+)\.", planned))
    made = {PICTURES.get(name, name) for name in drawn}
    wanted = promised(head(overlay))
    assert wanted
    assert {name for name in made if re.fullmatch(r"(table|figure)_\d+_\d+", name)} == wanted
