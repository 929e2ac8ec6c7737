"""The two ways in which a command ends badly: each becomes one or two lines, with exit code 2 or 1."""


class InputError(Exception):
    """Something the user gave is wrong: a file, a row, a config value, a model folder.

    Args:
        what: the fault, in one sentence, with the offending value.
        where: `file:line`, a config key, a folder; empty when `what` says it all.
        fix: what to do about it, in the imperative; empty only when nothing can be advised.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(f"{where}: {what}" if where else what)

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
        """The message as the terminal shows it."""
        return [str(self), *([f"→ {self.fix}"] if self.fix else [])]
