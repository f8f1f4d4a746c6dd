"""Cost files: what a command appends to them whichever way it ends, and what counts of a job that ran several times."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.runtime.costs import cost_file, read_costs, recording
from pipeline.runtime.errors import ActaError
from tests import PROJECT


def lines(log: Path, rank: int = 0) -> list[dict]:
    return [json.loads(line) for line in cost_file(log, rank).read_text().splitlines()]


def segment(began: str = "2026-01-01T00:00:00Z", seconds: float = 60.0, finished: bool = True, **changes) -> str:
    content = {
        "command": "train",
        "began": began,
        "seconds": seconds,
        "cpu_seconds": 2 * seconds,
        "peak_memory_mb": 100.0,
        "finished": finished,
        "rank": 0,
        "processes": 1,
        "device": "a processor",
        "gpu_seconds": 0.0,
        "energy_wh": None,
        "output_bytes": 1000 if finished else None,
    }
    return json.dumps(content | changes) + "\n"


def write(folder: Path, name: str, *segments: str) -> None:
    path = folder / f"{name}.costs.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(segments))


def test_a_command_leaves_a_line(tmp_path):
    log, output = tmp_path / "logs" / "rule" / "a.log", tmp_path / "out.h5"
    with recording(log, "frames", output):
        output.write_bytes(bytes(1234))
        sum(k * k for k in range(2_000_000))
    (line,) = lines(log)
    assert cost_file(log) == tmp_path / "logs" / "rule" / "a.costs.jsonl"
    assert line["command"] == "frames"
    assert line["finished"] is True
    assert line["output_bytes"] == 1234
    assert 0 < line["cpu_seconds"] < 60
    assert line["seconds"] > 0
    assert line["began"].endswith("Z")
    assert line["peak_memory_mb"] > 10
    assert (line["rank"], line["processes"]) == (0, 1)
    assert (line["gpu_seconds"], line["energy_wh"]) == (0.0, None)


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "a").write_bytes(bytes(10))
    (tmp_path / "out" / "deep" / "b").write_bytes(bytes(5))
    with recording(tmp_path / "a.log", "export", tmp_path / "out"):
        pass
    assert lines(tmp_path / "a.log")[0]["output_bytes"] == 15


@pytest.mark.parametrize("error", [ActaError("bad"), SystemExit(143), KeyboardInterrupt()])
def test_a_command_that_fails_leaves_a_line_too(tmp_path, error):
    with pytest.raises(type(error)), recording(tmp_path / "a.log", "train", tmp_path / "missing"):
        raise error
    (line,) = lines(tmp_path / "a.log")
    assert line["finished"] is False
    assert line["output_bytes"] is None


def test_a_command_may_say_that_it_did_not_finish(tmp_path):
    with recording(tmp_path / "a.log", "audit", None) as done:
        done.finished = False
    assert lines(tmp_path / "a.log")[0]["finished"] is False


def test_children_are_counted(tmp_path):
    with recording(tmp_path / "a.log", "frames", None):
        subprocess.run([sys.executable, "-c", "sum(k * k for k in range(3_000_000))"], check=True)
    assert lines(tmp_path / "a.log")[0]["cpu_seconds"] > 0.05


WORKERS = """
import sys
from pathlib import Path
from types import SimpleNamespace
from pipeline.runtime.costs import recording
from pipeline.runtime.workers import map_videos
def work(item):
    kept = bytearray(300_000_000)
    return sum(k * k for k in range(5_000_000))
if __name__ == "__main__":
    items = [SimpleNamespace(id=str(n)) for n in range(2)]
    with recording(Path(sys.argv[1]), "frames", None):
        list(map_videos(work, items, workers=2, task="frames"))
"""


def test_workers_are_counted(tmp_path):
    """Two that each need 300 MB and some tenths of a second; they are children of a server, not of the command."""
    (tmp_path / "working.py").write_text(WORKERS)
    search = {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
    command = [sys.executable, str(tmp_path / "working.py"), str(tmp_path / "a.log")]
    subprocess.run(command, check=True, env=os.environ | search)
    (line,) = lines(tmp_path / "a.log")
    assert line["cpu_seconds"] > 0.3
    assert line["peak_memory_mb"] > 300


def test_sigterm_that_ends_a_training_leaves_a_line(tmp_path):
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom pipeline.runtime.costs import recording\n"
        "from pipeline.training.stopping import last_step_is_saved, listening\n"
        "with recording(Path(sys.argv[1]), 'train', None), listening():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n    last_step_is_saved()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.log")], check=False)
    assert ended.returncode == 128 + signal.SIGTERM
    assert lines(tmp_path / "a.log")[0]["finished"] is False


def test_nothing_is_imported_and_no_host_is_named(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.runtime.costs import recording\n"
        "with recording(Path(sys.argv[1]), 'frames', None): pass\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.log")], check=True)
    assert os.uname().nodename not in cost_file(tmp_path / "a.log").read_text()


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path, capsys):
    (tmp_path / "logs").write_text("a file where the folder should be")
    with recording(tmp_path / "logs" / "rule" / "a.log", "frames", None):
        pass
    assert capsys.readouterr().err.count("\n") == 1


def test_a_full_disk_is_a_warning(tmp_path, capsys):
    cost_file(tmp_path / "a.log").symlink_to("/dev/full")
    with recording(tmp_path / "a.log", "frames", None):
        pass
    error = capsys.readouterr().err
    assert error.startswith("warning: what frames cost is not recorded")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RANK": "3", "WORLD_SIZE": "4"}, (3, 4)),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, (1, 2)),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, (0, 1)),
    ],
)
def test_processes_that_work_together_number_their_lines(tmp_path, monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "out").write_bytes(bytes(9))
    with recording(tmp_path / "a.log", "train", tmp_path / "out"):
        pass
    (line,) = lines(tmp_path / "a.log", expected[0])
    assert (line["rank"], line["processes"]) == expected
    assert line["output_bytes"] == (9 if expected[0] == 0 else None)


def test_each_process_has_a_file_of_its_own_and_all_count(tmp_path, monkeypatch):
    """Appending to one file from several nodes is not safe on network file systems."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        with recording(tmp_path / "train" / "a.log", "train", None):
            time.sleep(0.01)
    assert sorted(path.name for path in tmp_path.rglob("*.jsonl")) == ["a.costs.jsonl", "a.rank1.costs.jsonl"]
    (job,) = read_costs(tmp_path)["train"]
    assert job.job == "train/a"
    assert job.cpu_seconds == sum(lines(tmp_path / "train" / "a.log", rank)[0]["cpu_seconds"] for rank in (0, 1))


