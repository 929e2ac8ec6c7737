"""Ctrl-C during a run: it ends at once before the first step, and after the current step while training."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self


class Interrupts:
    """Owns SIGINT inside its `with` block.

    Args:
        say: prints a line.
        resumed: whether the run goes on from a checkpoint.

    Attributes:
        pressed: whether Ctrl-C was pressed. A library that is being imported may swallow the exception: see `check`.
        begun: whether the first step was reached; before that there is nothing to keep.
    """

    def __init__(self, say: Callable[[str], None], *, resumed: bool) -> None:
        self.say, self.resumed = say, resumed
        self.pressed = self.begun = False
        self._finishes_steps = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        if kind is KeyboardInterrupt and not self.begun:
            done = "nothing was changed" if self.resumed else "nothing was trained"
            self.say(f"Stopped before the first step; {done}")

    def check(self) -> None:
        """Stop now if Ctrl-C was pressed and the exception was swallowed.

        Raises:
            KeyboardInterrupt: it was.
        """
        if self.pressed:
            raise KeyboardInterrupt

    @contextmanager
    def finish_steps(self) -> Iterator[None]:
        """Around training: the first Ctrl-C only sets `pressed`, so that the step can finish; the second stops at once.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed before.
        """
        self._finishes_steps = True
        try:
            self.check()
            self.begun = True
            yield
        finally:
            self._finishes_steps = False

    def _press(self, number: int, frame: Any) -> None:
        again, self.pressed = self.pressed, True
        if again or not self._finishes_steps:
            raise KeyboardInterrupt
        self.say("Stopping after this step, with a checkpoint (press Ctrl-C again to stop at once) …")
