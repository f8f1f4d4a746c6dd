"""Libraries write to descriptor 2 themselves; only this program's own lines are shown."""

import subprocess
import sys

CODE = """
import os, sys
from pipeline.runtime.quiet import quiet_libraries
os.write(2, b"before ")
with quiet_libraries():
    os.write(2, b"noise ")
    print("ours", end=" ", file=sys.stderr)
    os.system("echo noise >&2")
os.write(2, b"after ")
print("end", file=sys.stderr)
"""


def test_only_our_own_lines_are_shown() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.stderr == "before ours after end\n"


def test_where_standard_error_is_no_descriptor_nothing_is_done(monkeypatch, capfd) -> None:
    import io
    import os

    from pipeline.runtime.quiet import quiet_libraries

    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    with quiet_libraries():
        print("ours", file=sys.stderr)
        os.write(2, b"noise")
    assert text.getvalue() == "ours\n"
    assert capfd.readouterr().err == "noise"
