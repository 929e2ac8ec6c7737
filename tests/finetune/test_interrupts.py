"""What Ctrl-C does to a run before, during and after its steps."""

import signal
from contextlib import suppress

import pytest

from finetune.interrupts import Interrupts


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_before_the_first_step_it_stops_at_once_and_says_so() -> None:
    for resumed, done in ((False, "nothing was trained"), (True, "nothing was changed")):
        said: list[str] = []
        with pytest.raises(KeyboardInterrupt), Interrupts(said.append, resumed=resumed):
            press()
        assert said == [f"Stopped before the first step; {done}"]


def test_a_swallowed_one_is_not_lost() -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), Interrupts(said.append, resumed=False) as interrupts:
        interrupts.check()
        with suppress(KeyboardInterrupt):
            press()
        with interrupts.finish_steps():
            pytest.fail("a step was made")
    assert not interrupts.begun and said == ["Stopped before the first step; nothing was trained"]


def test_the_first_lets_the_step_finish_and_the_second_does_not() -> None:
    said: list[str] = []
    interrupts = Interrupts(said.append, resumed=False)
    with pytest.raises(KeyboardInterrupt), interrupts, interrupts.finish_steps():
        assert interrupts.begun and not interrupts.pressed
        press()
        assert interrupts.pressed and len(said) == 1 and "after this step" in said[0]
        press()
    assert len(said) == 1


def test_after_the_steps_it_stops_at_once_again() -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), Interrupts(said.append, resumed=False) as interrupts:
        with interrupts.finish_steps():
            pass
        press()
    assert not said


def test_the_handler_before_it_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts(print, resumed=False):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
