"""The documentation is true: its commands run, its links lead somewhere, its messages are those of the code.

A fenced block of bash is run in a copy of the project, page by page, unless the line before it says why not:

- ``<!-- needs data -->``, ``<!-- needs a cluster -->``, ``<!-- needs a network -->``: acta's options are parsed, and
  the configuration files that Snakemake is given must be there.
- ``<!-- long -->``: also, Snakemake and make plan what they would do.
- ``<!-- tiny networks -->``: parsed too; `tests.workflow.test_own_gpus` runs the whole page with tiny networks.
"""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import pytest
import yaml

import pipeline.spot.video  # noqa: F401  # cv2 changes the environment when it is imported
from pipeline.cli import parse
from tests import PROJECT
from tests.clips import numbered_image, write_clip
from tests.workflow.project import Project

PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "config/README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
]
PARSED = {"needs data", "needs a cluster", "needs a network", "tiny networks"}
KINDS = {"long", *PARSED}
RECOGNITION = "results/demo/models/split1/r2plus1d/none/cross_entropy/model.safetensors"
STAGE = "results/demo/detect/networks/i3d/stage/seed_1/model.safetensors"
SPOTTER = "results/demo/spot/networks/rms_net/seed_1/model.safetensors"
GAME = "league/2014-2015/A 1 - 1 B"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: where its text begins, its language, and what the line before it says."""

    page: Path
    line: int
    language: str
    marker: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text().splitlines()
    number = 0
    while number < len(lines):
        fence = re.fullmatch(r"( *)```(\w*)", lines[number])
        if not fence:
            number += 1
            continue
        above = re.fullmatch(r"\s*<!-- (.*) -->", lines[number - 1]) if number else None
        end = lines.index(f"{fence[1]}```", number + 1)
        text = "\n".join(line.removeprefix(fence[1]) for line in lines[number + 1 : end])
        yield Block(page, number + 2, fence[2], above[1] if above else None, text)
        number = end + 1


def commands(block: Block) -> list[list[str]]:
    """The words of each command of a block, without comments."""
    found = []
    for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split, words.commenters = True, "#"
        command: list[str] = []
        for word in [*words, ";"]:
            if word and set(word) <= set(";|&"):
                found += [command] if command else []
                command = []
            else:
                command.append(word)
    return found


BASH = [block for page in PAGES for block in blocks(page) if block.language == "bash"]
MARKED = [block for block in BASH if block.marker]
RUN = {page: [block for block in BASH if block.page == page and not block.marker] for page in PAGES}


# ---- what the commands are given: the files that the pages name, made small


def _clip(path: Path) -> None:
    write_clip(path, frames=15, audio=True)


def _photograph(path: Path) -> None:
    cv2.imwrite(str(path), numbered_image(1)[..., ::-1])


def _recordings(path: Path) -> None:
    _clip(path / "monday.mp4")


def _videos(path: Path) -> None:
    """Six clips of 12 to 17 frames in two classes: four train, two are for the test."""
    for number, name in enumerate(
        ("train/run/a", "train/run/b", "train/walk/c", "train/walk/d", "test/run/e", "test/walk/f")
    ):
        write_clip(path / f"{name}.mp4", frames=12 + number, audio=True)


def _half(path: Path) -> None:
    write_clip(path, frames=130, rate=10, audio=True)


def _ini(path: Path) -> None:
    path.write_text("".join(f"[{half}_HQ.mkv]\nstart_time_second = 0.5\nduration_second = 12\n" for half in (1, 2)))


def _events(path: Path) -> None:
    from pipeline.spot.events import Spot
    from pipeline.spot.soccernet_files import write_prediction_file

    write_prediction_file(path, GAME, [Spot(1, 4.0, "soccer", 0.9), Spot(2, 6.0, "card", 0.8)])


def _recognition(path: Path) -> None:
    from pipeline.config.classify import ViewSettings
    from pipeline.models.architecture import Architecture
    from pipeline.models.backbones import build
    from pipeline.models.classifier_file import Description, save_model

    architecture = Architecture("r2plus1d_18", 2, 0.05, (1, 1, 1, 1), 4)
    view = ViewSettings(size=(18, 24), short_side=None, crop=16)
    save_model(path, build(architecture), Description(architecture, ["run", "walk"], "none", 5.0, view, {}))


def _stage(path: Path) -> None:
    """STAGE with the backbone and the detector that belong to it, where the workflow puts them."""
    from pipeline.detect.stage_file import StageDescription, save_stage
    from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone, save_actor_backbone
    from pipeline.models.object_detector import ObjectDetector, build_detector, save_detector
    from pipeline.models.stage import Stage
    from pipeline.models.stage_architecture import StageArchitecture

    folder, actions = path.parents[4], ["stand", "wave"]
    for made in ("detector", "backbones/i3d"):
        (folder / made).mkdir(parents=True)
    detector = ObjectDetector("mobilenet_v2_fpn", ("person", "ball"), 64, 16)
    save_detector(folder / "detector/model.safetensors", build_detector(detector), detector, {})
    backbone = ActorBackbone("i3d", len(actions), 0.125, 5)
    save_actor_backbone(
        folder / "backbones/i3d/model.safetensors", build_actor_backbone(backbone), backbone, actions, {}
    )
    architecture = StageArchitecture(backbone.feature_size, 16, len(actions), heads=2)
    save_stage(path, Stage(architecture), StageDescription(architecture, actions, "sigmoid", 6, 1.0, 0.0, {}))


def _spotter(path: Path) -> None:
    """An RMS-Net on pictures that is sure of a goal in each of its short clips."""
    import torch

    from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
    from pipeline.spot.spotter_file import SpotterDescription, save_spotter

    architecture = RmsNetArchitecture(3, 3, 5, None, (8, 8), 3, 0.0, 4, True, "mobilenet_v2")
    frames = {"convert": None, "rate": 2.0, "stored": {"size": [32, 48], "jpeg_quality": 90}}
    network = RmsNet(architecture)
    with torch.no_grad():
        network.classify.bias[0] = 10.0
    save_spotter(path, network, SpotterDescription(architecture, 1, 2.0, "frames", frames, None, None, {}))


def _label_map(path: Path) -> None:
    path.write_text('item {\n  name: "stand"\n  id: 12\n}\n')


def _truth(path: Path) -> None:
    path.write_text("v,0902,0.0,0.0,0.5,1.0,12,0\nv,0903,0.1,0.1,0.9,0.9,12,0\n")


def _found(path: Path) -> None:
    path.write_text("v,902,0.0,0.0,0.5,1.0,12,0.9\n")


def _excluded(path: Path) -> None:
    path.write_text("v,0904\n")


def _games(path: Path) -> None:
    league, season, game = GAME.split("/")
    path.write_text(json.dumps({league: {season: [game]}}))


def _labels(path: Path) -> None:
    (path / GAME).mkdir(parents=True)
    event = {"gameTime": "1 - 00:10", "label": "Goal", "position": "10000", "visibility": "visible"}
    (path / GAME / "Labels-v2.json").write_text(json.dumps({"annotations": [event]}))


def _results(path: Path) -> None:
    row = {"gameTime": "1 - 00:10", "label": "Goal", "position": "10000", "half": "1", "confidence": "0.5"}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{GAME}/results_spotting.json", json.dumps({"UrlLocal": GAME, "predictions": [row]}))


GIVEN: dict[str, Callable[[Path], None]] = {
    "in.mp4": _clip,
    "clip.mp4": _clip,
    "photo.jpg": _photograph,
    "recordings/": _recordings,
    "my_videos/": _videos,
    "1_HQ.mkv": _half,
    "2_HQ.mkv": _half,
    "video.ini": _ini,
    "events.json": _events,
    RECOGNITION: _recognition,
    STAGE: _stage,
    SPOTTER: _spotter,
    "labels.pbtxt": _label_map,
    "ava_val_v2.1.csv": _truth,
    "ava_val_v2.2.csv": _truth,
    "found.csv": _found,
    "excluded.csv": _excluded,
    "SoccerNetGamesTest.json": _games,
    "SoccerNetGamesChallenge.json": _games,
    "soccernet/": _labels,
    "results.zip": _results,
}


class Copy(Project):
    """A copy of the project as somebody has it who installed it, with the files that a page's commands are given."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        for name in ("docs", "benchmarks"):
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(PROJECT / name, folder / name)
        # This environment, which make takes for newly installed.
        (folder / ".venv").mkdir()
        for part in Path(sys.prefix).iterdir():
            if part.name != "installed":
                (folder / ".venv" / part.name).symlink_to(self.python.parent if part.name == "bin" else part)
        (folder / ".venv/installed").touch()

    def give(self, text: str) -> None:
        """Make what a text names and does not write itself, with its folder."""
        for name, make in GIVEN.items():
            named = rf"(?<![\w/.-]){re.escape(name)}"
            if re.search(named, text) and not re.search(f"-o {named}", text) and not (self.folder / name).exists():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                make(self.folder / name)

    def bash(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a text in the copy; its code is what ``acta`` and jobs import."""
        # Nothing of this run's own make or profile; and where there is a screen, `make report` opens a browser.
        left_out = {"SNAKEMAKE_PROFILE", "MAKEFLAGS", "MAKELEVEL", "DISPLAY", "WAYLAND_DISPLAY"}
        environment = {k: v for k, v in os.environ.items() if k not in left_out}
        environment["PATH"] = f"{self.python.parent}:{self.folder / '.venv/bin'}:{environment['PATH']}"
        environment["PYTHONPATH"] = str(self.folder)
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def planning(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy in which commands are planned, not run."""
    copy = Copy(tmp_path_factory.mktemp("planning"))
    (copy.folder / "my.yaml").write_text("dataset: demo\n")
    return copy


# ---- blocks


@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]], ids=lambda page: page.stem)
def test_commands_run(page: Path, tmp_path: Path) -> None:
    copy = Copy(tmp_path / "acta")
    copy.give("\n".join(block.text for block in RUN[page]))
    for block in RUN[page]:
        done = copy.bash(block.text)
        assert done.returncode == 0, f"{block}\n{block.text}\n{done.stdout[-4000:]}"


