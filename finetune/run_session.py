"""A run in progress: its folder, its terminal and its settings, through as many attempts as its memory takes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from finetune.interrupts import Interrupts
from finetune.runs import create_run, hold
from tooltune.config import Config
from tooltune.console import quiet
from tooltune.errors import InputError
from tooltune.run import read_manifest
from tooltune.words import Language, Phrase


@dataclass
class RunSession:
    """What all attempts at a run share.

    Attributes:
        config: as the last shortage of memory has left it.
        console: the terminal, past the libraries' noise.
        recoveries: what was changed after each shortage of memory, as it stands in the manifest.
        lang: what it says is in this language.
        longest: tokens of the longest training row; 0 until rows are rendered.
    """

    folder: Path
    config: Config
    resumed: bool
    lang: Language = "en"
    recoveries: list[dict[str, Any]] = field(default_factory=list)
    longest: int = 0
    console: Console = field(init=False)
    interrupts: Interrupts = field(init=False)

    def __post_init__(self) -> None:
        self.interrupts = Interrupts(self.say, resumed=self.resumed)

    def say(self, line: Any) -> None:
        """Print to the terminal; a phrase in the session's language."""
        self.console.print(line.text(self.lang) if isinstance(line, Phrase) else line)


@contextmanager
def open_session(config: Config, preset: str, resume: Path | None, lang: Language) -> Iterator[RunSession]:
    """Make or reopen a run's folder, hold it for this process, and take over the terminal and Ctrl-C.

    A new folder is removed again when the run is stopped before its first step.

    Args:
        preset: names the folder when the config does not.
        resume: the folder of a run to go on with.

    Raises:
        InputError: the folder cannot be made, or another process trains in it.
    """
    session = RunSession(resume or create_run(config.name, preset), config, resume is not None, lang)
    try:
        with hold(session.folder), quiet(session.folder / "log.txt") as session.console, session.interrupts:
            if resume and (resume / "manifest.json").is_file():
                session.recoveries = read_manifest(resume)["recoveries"]
            yield session
    except (InputError, KeyboardInterrupt):
        if not (session.resumed or session.interrupts.begun):
            shutil.rmtree(session.folder, ignore_errors=True)
        raise
