"""What `acta anonymize` is to do: one job for each file of the inputs, and what is left out with its reason."""

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.media.encode import CONTAINERS
from pipeline.media.suffixes import SUFFIXES
from pipeline.privacy.photograph import FORMATS
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import check_free, check_no_input

_STANDS_IN = ".mkv"  # for containers that are read but not written
_NOT_READ = (".heic", ".heif", ".avif", ".jxl", ".svg", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw")


@dataclass(frozen=True)
class Job:
    """One file to anonymise."""

    source: Path
    output: Path

    @property
    def is_photograph(self) -> bool:
        return self.source.suffix.lower() in FORMATS


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        jobs: In the order of the inputs.
        left_out: Files that cannot be done, with the reason.
        skipped: Jobs whose output is there already, where these are passed over.
        unknown: Files in folders that are neither videos nor photographs by name: how many of each suffix.
    """

    jobs: list[Job] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


def make_plan(inputs: list[Path], output: Path, *, overwrite: bool, skip_existing: bool, preview: bool) -> Plan:
    """Pair every input file with its output.

    Args:
        inputs: Files and folders.
        output: A file for one input file, else a folder; one that lies in an input folder is no input.
        overwrite: Existing outputs are replaced.
        skip_existing: Files with an existing output are not done again.
        preview: The outputs will show faces, so their names say so.

    Raises:
        ActaError: an input is missing, a folder holds nothing, or an output would be an input.
    """
    plan = Plan()
    pairs = list(dict.fromkeys(_pairs(inputs, output, plan, preview)))
    check_no_input((target for _, target in pairs), [*inputs, *(source for source, _ in pairs)])
    by_target: dict[Path, list[Path]] = defaultdict(list)
    for source, target in pairs:
        by_target[_place(target)].append(source)
    for source, target in pairs:
        others = [other for other in by_target[_place(target)] if other != source]
        if others:
            plan.left_out.append((source, f"its output {target} would also be that of {others[0]}; rename one"))
        elif skip_existing and target.is_file():
            plan.skipped.append(Job(source, target))
        else:
            try:
                check_free(target, overwrite=overwrite)
                plan.jobs.append(Job(source, target))
            except ActaError as error:
                plan.left_out.append((source, str(error)))
    return plan


def _pairs(inputs: list[Path], output: Path, plan: Plan, preview: bool) -> list[tuple[Path, Path]]:
    into_folder = len(inputs) > 1 or inputs[0].is_dir() or output.is_dir()
    if into_folder and output.exists() and not output.is_dir():
        raise ActaError(f"{output} is a file; several inputs, or a folder of them, need a folder to go to")
    pairs = []
    for path in inputs:
        if path.is_dir():
            files = _files(path, output, plan)
            if not files:
                known = " ".join(sorted({*SUFFIXES, *FORMATS}))
                raise ActaError(f"no videos or photographs in {path}; known suffixes: {known}")
            pairs += [(file, _named(output / file.relative_to(path), preview)) for file in files]
        elif not path.exists():
            raise ActaError(f"there is no {path}")
        elif path.suffix.lower() in _NOT_READ:
            raise ActaError(f"{path}: {path.suffix} is not read; supported photographs are {' '.join(FORMATS)}")
        else:
            pairs.append((path, _named(output / path.name, preview) if into_folder else output))
    if preview and not into_folder and Path(output.stem).suffix != ".preview":
        named = output.with_name(f"{output.stem}.preview{output.suffix}")
        raise ActaError(f"a preview shows faces, and its name has to say so: call it {named}")
    return pairs


def _files(folder: Path, output: Path, plan: Plan) -> list[Path]:
    """Videos and photographs below a folder, sorted; not below the output, nor what is hidden."""
    here = output.resolve() if output.resolve() != folder.resolve() else None
    files = []
    for place, folders, names in os.walk(folder, onerror=_raise):
        kept = []
        for name in folders:
            path = Path(place, name)
            if name.startswith(".") or path.resolve() == here:
                continue
            if path.is_symlink():
                plan.left_out.append((path, "a link to a folder is not followed; name it as an input"))
            kept.append(name)
        folders[:] = kept
        for name in names:
            suffix = Path(name).suffix.lower()
            if name.startswith("."):
                continue
            if suffix in SUFFIXES or suffix in FORMATS:
                files.append(Path(place, name))
            else:
                plan.unknown[suffix or "no suffix"] += 1
    return sorted(files)


def _raise(error: OSError) -> None:
    raise error


def _named(path: Path, preview: bool) -> Path:
    """An output's name in a folder: with a suffix that can be written, and for a preview with that word."""
    suffix = path.suffix if path.suffix.lower() in (*CONTAINERS, *FORMATS) else _STANDS_IN
    return path.with_name(f"{path.stem}{'.preview' if preview else ''}{suffix}")


def _place(path: Path) -> Path:
    """A path without links in its folders; the last part may be a link, which would be replaced itself."""
    return Path(os.path.realpath(path.parent), path.name)
