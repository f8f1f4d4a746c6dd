"""Run a function over a shard's videos in worker processes: in order, bounded, one bad video costing one video.

A worker can die on a hostile file (a crash in a codec, the out-of-memory killer). The videos that were under way then
are tried again one by one, and the one on which a worker dies again is quarantined.
"""

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.progress import progress
from pipeline.runtime.provenance import Quarantined


class HasId(Protocol):
    @property
    def id(self) -> str: ...


ItemT = TypeVar("ItemT", bound=HasId)
ResultT = TypeVar("ResultT")


def available_cores() -> int:
    """Cores that this process may use (a Slurm job sees its own share)."""
    return len(os.sched_getaffinity(0))


def map_videos(
    function: Callable[[ItemT], ResultT], items: Sequence[ItemT], *, workers: int, task: str
) -> Iterator[ResultT | Quarantined]:
    """``function(item)`` for every item, in the order of ``items``.

    A `VideoError` becomes a `Quarantined`; any other exception ends the whole run. ``function`` must be picklable.
    """
    if workers < 1:
        raise ActaError(f"workers must be at least 1, not {workers}")
    yield from progress(_map_in_pools(function, items, workers, task), total=len(items), unit="videos", desc=task)


def make_all(function: Callable[[ItemT], ResultT], items: Sequence[ItemT], *, workers: int, task: str) -> list[ResultT]:
    """As `map_videos`, where no item may fail.

    Raises:
        ActaError: one did.
    """
    made: list[ResultT] = []
    for result in map_videos(function, items, workers=workers, task=task):
        if isinstance(result, Quarantined):
            raise ActaError(f"{result.id} could not be made: {result.reason}")
        made.append(result)
    return made


def _map_in_pools(
    function: Callable[[ItemT], ResultT], items: Sequence[ItemT], workers: int, task: str
) -> Iterator[ResultT | Quarantined]:
    done = 0
    while done < len(items):
        try:
            for result in _map_in_one_pool(function, items[done:], workers, task):
                yield result
                done += 1
        except BrokenProcessPool:
            for item in items[done : done + 2 * workers]:
                yield _alone(function, item, task)
                done += 1


def _map_in_one_pool(
    function: Callable[[ItemT], ResultT], items: Sequence[ItemT], workers: int, task: str
) -> Iterator[ResultT | Quarantined]:
    with _pool(min(workers, len(items)), function) as pool:
        pending: list[tuple[ItemT, Future[ResultT]]] = []
        rest = iter(items)
        try:
            while True:
                while len(pending) < 2 * workers and (item := next(rest, None)) is not None:
                    pending.append((item, pool.submit(function, item)))
                if not pending:
                    return
                item, future = pending.pop(0)
                yield _result(item, future, task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _alone(function: Callable[[ItemT], ResultT], item: ItemT, task: str) -> ResultT | Quarantined:
    with _pool(1, function) as pool:
        try:
            return _result(item, pool.submit(function, item), task)
        except BrokenProcessPool:
            return Quarantined(item.id, task, "the worker process died on this video (a crash, or out of memory)")


def _result(item: ItemT, future: "Future[Any]", task: str) -> ResultT | Quarantined:
    try:
        return future.result()
    except VideoError as error:
        return Quarantined(item.id, task, str(error))


def _pool(workers: int, function: Callable[..., Any]) -> ProcessPoolExecutor:
    """Workers forked from a server that has imported the function's module once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([getattr(function, "func", function).__module__])
    return ProcessPoolExecutor(workers, context, _start_worker)


def _start_worker() -> None:
    """One thread a worker: parallelism is across videos, and results do not depend on the number of threads."""
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"


def good_results(
    results: Iterator[Any], quarantine: list[Quarantined], max_bad_fraction: float, total: int, task: str
) -> Iterator[Any]:
    """The good results as they come; quarantined ones are added to ``quarantine``.

    Raises:
        ActaError: as soon as more than ``max_bad_fraction`` of ``total`` videos, and more than one, are bad.
    """
    bad: list[Quarantined] = []
    for number, result in enumerate(results, 1):
        if not isinstance(result, Quarantined):
            yield result
            continue
        bad.append(result)
        quarantine.append(result)
        if len(bad) > max(1, math.floor(max_bad_fraction * total + 1e-9)):
            some = "\n".join(f"  {entry.id}: {entry.reason}" for entry in bad[:10])
            raise ActaError(
                f"{task}: {len(bad)} of the first {number} videos (of {total}) are bad, more than "
                f"data.max_bad_fraction = {max_bad_fraction} allows:\n{some}"
            )


def split_results(
    results: Iterator[Any], max_bad_fraction: float, total: int, task: str
) -> tuple[list[Any], list[Quarantined]]:
    """Part good results from quarantined ones; errors as for `good_results`."""
    bad: list[Quarantined] = []
    return list(good_results(results, bad, max_bad_fraction, total, task)), bad
