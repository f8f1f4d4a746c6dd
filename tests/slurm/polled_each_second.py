"""Snakemake with a status check every second, which the plugin lets grow to three minutes: for tests only."""

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def _one_second(self: RemoteExecutor) -> None:
    await asyncio.sleep(1)


RemoteExecutor.sleep = _one_second
main(sys.argv[1:])
