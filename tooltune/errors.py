"""The two ways in which a command ends badly: each becomes one or two lines, with exit code 2 or 1."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tooltune.words import Phrase


class InputError(Exception):
    """Something the user gave is wrong: a file, a row, a config value, a model folder.

    Args:
        what: the fault, in one sentence, with the offending value.
        where: `file:line`, a config key, a folder; empty when `what` says it all.
        fix: what to do about it, in the imperative; empty only when nothing can be advised.

    Attributes:
        what, fix: in English, as errors are.
        said, advice: the same, in both languages where they were given so.
    """

    def __init__(self, what: "Phrase | str", *, where: str = "", fix: "Phrase | str" = "") -> None:
        self.said, self.where, self.advice = what, where, fix
        self.what, self.fix = str(what), str(fix)
        super().__init__(f"{where}: {what}" if where else what)

    def at(self, where: str) -> "InputError":
        """The same fault with its place, where it has none yet."""
        return InputError(self.said, where=self.where or where, fix=self.advice)

    def lines(self) -> list[str]:
        """The message as the terminal shows it: the fault, then (if known) the mend."""
        return [str(self), *([f"→ {self.fix}"] if self.fix else [])]


class JobFailed(Exception):
    """The job could not go on although its input was right: exit code 1.

    Args:
        what: what happened, with the figure or row that shows it.
        fix: what to try.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        self.fix = fix
        super().__init__(what)

    def lines(self) -> list[str]:
        return [str(self), *([f"→ {self.fix}"] if self.fix else [])]
