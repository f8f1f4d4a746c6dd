"""What several tests of annotations share."""

from pathlib import Path

import pytest

from tests.unit.detect.annotation.made import write_jhmdb, write_ucf


@pytest.fixture
def jhmdb(tmp_path: Path) -> Path:
    return write_jhmdb(tmp_path / "jhmdb")


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    return write_ucf(tmp_path / "ucf")
