"""Processes that need not import torch, as they are forked from one that has: most of a tiny job is that import.

``python -m tests.workflow.warm SOCKET`` is the process that forks; `warm_python` starts it, and writes the ``python``
that Snakemake's jobs find in their PATH. A forked process has the arguments, environment, folder, streams and process
group of its client, which ends with its status.
"""

import atexit
import contextlib
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

from tests import PROJECT

# What jobs and Snakemake import of other packages; nothing of this project, as each copy of it has its own.
HEAVY = ("av", "h5py", "numpy", "PIL.Image", "pydantic", "snakemake.cli", "torch", "torch.utils.data", "yaml")

_SERVERS: list[subprocess.Popen[bytes]] = []  # whose standard inputs stay open

CLIENT = """#!{python} -ISE
import os, socket, sys
command = [{python!r}, *sys.argv[1:]]
# torchrun gives each of its processes a session of its own, which a forked one cannot join.
if sys.argv[1:3] not in (["-m", "pipeline"], ["-m", "snakemake"]) or "TORCHELASTIC_RUN_ID" in os.environ:
    os.execv(command[0], command)
import json
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = {{"command": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ), "group": os.getpgrp()}}
content = json.dumps(asked).encode()
socket.send_fds(server, [len(content).to_bytes(8, "big")], [0, 1, 2])
server.sendall(content)
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
    for program in Path(sys.executable).parent.iterdir():
        if program.name != "python":
            (folder / program.name).symlink_to(program)
    address, path = folder / "server", folder / "python"
    path.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    path.chmod(0o700)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.workflow.warm", address],
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
    selector = selectors.DefaultSelector()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        waiting: dict[int, tuple[int, socket.socket]] = {}
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    job = _fork(connection)
                    ended = os.pidfd_open(job)
                    waiting[ended] = job, connection
                    selector.register(ended, selectors.EVENT_READ)
                else:
                    selector.unregister(key.fd)
                    job, connection = waiting.pop(key.fd)
                    os.close(key.fd)
                    status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
                    with contextlib.suppress(OSError), connection:
                        connection.sendall(bytes([status if status >= 0 else 128 - status]))


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
