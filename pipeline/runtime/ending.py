"""Commands ended from outside: Ctrl-C, SIGTERM, SIGHUP. What is being written is removed on the way out.

A signal becomes an exception in the main thread, so every ``finally`` runs. Where the exception arises in a call from C
it is lost; long work therefore asks `check_ended` from time to time.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_came: int | None = None


class Ended(BaseException):
    """A signal, by its number, asked this process to end."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


@contextmanager
def tidy_end() -> Iterator[None]:
    """Raise `Ended` when a signal comes while the block runs.

    A signal that is ignored (``nohup``) or has another handler is left as it is.
    """
    global _came
    _came = None
    kept: dict[signal.Signals, Any] = {}
    try:
        for number in _SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                kept[number] = signal.signal(number, _end)
    except ValueError:
        pass  # not in the main thread, which alone hears signals
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def check_ended() -> None:
    """Raise `Ended` if a signal has come whose exception was lost."""
    if _came is not None:
        raise Ended(_came)


def _end(number: int, frame: Any) -> None:
    global _came
    _came = number
    for heard in _SIGNALS:
        if signal.getsignal(heard) is _end:
            signal.signal(heard, signal.SIG_IGN)  # a second one must not cut the tidying up short
    raise Ended(number)
