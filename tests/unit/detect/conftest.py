"""What several tests of STAGE share: features, and a network trained on them."""

from pathlib import Path

import pytest

from tests.unit.detect.small_features import Data, settings


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def trained(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    data.train(path, settings())
    return path
