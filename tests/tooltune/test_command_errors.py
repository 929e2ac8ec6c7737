"""Errors of a command that are no fault of its input."""

import subprocess
import sys

from tests.tiny import ROOT

ENDLESS = """
from tooltune.cli import errors_as_lines
with errors_as_lines(False):
    while True:
        print("x" * 1000)
"""


def test_a_reader_that_leaves_is_told_in_two_lines() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=ROOT, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        first, *_ = said = process.stderr.read().splitlines()
    assert process.returncode and first.startswith("error: what read the output has ended")
    assert not any("BrokenPipe" in line for line in said)