@pytest.mark.parametrize("block", MARKED, ids=str)
def test_what_cannot_run_here_is_right_as_far_as_can_be_told(block: Block, planning: Copy) -> None:
    assert block.marker in KINDS, f"{block}: <!-- {block.marker} --> is none of {', '.join(sorted(KINDS))}"
    for command in commands(block):
        words = command[command.index("pipeline") :] if command[:2] == ["python", "-m"] else command
        match words[0]:
            case "acta" | "pipeline":
                parse(words[1:])  # exits where an option or a command is wrong
            case "snakemake":
                _check_files(block, words)
                if block.marker == "long":
                    _plan(planning, tuple(words))
            case "make":
                _plan(planning, tuple(words))


def _check_files(block: Block, words: list[str]) -> None:
    for word in words:
        if word.startswith(("config/", "profiles/")):
            assert (PROJECT / word).exists(), f"{block}: there is no {word}"


_PLANNED: set[tuple[str, ...]] = set()


def _plan(copy: Copy, words: tuple[str, ...]) -> None:
    if words in _PLANNED:
        return
    planned = copy.bash(shlex.join([words[0], "-n", *words[1:]]))
    assert planned.returncode == 0, f"{' '.join(words)}\n{planned.stdout[-4000:]}"
    _PLANNED.add(words)


