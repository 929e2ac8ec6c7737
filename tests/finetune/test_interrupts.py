"""What Ctrl-C and SIGTERM do to a run before, during and after its steps."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress

import pytest

from finetune.interrupts import STOPPED_BY, Interrupts
from tooltune.console import Heard, Terminal
from tooltune.words import Phrase


def press(number: signal.Signals = signal.SIGINT) -> None:
    signal.raise_signal(number)


def test_before_the_first_step_it_stops_at_once_and_says_so() -> None:
    for resumed, done in ((False, "nothing was trained"), (True, "nothing was changed")):
        said: list[Phrase] = []
        with pytest.raises(KeyboardInterrupt), Interrupts(said.append, resumed=resumed):
            press()
        assert list(map(str, said)) == [f"Stopped before the first step; {done}"]
        assert said[0].text("ko").startswith("첫 스텝 전에 멈췄습니다")


def test_a_swallowed_one_is_not_lost() -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), Interrupts(lambda line: said.append(str(line)), resumed=False) as interrupts:
        interrupts.check()
        with suppress(KeyboardInterrupt):
            press()
        with interrupts.finish_steps():
            pytest.fail("a step was made")
    assert not interrupts.begun and said == ["Stopped before the first step; nothing was trained"]


def test_the_first_lets_the_step_finish_and_the_second_does_not() -> None:
    said: list[str] = []
    interrupts = Interrupts(lambda line: said.append(str(line)), resumed=False)
    with pytest.raises(KeyboardInterrupt), interrupts, interrupts.finish_steps():
        assert interrupts.begun and not interrupts.pressed
        press()
        assert interrupts.pressed and len(said) == 1 and "after this step" in said[0]
        press()
    assert len(said) == 1


def test_after_the_steps_it_stops_at_once_again() -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), Interrupts(lambda line: said.append(str(line)), resumed=False) as interrupts:
        with interrupts.finish_steps():
            pass
        press()
    assert not said


def test_sigterm_is_as_one_ctrl_c_however_often_it_comes() -> None:
    said: list[str] = []
    with Interrupts(lambda line: said.append(str(line)), resumed=False) as interrupts, interrupts.finish_steps():
        for _ in range(3):
            press(signal.SIGTERM)
        assert interrupts.pressed and not interrupts.twice and len(said) == 1
    with pytest.raises(KeyboardInterrupt), Interrupts(lambda line: said.append(str(line)), resumed=False):
        press(signal.SIGTERM)
    assert said[1:] == ["Stopped before the first step; nothing was trained"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has none")
def test_a_terminal_that_is_closed_is_a_sigterm_but_for_what_nohup_started() -> None:
    with Interrupts(lambda _: None, resumed=False) as interrupts, interrupts.finish_steps():
        press(signal.SIGHUP)
        assert interrupts.pressed
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts(lambda _: None, resumed=False) as interrupts:
        press(signal.SIGHUP)
    assert not interrupts.pressed and signal.signal(signal.SIGHUP, before) == signal.SIG_IGN


def test_a_ctrl_c_after_a_sigterm_is_the_second() -> None:
    interrupts = Interrupts(lambda _: None, resumed=False)
    with pytest.raises(KeyboardInterrupt), interrupts, interrupts.finish_steps():
        press(signal.SIGTERM)
        press()
    assert interrupts.twice


def test_what_need_not_be_finished_stops_at_once() -> None:
    said: list[str] = []
    interrupts = Interrupts(lambda line: said.append(str(line)), resumed=False)
    with pytest.raises(KeyboardInterrupt), interrupts, interrupts.finish_steps(), interrupts.stop_at_once():
        press()
    assert interrupts.pressed and not interrupts.twice and not said


def test_what_need_not_be_finished_is_not_begun_after_a_ctrl_c() -> None:
    interrupts = Interrupts(lambda _: None, resumed=False)
    with pytest.raises(KeyboardInterrupt), interrupts, interrupts.finish_steps():
        with interrupts.stop_at_once():
            pass
        press()
        with interrupts.stop_at_once():
            pytest.fail("it was begun")


def test_the_handlers_before_it_come_back() -> None:
    before = [signal.getsignal(number) for number in STOPPED_BY]
    with Interrupts(print, resumed=False):
        assert not set(before) & {signal.getsignal(number) for number in STOPPED_BY}
    assert [signal.getsignal(number) for number in STOPPED_BY] == before


@pytest.mark.skipif(sys.platform == "win32", reason="a signal interrupts no write there")
def test_a_ctrl_c_while_the_terminal_is_halted_ends_no_run() -> None:
    """Ctrl-S, or a pager that reads no further: a line waits in the stream, and the answer would enter it again."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while os.write(writer, bytes(size)):
                pass
    os.set_blocking(writer, True)
    main, heard = threading.main_thread().ident, []

    def press_and_read() -> None:
        assert main
        time.sleep(0.5)
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.1)
        while part := os.read(reader, 2**16):
            heard.append(part)

    thread = threading.Thread(target=press_and_read)
    thread.start()
    with os.fdopen(writer, "w") as stream:
        console = Terminal(file=Heard(stream))
        with Interrupts(console.print, resumed=False) as interrupts, interrupts.finish_steps():
            console.print("step 1")
            console.print("step 2")
    thread.join()
    os.close(reader)
    said = b"".join(heard).decode()
    assert interrupts.pressed and "step 1" in said and "step 2" in said and said.count("Stopping after this step") == 1
