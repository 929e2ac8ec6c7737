"""What is wrong, or unwise, in files that somebody wants to train on: `check_files(paths) -> CheckReport`."""

from data.check.report import CheckReport, check_files

__all__ = ["CheckReport", "check_files"]
