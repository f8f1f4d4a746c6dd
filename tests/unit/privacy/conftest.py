"""What several tests of anonymisation share, as it takes a minute: faces from videos to an audit, frames with faces."""

from pathlib import Path

import av
import pytest

from pipeline.config.whole import Config
from tests.unit.privacy.chain import run_chain


@pytest.fixture(scope="session")
def chain(config: Config, footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_chain(config, footage, tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="session")
def speech(footage: Path) -> list[av.VideoFrame]:
    with av.open(str(footage / "giving_speech/obama_speech.mp4")) as container:
        return [frame for k, frame in enumerate(container.decode(video=0)) if k % 35 == 0]
