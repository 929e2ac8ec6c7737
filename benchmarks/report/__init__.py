"""The report of a benchmark: Markdown, a picture and a page beside its JSON, and a table for the terminal."""

from benchmarks.report.finish import finish, write_report
from benchmarks.report.terminal import table

__all__ = ["finish", "table", "write_report"]
