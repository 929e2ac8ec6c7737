"""Ctrl-C, SIGTERM and SIGHUP during a run: it ends at once before the first step, then after the current one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from finetune.words import phrase
from tooltune.words import Say

STOPPED_BY = tuple(n for n in signal.Signals if n.name in ("SIGINT", "SIGTERM", "SIGHUP"))
"""Ctrl-C, what a machine that shuts down or a scheduler that needs it sends, and what a closed terminal sends."""


class Interrupts:
    """Owns `STOPPED_BY` inside its `with` block.

    SIGTERM is as one Ctrl-C, however often it comes; a second Ctrl-C stops at once. SIGHUP is as SIGTERM, but for what
    nohup has told to ignore it.

    Args:
        say: prints a line.
        resumed: whether the run goes on from a checkpoint.

    Attributes:
        pressed: whether one came. A library that is being imported may swallow the exception: see `check`.
        twice: whether a second Ctrl-C asked not to wait.
        begun: whether the first step was reached; before that there is nothing to keep.
    """

    def __init__(self, say: Say, *, resumed: bool) -> None:
        self.say, self.resumed = say, resumed
        self.pressed = self.twice = self.begun = False
        self._finishes_steps = False

    def __enter__(self) -> Self:
        before = {number: signal.getsignal(number) for number in STOPPED_BY}
        self._before = {n: was for n, was in before.items() if n.name != "SIGHUP" or was != signal.SIG_IGN}
        for number in self._before:
            signal.signal(number, self._press)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is KeyboardInterrupt and not self.begun:
            self.say(phrase("run.before_first_again" if self.resumed else "run.before_first"))

    def check(self) -> None:
        """Stop now if one came and the exception was swallowed.

        Raises:
            KeyboardInterrupt: it did.
        """
        if self.pressed:
            raise KeyboardInterrupt

    @contextmanager
    def finish_steps(self) -> Iterator[None]:
        """Around training: the first one only sets `pressed`, so that the step can finish.

        Raises:
            KeyboardInterrupt: one came before.
        """
        self._finishes_steps = True
        try:
            self.check()
            self.begun = True
            yield
        finally:
            self._finishes_steps = False

    @contextmanager
    def stop_at_once(self) -> Iterator[None]:
        """Around what takes long while training, when a checkpoint is written: it need not be finished.

        Raises:
            KeyboardInterrupt: one came before, or comes.
        """
        finishes, self._finishes_steps = self._finishes_steps, False
        try:
            self.check()
            yield
        finally:
            self._finishes_steps = finishes

    def _press(self, number: int, frame: Any) -> None:
        again, self.pressed = self.pressed, True
        self.twice = again and number == signal.SIGINT
        if self._finishes_steps and not self.twice:
            if not again:
                self.say(phrase("run.stopping"))
            return
        raise KeyboardInterrupt
