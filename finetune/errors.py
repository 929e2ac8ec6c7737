"""The failure of a job whose input was right: exit code 1, two lines, no traceback."""


class RunFailed(Exception):
    """The job could not go on.

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
