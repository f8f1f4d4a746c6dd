"""A copy of the project in a temporary folder, with a few clips, on which the real Snakemake is run."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests import PROJECT
from tests.clips import write_clip
from tests.warm import warm_python

PARTS = ("Snakefile", "config.yaml", "config", "workflow", "pipeline", "profiles", "envs")


class Project:
    """The copy, its configuration, and what Snakemake would do or does there.

    Args:
        folder: Where it is made.
        warm: Snakemake and its jobs are forked from a process that has imported torch (`tests.warm`), in a
            third of the time. False: each starts by itself, as with a user.
    """

    def __init__(self, folder: Path, *, warm: bool = True):
        self.folder = folder
        self.python = warm_python() if warm else Path(sys.executable)
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            source = PROJECT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, symlinks=True)
            else:
                shutil.copy(source, folder / part)

    def configure(self, **changes: Any) -> None:
        """Change settings, named by their path with double underscores (``frames__size=64``)."""
        path = self.folder / "config.yaml"
        settings = json.loads(json.dumps(yaml.safe_load(path.read_text())))  # without shared parts
        for name, value in changes.items():
            *parents, key = name.split("__")
            place = settings
            for parent in parents:
                place = place[parent]
            place[key] = value
        path.write_text(yaml.safe_dump(settings, sort_keys=False))

    @contextlib.contextmanager
    def restored(self) -> Iterator["Project"]:
        """Undo changes of the configuration at the end."""
        kept = (self.folder / "config.yaml").read_text()
        yield self
        (self.folder / "config.yaml").write_text(kept)

    def use_two_classes(self) -> None:
        """Write and configure six clips of 12 to 17 frames: two classes, four for training and two for the test."""
        videos = ("train/run/a", "train/run/b", "train/walk/c", "train/walk/d", "test/run/e", "test/walk/f")
        for number, video in enumerate(videos):
            write_clip(self.folder / "videos" / f"{video}.mp4", frames=12 + number)
        self.configure(
            dataset="clips",
            data__adapter="folder",
            data__root="videos",
            data__shards=2,
            sampling__rate=None,
            frames__size=64,
            classify__compare=[],
        )

    def _process(self, arguments: tuple[str, ...]) -> dict[str, Any]:
        environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
        environment["PATH"] = f"{self.python.parent}:{environment['PATH']}"
        return {"args": [self.python, "-m", "snakemake", *arguments], "cwd": self.folder, "env": environment}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start Snakemake in a process group of its own, in which all its jobs are; `kill` ends it."""
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(**self._process(arguments), **silent, process_group=0)

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to Snakemake and all of its jobs."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            while True:  # until nothing is left, nor has joined meanwhile
                os.killpg(process.pid, signal.SIGKILL)

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the copy."""
        result = subprocess.run(
            **self._process(arguments),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode:
            raise AssertionError(f"snakemake {' '.join(arguments)} failed:\n{result.stdout}\n{result.stderr}")
        return result

    def run(self, *arguments: str) -> None:
        """Run the whole workflow."""
        self.snakemake("--cores", "2", *arguments)

    def planned(self, *arguments: str) -> list[tuple[str, dict[str, str]]]:
        """The jobs of a dry run, as (rule, wildcards); the target `all` is left out."""
        output = self.snakemake("-n", "--cores", "2", *arguments).stdout
        jobs = []
        for block in re.split(r"\n(?=(?:local)?rule )", output):
            head = re.match(r"(?:local)?rule (\w+):", block)
            if head and head[1] != "all":
                found = re.search(r"^    wildcards: (.*)$", block, re.MULTILINE)
                pairs = (pair.split("=", 1) for pair in found[1].split(", ")) if found else ()
                jobs.append((head[1], dict(pairs)))
        return jobs

    def planned_rules(self, *arguments: str) -> Counter[str]:
        """How many jobs of each rule a dry run plans."""
        return Counter(rule for rule, _ in self.planned(*arguments))
