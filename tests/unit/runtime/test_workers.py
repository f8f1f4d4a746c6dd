"""Worker processes: results in order, and what one bad video may cost."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.provenance import Quarantined
from pipeline.runtime.workers import available_cores, good_results, map_videos, split_results

DIED = "the worker process died on this video (a crash, or out of memory)"


@dataclass(frozen=True)
class Item:
    id: str
    does: str = "work"


def work(item: Item) -> str:
    match item.does:
        case "refuse":
            raise VideoError(f"{item.id} is damaged")
        case "break":
            raise ZeroDivisionError(item.id)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
    return item.id.upper()


def worker_pid(item: Item) -> int:
    return os.getpid()


def opencv_threads(item: Item) -> int:
    import cv2

    return cv2.getNumThreads()


def items(count: int, **special: str) -> list[Item]:
    """``v0`` to ``v9`` and so on; ``special`` says which of them do something else."""
    return [Item(f"v{k}", special.get(f"v{k}", "work")) for k in range(count)]


def run(videos: list[Item], workers: int = 2) -> list[str | Quarantined]:
    return list(map_videos(work, videos, workers=workers, task="frames"))


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    assert run(items(20), workers) == [f"V{k}" for k in range(20)]


def test_no_items_give_no_results() -> None:
    assert run([]) == []


def test_work_is_done_in_other_processes() -> None:
    assert os.getpid() not in list(map_videos(worker_pid, items(3), workers=2, task="frames"))


def test_a_worker_uses_one_thread() -> None:
    assert list(map_videos(opencv_threads, items(1), workers=1, task="frames")) == [1]


def test_video_error_costs_its_video_only() -> None:
    assert run(items(5, v2="refuse")) == ["V0", "V1", Quarantined("v2", "frames", "v2 is damaged"), "V3", "V4"]


def test_any_other_exception_ends_the_run() -> None:
    results = map_videos(work, items(5, v2="break"), workers=2, task="frames")
    assert [next(results), next(results)] == ["V0", "V1"]
    with pytest.raises(ZeroDivisionError, match="v2"):
        next(results)


@pytest.mark.parametrize(("workers", "victim"), [(1, 0), (2, 3), (2, 6)])
def test_a_killed_worker_costs_its_video_only(workers: int, victim: int) -> None:
    expected: list[str | Quarantined] = [f"V{k}" for k in range(7)]
    expected[victim] = Quarantined(f"v{victim}", "frames", DIED)
    assert run(items(7, **{f"v{victim}": "die"}), workers) == expected


def test_every_deadly_video_is_found() -> None:
    """Two next to each other, and one further than what was under way when the first one struck."""
    found = run(items(9, v1="die", v2="die", v8="die"), workers=1)
    assert [k for k, result in enumerate(found) if result == Quarantined(f"v{k}", "frames", DIED)] == [1, 2, 8]
    assert [result for result in found if isinstance(result, str)] == ["V0", "V3", "V4", "V5", "V6", "V7"]


def test_bad_and_deadly_videos_together() -> None:
    assert run(items(3, v0="die", v1="refuse"), workers=1) == [
        Quarantined("v0", "frames", DIED),
        Quarantined("v1", "frames", "v1 is damaged"),
        "V2",
    ]


@pytest.mark.parametrize("workers", [0, -1])
def test_number_of_workers_must_be_positive(workers: int) -> None:
    with pytest.raises(ActaError, match=f"workers must be at least 1, not {workers}"):
        run(items(1), workers)


def test_available_cores_are_those_of_this_process() -> None:
    assert available_cores() == len(os.sched_getaffinity(0))


# ---- how many may be bad


def mixed(total: int, bad: int) -> Iterator[str | Quarantined]:
    """The bad ones come first."""
    for k in range(total):
        yield Quarantined(f"v{k}", "frames", "damaged") if k < bad else f"V{k}"


def test_results_are_parted() -> None:
    good, bad = split_results(mixed(4, 1), 0.5, 4, "frames")
    assert good == ["V1", "V2", "V3"]
    assert bad == [Quarantined("v0", "frames", "damaged")]


@pytest.mark.parametrize(
    ("fraction", "total", "bad"),
    [(0.0, 5, 1), (0.1, 1, 1), (0.1, 10, 1), (0.1, 20, 2), (0.1, 29, 2), (0.29, 100, 29), (0.57, 100, 57), (1.0, 3, 3)],
)
def test_as_many_as_allowed_may_be_bad(fraction: float, total: int, bad: int) -> None:
    assert len(split_results(mixed(total, bad), fraction, total, "frames")[1]) == bad


@pytest.mark.parametrize(
    ("fraction", "total", "bad"), [(0.0, 5, 2), (0.1, 10, 2), (0.1, 20, 3), (0.1, 29, 3), (0.3, 100, 31), (0.99, 3, 3)]
)
def test_one_more_than_allowed_is_too_many(fraction: float, total: int, bad: int) -> None:
    with pytest.raises(ActaError, match=f"frames: {bad} of the first {bad} videos \\(of {total}\\) are bad"):
        split_results(mixed(total, bad), fraction, total, "frames")


def test_too_many_bad_videos_stop_the_task_at_once() -> None:
    results = mixed(100, 50)
    with pytest.raises(ActaError):
        split_results(results, 0.1, 100, "frames")
    assert next(results) == Quarantined("v11", "frames", "damaged")


def test_message_names_the_setting_and_the_videos() -> None:
    with pytest.raises(ActaError) as caught:
        split_results(mixed(100, 50), 0.2, 100, "detect")
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("more than data.max_bad_fraction = 0.2 allows:")
    assert lines[1:] == [f"  v{k}: damaged" for k in range(10)]


def test_good_results_come_one_by_one_and_bad_ones_join_those_that_were_there():
    before = Quarantined("old", "manifest", "missing")
    quarantine = [before]
    results = good_results(iter(["a", Quarantined("b", "frames", "why"), "c"]), quarantine, 0.0, 3, "frames")
    assert next(results) == "a"
    assert quarantine == [before]
    assert next(results) == "c"
    assert [entry.id for entry in quarantine] == ["old", "b"]
