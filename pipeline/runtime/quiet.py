"""Keep standard error for this program: drop what C libraries print there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.runtime.shown import guard


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drop what is written to descriptor 2 behind Python's back as long as the block runs.

    Where `sys.stderr` is not that descriptor (a test, a notebook), nothing is done.
    """
    if sys.stderr is not sys.__stderr__ or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    before = sys.stderr
    kept = os.dup(before.fileno())
    ours = open(kept, "w", encoding=before.encoding, errors=before.errors, buffering=1, closefd=False)  # noqa: SIM115
    guard(ours)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), before.fileno())
    sys.stderr = ours
    try:
        yield
    finally:
        ours.flush()
        os.dup2(kept, before.fileno())
        sys.stderr = before
        os.close(kept)