def test_what_is_asked_to_stop_still_writes_what_it_cost(tmp_path):
    code = (
        "import sys, time, pathlib\nfrom pipeline.runtime.costs import recording\n"
        "with recording(pathlib.Path(sys.argv[1]), 'frames', None):\n    print('on', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT) as process:
        assert process.stdout.readline() == b"on\n"
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    (line,) = lines(tmp_path / "a.log")
    assert line["finished"] is False


def test_a_callers_own_handler_of_sigterm_is_put_back(tmp_path):
    def own(number: int, frame: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, own)
    try:
        with recording(tmp_path / "a.log", "frames", None):
            pass
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


def test_lines_of_many_processes_stay_whole(tmp_path):
    def record() -> None:
        for _ in range(50):
            with recording(tmp_path / "a.log", "train", None):
                pass

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(tmp_path / "a.log")) == 200


def test_a_gpu_that_was_used_is_named_and_its_energy_counted(tmp_path, monkeypatch):
    """torch and NVML are stand-ins: GPU 1 of two was used and drew 7.2 kJ."""
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: 2,
        max_memory_allocated=lambda number: number,
        get_device_properties=lambda number: SimpleNamespace(uuid=f"u{number}", name="A GPU"),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    readings = iter([{"GPU-u0": 1, "GPU-u1": 1_000_000}, {"GPU-u0": 900, "GPU-u1": 8_200_000}])
    monkeypatch.setattr("pipeline.runtime.costs._energies", lambda: next(readings))
    with recording(tmp_path / "a.log", "train", None):
        pass
    (line,) = lines(tmp_path / "a.log")
    assert (line["device"], line["energy_wh"]) == ("A GPU", 2.0)
    assert line["gpu_seconds"] == line["seconds"]


def test_the_last_run_that_finished_counts_with_its_segments(tmp_path):
    write(
        tmp_path,
        "train/a",
        segment("2026-01-01T00:00:00Z", 1000.0),  # an earlier run
        segment("2026-01-02T00:00:00Z", 10.0, finished=False, peak_memory_mb=300.0),
        segment("2026-01-02T01:00:00Z", 20.0),
        segment("2026-01-03T00:00:00Z", 5000.0, finished=False),  # a later run, not over
    )
    (job,) = read_costs(tmp_path)["train"]
    assert (job.job, job.rule, job.finished) == ("train/a", "train", True)
    assert (job.seconds, job.cpu_seconds, job.peak_memory_mb, job.output_bytes) == (30.0, 60.0, 300.0, 1000)


def test_a_job_that_never_finished_is_there_but_is_no_experience(tmp_path):
    write(tmp_path, "train/a", segment(finished=False), segment("2026-01-01T01:00:00Z", finished=False))
    costs = read_costs(tmp_path)["train"]
    assert [(job.seconds, job.finished) for job in costs] == [(120.0, False)]


def test_processes_of_a_run_are_added_up(tmp_path):
    """Wall time is that of the first; the last of a run of four processes may end after it."""
    gpu = {"processes": 2, "gpu_seconds": 60.0, "energy_wh": 1.5, "device": "A GPU"}
    write(
        tmp_path,
        "train/a",
        segment("2026-01-01T00:00:00Z", rank=1, processes=2, output_bytes=None),  # an earlier run
        segment("2026-01-01T00:00:00Z", processes=2),
        segment("2026-01-01T02:00:00Z", **gpu),
        segment("2026-01-01T02:00:01Z", rank=1, output_bytes=None, **gpu),
    )
    (job,) = read_costs(tmp_path)["train"]
    assert (job.seconds, job.cpu_seconds, job.gpu_seconds, job.energy_wh) == (60.0, 240.0, 120.0, 3.0)


def test_rules_come_in_the_order_of_their_first_jobs(tmp_path):
    write(tmp_path, "b_rule/x/1", segment("2026-01-01T00:00:00Z"))
    write(tmp_path, "a_rule", segment("2026-01-02T00:00:00Z"))
    write(tmp_path, "b_rule/x/2", segment("2026-01-03T00:00:00Z"))
    costs = read_costs(tmp_path)
    assert [(rule, len(found)) for rule, found in costs.items()] == [("b_rule", 2), ("a_rule", 1)]


def test_a_damaged_line_is_left_out_and_named(tmp_path, capsys):
    write(tmp_path, "train/a", segment()[:40] + "\n", segment("2026-01-02T00:00:00Z"), segment(seconds=-1.0))
    (job,) = read_costs(tmp_path)["train"]
    assert job.seconds == 60.0
    error = capsys.readouterr().err
    assert f"{tmp_path / 'train' / 'a.costs.jsonl'}, line 1" in error
    assert "line 3 is left out: seconds" in error


def test_no_logs_are_no_costs(tmp_path):
    assert read_costs(tmp_path / "missing") == {}
