"""A private Slurm cluster for the tests of this folder, which are skipped where Slurm is not installed."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, is_installed


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if not is_installed():
        if os.environ.get("ACTA_NEEDS_SLURM"):
            pytest.fail("ACTA_NEEDS_SLURM is set, but slurmctld, slurmd, munge, unshare or ip is missing")
        pytest.skip("Slurm is not installed: apt install slurmctld slurmd slurm-client munge iproute2")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp") as folder:
        private = Cluster(Path(folder, "c"))
        try:
            private.start()
            yield private
        finally:
            private.stop()
