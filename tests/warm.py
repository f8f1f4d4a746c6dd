"""Processes that need not import torch, as they are forked from one that has: most of a tiny job is that import.

``python -m tests.warm SOCKET`` is the process that forks; `warm_python` starts it, and writes the ``python`` that
Snakemake's jobs find in their PATH, with ``snakemake`` and ``acta`` next to it. A forked process has the arguments,
environment, folder, umask, streams and process group of its client, gets its signals and is killed when it is; the
client ends with its status.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests import PROJECT

# What jobs and Snakemake import of other packages; nothing of this project, as each copy of it has its own.
HEAVY = (
    "av",
    "h5py",
    "matplotlib.figure",
    "numpy",
    "PIL.Image",
    "pydantic",
    "scipy.stats",
    "snakemake.cli",
    "torch",
    "torch.utils.data",
    "torch.utils.tensorboard",
    "torchvision.ops",
    "yaml",
)

MODULES = ("pipeline", "snakemake", "tests.whole_run")
PROGRAMS = {"acta": "pipeline", "snakemake": "snakemake"}

_SERVERS: list[subprocess.Popen[bytes]] = []  # whose standard inputs stay open

CLIENT = """#!{python} -ISE
import os, signal, socket, sys
command = [{python!r}, *sys.argv[1:]]
# torchrun gives each of its processes a session of its own, which a forked one cannot join.
if sys.argv[1:2] != ["-m"] or sys.argv[2] not in {modules!r} or "TORCHELASTIC_RUN_ID" in os.environ:
    os.execv(command[0], command)
import json
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = {{"command": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}}
asked |= {{"group": os.getpgrp(), "umask": os.umask(0)}}
content = json.dumps(asked).encode()
socket.send_fds(server, [len(content).to_bytes(8, "big")], [0, 1, 2])
server.sendall(content)
job = int.from_bytes(server.recv(8), "big")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: os.kill(job, number))
status = server.recv(1)
sys.exit(status[0] if status else 1)
"""


@cache
def warm_python() -> Path:
    """The ``python`` whose jobs are forked, next to the other programs of this environment.

    Their server ends with this process, which holds its standard input.
    """
    folder = Path(tempfile.mkdtemp(prefix="acta-warm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address, path = folder / "server", folder / "python"
    for program in Path(sys.executable).parent.iterdir():
        if program.name in PROGRAMS:
            (folder / program.name).write_text(f'#!/bin/sh\nexec {path} -m {PROGRAMS[program.name]} "$@"\n')
            (folder / program.name).chmod(0o700)
        elif program.name != "python":
            (folder / program.name).symlink_to(program)
    path.write_text(CLIENT.format(python=sys.executable, modules=MODULES, address=str(address)))
    path.chmod(0o700)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", address],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    _SERVERS.append(server)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "the server of warm processes did not start"
    return path


def serve(address: str) -> None:
    """Fork a job for each client, until standard input ends."""
    for name in HEAVY:
        __import__(name)
    gc.freeze()
    selector = selectors.DefaultSelector()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        jobs: dict[int, _Job] = {}  # by both of their file descriptors
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    number = _fork(connection)
                    job = _Job(number, os.pidfd_open(number), connection)
                    with contextlib.suppress(OSError):
                        connection.sendall(number.to_bytes(8, "big"))
                    for place in (job.ended, connection.fileno()):
                        jobs[place] = job
                        selector.register(place, selectors.EVENT_READ)
                elif key.fd in jobs:
                    job = jobs.pop(key.fd)
                    selector.unregister(key.fd)
                    if key.fd == job.ended:
                        _report(job, jobs, selector)
                    else:  # the client was killed
                        os.kill(job.number, signal.SIGKILL)


class _Job(NamedTuple):
    """A forked process: its number, a file descriptor that is readable once it has ended, and its client."""

    number: int
    ended: int
    connection: socket.socket


def _report(job: _Job, jobs: dict[int, _Job], selector: selectors.BaseSelector) -> None:
    """Tell its client how a job has ended."""
    os.close(job.ended)
    status = os.waitstatus_to_exitcode(os.waitpid(job.number, 0)[1])
    if jobs.pop(job.connection.fileno(), None):
        selector.unregister(job.connection)
    with contextlib.suppress(OSError), job.connection:
        job.connection.sendall(bytes([status if status >= 0 else 128 - status]))


def _fork(connection: socket.socket) -> int:
    """The process of a client's job."""
    head, streams, *_ = socket.recv_fds(connection, 8, 3)
    size, content = int.from_bytes(head, "big"), b""
    while len(content) < size:
        content += connection.recv(size - len(content))
    job = os.fork()
    if job:
        for stream in streams:
            os.close(stream)
        return job
    status = 1
    try:
        status = _run(json.loads(content), streams)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _run(asked: dict, streams: list[int]) -> int:
    """Be the command that was asked for, as if it had just been started."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 256)
    os.umask(asked["umask"])
    os.setpgid(0, asked["group"])  # an error if the client's whole group was killed meanwhile
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    module, *arguments = asked["command"]
    own = [place for place in os.environ.get("PYTHONPATH", "").split(":") if place]
    sys.path[:] = [*own, *(place for place in sys.path if place not in ("", *own))]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
