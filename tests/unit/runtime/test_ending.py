"""Signals become an exception that lets everything be tidied up; nohup and other handlers are left alone."""

import signal
from contextlib import suppress
from typing import Any

import pytest

from pipeline.runtime.ending import Ended, check_ended, tidy_end

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _handlers() -> Any:
    """Each test begins with the handlers that a process begins with, and the test run keeps its own."""
    first: dict[signal.Signals, Any] = dict.fromkeys(SIGNALS, signal.SIG_DFL) | {
        signal.SIGINT: signal.default_int_handler
    }
    kept = {number: signal.signal(number, handler) for number, handler in first.items()}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_block_through_its_finally(number: signal.Signals) -> None:
    tidied = []

    def work() -> None:
        with tidy_end():
            try:
                signal.raise_signal(number)
                pytest.fail("the signal was not heard")
            finally:
                tidied.append(True)

    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Ended) as caught:
        work()
    assert caught.value.number == number
    assert tidied == [True]
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_second_signal_does_not_cut_the_tidying_up_short() -> None:
    tidied = []

    def work() -> None:
        with tidy_end():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                for number in SIGNALS:
                    signal.raise_signal(number)
                tidied.append(True)

    with pytest.raises(Ended):
        work()
    assert tidied == [True]


def test_what_is_ignored_stays_ignored_and_other_handlers_stay() -> None:
    heard = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with tidy_end():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        check_ended()
    assert heard == [signal.SIGTERM]


def test_a_signal_whose_exception_was_lost_is_told_when_asked() -> None:
    def work() -> None:
        with tidy_end():
            with suppress(BaseException):  # as a call from C does
                signal.raise_signal(signal.SIGTERM)
            check_ended()

    check_ended()
    with pytest.raises(Ended):
        work()
    with tidy_end():
        check_ended()  # of an earlier end nothing is left