def test_without_a_target_videos_are_anonymised(planning: Copy) -> None:
    rules = planning.planned_rules()
    assert rules["obfuscate"] == 4, "two shards, faces and bodies"
    assert rules["certify"] == 2
    assert rules["train_classifier"] == 0


def test_all_commands_are_in_blocks_that_are_looked_at() -> None:
    """No block of commands escapes by the name of its language."""
    named = {(str(block), block.language) for page in PAGES for block in blocks(page)}
    assert {language for _, language in named} <= {"bash", "python", "yaml", "text", ""}
    plain = [block for page in PAGES for block in blocks(page) if block.language == ""]
    assert not [str(block) for block in plain if re.search(r"^(acta|snakemake|make|python) ", block.text, re.MULTILINE)]


def _checks() -> list[tuple[Block, str]]:
    """On the page of data sets: what a check prints where nothing is there yet stands below it."""
    found = []
    below = list(blocks(PROJECT / "docs/datasets.md"))
    for block, answer in pairwise(below):
        if block.language == "bash" and answer.language == "text":
            found.append((block, answer.text))
    return found


@pytest.mark.skipif(Path("/datasets").exists(), reason="there are data sets in /datasets, so none is missing")
@pytest.mark.parametrize(
    ("block", "answer"), _checks(), ids=lambda value: str(value) if isinstance(value, Block) else ""
)
def test_missing_data_are_told_as_the_page_says(block: Block, answer: str, planning: Copy) -> None:
    asked = planning.bash(shlex.join(commands(block)[0]))
    assert asked.returncode != 0
    assert answer in asked.stdout


# ---- links and messages


def _anchors(page: Path) -> set[str]:
    """Headings as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in _anchors(found), f"{page.name} links to {target}, but {found.name} has no such heading"


def test_every_page_is_in_the_index() -> None:
    index = (PROJECT / "docs/index.md").read_text()
    assert [page.name for page in (PROJECT / "docs").glob("*.md") if f"({page.name})" not in index] == ["index.md"]


def test_readme_is_two_screens() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 100


@cache
def _texts() -> list[str]:
    """Every text of the code, with … for what is filled in; of Snakemake's files and the Makefile the whole."""
    texts = [path.read_text() for path in [*PROJECT.glob("workflow/**/*.smk"), PROJECT / "Makefile"]]
    for path in (PROJECT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))  # type: ignore[misc]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def _messages() -> list[str]:
    """First cells of the tables of docs/troubleshooting.md, but of those that are not the code's own."""
    text = (PROJECT / "docs/troubleshooting.md").read_text()
    text = re.sub(r"^Snakemake's own messages:.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)
    found = []
    for row in re.findall(r"^\| (`.*?) \| ", text, re.MULTILINE):
        found += [double or single for double, single in re.findall(r"``(.+?)``(?!`)|`([^`]+)`", row)]
    return found


@pytest.mark.parametrize("message", _messages())
def test_messages_are_the_codes(message: str) -> None:
    parts = [part for part in message.split("…") if part]
    wanted = re.compile(".*?".join(map(re.escape, parts)), re.DOTALL)
    assert any(wanted.search(text) for text in _texts()), f"no text of the code is like {message!r}"


# ---- what registries read


def test_catalogue_and_citation() -> None:
    catalogue = yaml.safe_load((PROJECT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(catalogue) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert catalogue["software-stack-deployment"]["conda"] == any((PROJECT / "envs").glob("*.yaml"))
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    about = (PROJECT / "pyproject.toml").read_text()
    assert f'version = "{citation["version"]}"' in about
    assert citation["preferred-citation"]["type"] == "thesis"
    assert [reference["notes"] for reference in citation["references"]] == [f"Chapter {n}" for n in (3, 4, 5, 6)]
