"""Task `store_teacher_logits`: what it stores, and that it goes on to the same bytes wherever it was stopped."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.classify.train_classifier import train_classifier
from pipeline.config.base import parse
from pipeline.config.tasks.shrink import StoreTeacherLogits
from pipeline.models.backbones import pathways
from pipeline.runtime.errors import ActaError
from pipeline.runtime.sealed import Sealed
from pipeline.shrink import store_teacher_logits as task
from tests.networks import train_settings, write_dataset

STEPS = 2 * 2  # two epochs of twenty-four clips in batches of ten


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[Path]:
    return write_dataset(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="module")
def teacher(config, shards, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    train_classifier(shards, path, train_settings(config, training__epochs=1))
    return path


def asked(config, **changes) -> StoreTeacherLogits:
    values = train_settings(config, recipe__batch=10, recipe__micro_batch=5, **changes).model_dump(mode="json")
    kept = {name: values[name] for name in ("variant", "sampling", "split", "recipe", "training")}
    return parse(StoreTeacherLogits, kept | {"mode": "train"})


def store(teacher, shards, output: Path, settings: StoreTeacherLogits) -> Path:
    task.store_teacher_logits(teacher, shards, output, settings, save_every=0.0)
    return output


@pytest.fixture(scope="module")
def whole(config, teacher, shards, tmp_path_factory) -> bytes:
    return store(teacher, shards, tmp_path_factory.mktemp("whole") / "logits.h5", asked(config)).read_bytes()


class Shown:
    """How many micro-batches the teacher was shown, and what is to be done before which."""

    def __init__(self) -> None:
        self.count, self.at = 0, dict[int, Callable[[], None]]()

    def __call__(self, *arguments):
        self.count += 1
        self.at.pop(self.count, lambda: None)()
        return pathways(*arguments)


@pytest.fixture
def shown(monkeypatch) -> Shown:
    seen = Shown()
    monkeypatch.setattr(task, "pathways", seen)
    return seen


def stop(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def die() -> None:
    raise KeyboardInterrupt


def begun(config, teacher, shards, output: Path, shown: Shown, at: int, act: Callable[[], None]) -> object:
    """Begin, and do something before the teacher is shown this micro-batch; the code with which it ended."""
    shown.at[at] = act
    with pytest.raises((SystemExit, KeyboardInterrupt)) as ended:
        store(teacher, shards, output, asked(config))
    assert not output.exists()
    shown.count = 0
    return getattr(ended.value, "code", None)


def test_all_clips_of_whole_batches_are_stored(whole, tmp_path, config):
    (tmp_path / "logits.h5").write_bytes(whole)
    stored = Sealed(tmp_path / "logits.h5").array("logits")
    assert stored.shape == (2, 24, 3)
    left_out = np.isnan(stored[:]).any(2)
    assert left_out.sum(1).tolist() == [4, 4]
    assert not np.array_equal(left_out[0], left_out[1])


@pytest.mark.parametrize(
    ("at", "act", "code", "left"),
    [
        (3, stop(signal.SIGTERM), 128 + signal.SIGTERM, 4),
        (5, stop(signal.SIGUSR1), 128 + signal.SIGUSR1, 2),
        (4, die, None, 6),
        (8, die, None, 2),
    ],
)
def test_stopped_it_goes_on_to_the_same_bytes(
    config, teacher, shards, whole, shown, tmp_path, capsys, at, act, code, left
):
    output = tmp_path / "logits.h5"
    assert begun(config, teacher, shards, output, shown, at, act) == code
    assert ("the same command goes on from there" in capsys.readouterr().err) == (code is not None)
    store(teacher, shards, output, asked(config))
    assert shown.count == left
    assert output.read_bytes() == whole
    assert f"resumed at step {STEPS - left // 2} from" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logits.h5", "logits.json"]
    assert json.loads(output.with_suffix(".json").read_text())["device_seconds"] > 0


def test_asked_to_stop_in_the_last_step_only_the_file_remains(config, teacher, shards, whole, shown, tmp_path):
    output = tmp_path / "logits.h5"
    assert begun(config, teacher, shards, output, shown, 8, stop(signal.SIGTERM)) == 128 + signal.SIGTERM
    store(teacher, shards, output, asked(config))
    assert not shown.count
    assert output.read_bytes() == whole


def test_parts_after_a_damaged_one_are_computed_again(config, teacher, shards, whole, shown, tmp_path, capsys):
    output = tmp_path / "logits.h5"
    begun(config, teacher, shards, output, shown, 7, die)
    part = tmp_path / "logits.parts" / "000000001.h5"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    store(teacher, shards, output, asked(config))
    assert shown.count == 6
    assert f"{part} is damaged" in capsys.readouterr().err
    assert output.read_bytes() == whole


def test_parts_of_other_settings_do_not_count(config, teacher, shards, whole, shown, tmp_path, capsys):
    output = tmp_path / "logits.h5"
    begun(config, teacher, shards, output, shown, 7, die)
    store(teacher, shards, output, asked(config, training__seed=9))
    assert shown.count == 2 * STEPS
    assert "belongs to other settings, code or inputs" in capsys.readouterr().err
    assert output.read_bytes() != whole


def test_too_few_clips_for_a_batch(config, teacher, shards, tmp_path):
    large = asked(config)
    recipe = large.recipe.model_copy(update={"batch": 30})
    with pytest.raises(ActaError, match="an epoch has 24 clips, fewer than one batch of 30"):
        store(teacher, shards, tmp_path / "logits.h5", large.model_copy(update={"recipe": recipe}))
