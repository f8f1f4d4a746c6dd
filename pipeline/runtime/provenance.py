"""How a file was made: the task, its settings, its code, its inputs; and what was left out of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from pipeline.runtime.digest import code_digest


@dataclass(frozen=True)
class Quarantined:
    """A video that was left out: its id, the task that refused it, and the reason in words."""

    id: str
    task: str
    reason: str


@dataclass(frozen=True)
class Provenance:
    """What a file was made from. Holds no time, host or absolute path, so that equal runs give equal bytes.

    Args:
        task: Name of the task.
        settings: Canonical JSON of the settings that the task read.
        code: Digest of the code that the result depends on.
        inputs: Digest of each input by its role.
        weights: sha256 of each weights file by the model's name.
        packages: Names of the distributions whose versions matter; their versions are looked up.
    """

    task: str
    settings: str
    code: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()

    @property
    def content(self) -> dict[str, Any]:
        """As it is written into JSON."""
        return asdict(self) | {
            "settings": json.loads(self.settings),
            "packages": {name: version(name) for name in self.packages},
        }

    def to_json(self) -> str:
        return json.dumps(self.content, sort_keys=True)

    @property
    def digest(self) -> str:
        """sha256 over everything that decides the result: what an interrupted training must have in common."""
        content = asdict(self)
        del content["packages"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def provenance_of(
    module: str,
    settings: BaseModel | None = None,
    inputs: Mapping[str, str] | None = None,
    weights: Mapping[str, str] | None = None,
    packages: tuple[str, ...] = (),
) -> Provenance:
    """The provenance of what a task makes.

    Args:
        module: The task's module (``__name__``); it bears the task's name.
        settings: What the task read; None: nothing.
        inputs, weights, packages: As `Provenance` has them.
    """
    task = module.rpartition(".")[2]
    return Provenance(task, canonical(settings), code_digest(module), inputs or {}, weights or {}, packages)


def canonical(settings: BaseModel | None) -> str:
    """Sorted, compact JSON: equal settings give equal text, whatever their order in the file; of None ``{}``."""
    content = {} if settings is None else settings.model_dump(mode="json")
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def sha256_text(text: str) -> str:
    """The sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
