"""A run of the shipped configuration with two shards of each kind and four games."""

import pytest

from pipeline.config.whole import Config
from pipeline.dag.run import Run

SHARDS = ("0-of-2", "1-of-2")
GAMES = {"train": ["a"], "valid": ["b"], "test": ["c", "d"]}


@pytest.fixture(scope="session")
def run(config: Config) -> Run:
    return Run(config, SHARDS, SHARDS, GAMES)
