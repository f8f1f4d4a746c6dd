"""Outputs that are inputs, and outputs that are not free."""

import os
from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import (
    check_no_input,
    check_outputs,
    identities,
)
from tests.unit.runtime.outputs import (
    a_file,
)


def ways_to(path: Path, how: str) -> Path:
    """Another name of a file."""
    other = path.parent / "other.mp4"
    match how:
        case "itself":
            return path
        case "relative":
            return Path(os.path.relpath(path))
        case "up and down":
            (path.parent / "deep").mkdir()
            return path.parent / "deep/../in.mp4"
        case "link":
            other.symlink_to(path)
        case "link to a link":
            path.with_name("between").symlink_to(path)
            other.symlink_to("between")
        case "hard link":
            os.link(path, other)
        case "through a linked folder":
            path.with_name("linked").symlink_to(path.parent)
            return path.parent / "linked/in.mp4"
    return other


@pytest.mark.parametrize(
    "how", ["itself", "relative", "up and down", "link", "link to a link", "hard link", "through a linked folder"]
)
@pytest.mark.parametrize("overwrite", [False, True, None])
def test_an_input_is_never_an_output(tmp_path: Path, how: str, overwrite: bool) -> None:
    source = tmp_path / "in.mp4"
    source.write_text("precious")
    output = ways_to(source, how)
    assert identities([output]) & identities([source])
    with pytest.raises(ActaError, match="is an input; choose another output"):
        check_outputs([tmp_path / "new.mp4", output], [tmp_path / "more.mp4", source], overwrite=overwrite)
    with pytest.raises(ActaError, match=f"^the output {output} is an input; choose another output$"):
        check_no_input([tmp_path / "new.mp4", output], [tmp_path / "more.mp4", source])
    check_no_input([tmp_path / "new.mp4"], [source])


def test_outputs_must_differ_and_be_free(tmp_path: Path) -> None:
    a_file(tmp_path / "there.json")
    check_outputs([tmp_path / "a.csv", tmp_path / "b.csv"], [tmp_path / "in.mp4"], overwrite=False)
    with pytest.raises(ActaError, match=r"two outputs are the same file, .*a\.csv"):
        check_outputs([tmp_path / "a.csv", tmp_path / "x/../a.csv"], [], overwrite=True)
    with pytest.raises(ActaError, match=r"there\.json exists"):
        check_outputs([tmp_path / "a.csv", tmp_path / "there.json"], [], overwrite=False)
    for overwrite in (True, None):
        check_outputs([tmp_path / "a.csv", tmp_path / "there.json"], [], overwrite=overwrite)
    (tmp_path / "folder").mkdir()
    check_outputs([tmp_path / "folder"], [], overwrite=None)
    with pytest.raises(ActaError, match="is a folder, which is never replaced"):
        check_outputs([tmp_path / "folder"], [], overwrite=True)
