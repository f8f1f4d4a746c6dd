"""The two kinds of errors that tasks raise.

`ActaError` ends a command with one clear message. `VideoError` rejects one video: tasks catch it, put the video on
the quarantine list with the reason, and go on with the others.
"""

import errno


class ActaError(Exception):
    """A mistake or condition that the person who typed the command can fix."""


class VideoError(ActaError):
    """One video cannot be used; the message is the reason that goes to the quarantine list."""


def is_storage_failure(error: BaseException) -> bool:
    """True when writing failed for lack of room: no video is to blame, so the task must stop."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
