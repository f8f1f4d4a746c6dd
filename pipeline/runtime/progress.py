"""Progress of long work: a bar on a terminal, otherwise (a job's log) a plain line now and then."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Self, TypeVar

from tqdm import tqdm

from pipeline.runtime.shown import Unguarded, printable

ItemT = TypeVar("ItemT")

# Seconds between two lines where there is no terminal.
_EVERY = 10.0
_WITH_TOTAL = "{l_bar}{bar}| {n:.0f}/{total:.0f} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"
_WITHOUT = "{desc}: {n:.0f}{unit} [{elapsed}, {rate_noinv_fmt}{postfix}]"


def progress(iterable: Iterable[ItemT], *, total: float | None = None, unit: str, desc: str) -> Iterator[ItemT]:
    """The items of long work, one unit each; arguments as of `Progress`."""
    with Progress(total=total, unit=unit, desc=desc) as bar:
        for item in iterable:
            yield item
            bar.update()


class Progress:
    """How far a ``with`` block is that calls `update`; written to standard error.

    Args:
        total: Units of the whole work; None: unknown, so neither per cent nor the time that is left are shown.
        unit: What is counted, in the plural: "videos".
        desc: What is being done.
        done: Units that an earlier run has done, which do not count towards the speed; later all that are done.
        shown: Whether to show anything; of many processes, only one should.
    """

    def __init__(
        self, *, total: float | None = None, unit: str, desc: str, done: float = 0, shown: bool = True
    ) -> None:
        self.done = done
        self._total, self._unit, self._desc = total, unit, desc
        self._first, self._figures = done, ""
        self._began = self._said = time.monotonic()
        self._shown = shown
        self._bar: tqdm | None = None
        if shown and sys.stderr.isatty():
            self._terminal = Unguarded(sys.stderr)
            self._bar = tqdm(
                desc=printable(desc),
                file=self._terminal,
                total=total,
                initial=done,
                unit=f" {unit}",
                dynamic_ncols=True,
                mininterval=0.2,
                bar_format=_format(total),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._shown and kind is None and self.done > self._first:
            self._say(f"{self._count()} in {_clock(time.monotonic() - self._began)}")

    def update(self, count: float = 1) -> None:
        """Say that this many more units are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._shown and time.monotonic() - self._said >= _EVERY:
            self._say(self._left())

    def to(self, done: float) -> None:
        """Say that this many units are done in all."""
        self.update(done - self.done)

    def expect(self, total: float | None) -> None:
        """Change the units of the whole work as more becomes known of it; shown with the next update."""
        self._total = total
        if self._bar is not None:
            self._bar.total, self._bar.bar_format = total, _format(total)

    def describe(self, desc: str, figures: str = "") -> None:
        """Change what is being done, and add figures such as the loss; shown with the next update."""
        self._desc, self._figures = desc, figures
        if self._bar is not None:
            self._bar.set_description(printable(desc), refresh=False)
            self._bar.set_postfix_str(figures, refresh=False)

    def note(self, line: str) -> None:
        """Print a line that is to stay, above the bar where there is one."""
        if self._bar is not None:
            self._bar.write(printable(line), file=self._terminal)
        else:
            print(line, file=sys.stderr, flush=True)

    def _say(self, where: str) -> None:
        self._said = time.monotonic()
        share = f"{self.done / self._total:.0%}".replace("%", " %") if self._total else ""
        words = (self._desc, share, where, self._speed(), self._figures)
        print("  ".join(word for word in words if word), file=sys.stderr, flush=True)

    def _count(self) -> str:
        return f"{self.done:.0f} {self._unit}"

    def _left(self) -> str:
        gone, made = time.monotonic() - self._began, self.done - self._first
        if self._total is None or not made:
            return f"{self._count()} in {_clock(gone)}"
        return f"{_clock(gone * max(0.0, self._total - self.done) / made)} left"

    def _speed(self) -> str:
        """The mean since the beginning, per second, minute or hour: whichever is a number that says something."""
        rate = (self.done - self._first) / max(time.monotonic() - self._began, 1e-9)
        seconds, word = next((pair for pair in ((1, "s"), (60, "min")) if rate * pair[0] >= 1), (3600, "h"))
        return f"{rate * seconds:.1f} {self._unit}/{word}"


def _format(total: float | None) -> str:
    return _WITHOUT if total is None else _WITH_TOTAL


def _clock(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{left:02}"
