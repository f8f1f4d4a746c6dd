"""What several tests of anonymisation share, as it takes a minute: real faces from videos to an audit."""

from pathlib import Path

import pytest

from pipeline.config.whole import Config
from tests.unit.privacy.chain import run_chain


@pytest.fixture(scope="session")
def chain(config: Config, footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_chain(config, footage, tmp_path_factory.mktemp("chain"))
