"""Files of videos that change while they are read."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from pipeline.media.source import unchanged
from pipeline.runtime.errors import VideoError


def test_a_video_that_changes_while_it_is_read_is_left_out(tmp_path):
    path = tmp_path / "a.mp4"

    def write(content: bytes) -> None:
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))

    write(b"one")
    with unchanged(path) as digest:
        assert digest == hashlib.sha256(b"one").hexdigest()
    with pytest.raises(VideoError, match=r"^was replaced or changed while it was read$"), unchanged(path):
        write(b"more")
    with pytest.raises(VideoError, match=r"^was replaced or changed while it was read$"), unchanged(path):
        os.utime(path, ns=(1, 2))
    write(b"more")
    other = Path(shutil.copy2(path, tmp_path / "other.mp4"))
    with pytest.raises(VideoError, match=r"^was replaced or changed while it was read$"), unchanged(path):
        os.replace(other, path)
    with pytest.raises(VideoError, match=r"^missing$"), unchanged(path):
        path.unlink()
    with pytest.raises(VideoError, match=r"^missing$"), unchanged(path):
        pass
