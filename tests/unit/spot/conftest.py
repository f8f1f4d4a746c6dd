"""What several tests of spotting share, as each takes seconds: games, and networks trained on them."""

from pathlib import Path

import pytest

from tests.unit.spot.feature_shards import write_games
from tests.unit.spot.small_games import FEW, Data, settings


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def trained(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    data.train(path, settings(network__training__epochs=16, network__training__patience=4))
    return path


@pytest.fixture(scope="session")
def few(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("few") / "model.safetensors"
    data.train(path, settings(**FEW))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return write_games(tmp_path)
