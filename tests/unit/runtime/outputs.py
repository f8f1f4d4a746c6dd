"""What can stand where an output is to be, and what names a process in temporary names."""

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.runtime.files import atomic

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text()
HERE = hashlib.sha256(f"{BOOT}{os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:12]
USER = "runs as root, and gives a process another user"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason=f"needs a second user: it {USER}")
NOBODY = 65534


def host() -> str:
    return socket.gethostname().split(".")[0]


def process(pid: int, host: str = host(), namespace: str = HERE) -> str:
    """What names a process in temporary names."""
    return f"{host}.{namespace}.{pid}"


def fail_while_writing(output: Path) -> None:
    with atomic(output) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError


def a_file(path: Path) -> None:
    path.write_text("precious")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    path.with_name("target").write_text("precious")
    path.symlink_to("target")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def a_circle(path: Path) -> None:
    path.symlink_to(path.name)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def failing(number: int) -> Callable[..., None]:
    """A function that fails with this error of the system."""

    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail
