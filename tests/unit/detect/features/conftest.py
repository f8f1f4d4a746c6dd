"""What several tests of features share: published files, and videos as the workflow stores them."""

from pathlib import Path

import pytest

from tests.unit.detect.features.drawn import write_drawn
from tests.unit.detect.features.filmed import Filmed
from tests.unit.detect.features.published_files import Made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.fixture(scope="session")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    return Filmed(tmp_path_factory.mktemp("filmed"))


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return write_drawn(tmp_path)
