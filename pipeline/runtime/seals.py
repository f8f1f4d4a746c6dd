"""The digest that JSON files carry, so that damage is found when they are read, and what to do about damage."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline.runtime.errors import ActaError

KEY = "acta_sha256"
_DIGITS = 64


def sealed(content: Any) -> Any:
    """Content as it is written: an object gets the digest of all else that it holds, as its last key."""
    if not isinstance(content, dict):
        return content
    plain = {key: value for key, value in content.items() if key != KEY}
    return {**plain, KEY: digest_of(plain)}


def unsealed(content: Any, path: Path | str) -> Any:
    """Content as it was before `sealed`; what has no digest, as files of other programs, stays as it is.

    Raises:
        ActaError: it is not what was written.
    """
    if not isinstance(content, dict) or not content:
        return content
    *_, key = content if KEY not in content else (KEY,)
    rest = {name: value for name, value in content.items() if name != key}
    matches = isinstance(content[key], str) and len(content[key]) == _DIGITS and content[key] == digest_of(rest)
    if key != KEY and not matches:
        return content
    if key != KEY or not matches:  # the key itself, or anything else
        raise ActaError(f"{path} is damaged or was edited: it does not have its digest {KEY}; {make_again(path)}")
    return rest


def digest_of(content: Any) -> str:
    """sha256 of what JSON says, whatever its layout and the order of keys."""
    # The first pass makes of keys and tuples what reading will make of them.
    return hashlib.sha256(json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode()).hexdigest()


def make_again(path: Path | str) -> str:
    """What to do about a damaged file that a task has made."""
    return f"make it again (in a workflow: snakemake --force {path})"
