"""``python -m tests.unit.privacy.halting anonymize …``: `acta`, which halts after each frame until it is told to go on.

It writes the number of its process into the named pipe ``$BEGUN`` and then reads a byte from ``$GO_ON``. Its workers do
so too, as each of them imports the main module.
"""

import os
import sys
from pathlib import Path

from pipeline.cli import main
from pipeline.privacy import recordings_run as anonymize_run

_check_ended = anonymize_run.check_ended


def _halt() -> None:
    Path(os.environ["BEGUN"]).write_text(f"{os.getpid()}\n")
    with Path(os.environ["GO_ON"]).open("rb", buffering=0) as pipe:
        pipe.read(1)
    _check_ended()


anonymize_run.check_ended = _halt

if __name__ == "__main__":
    sys.exit(main())
