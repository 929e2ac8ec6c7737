"""A run in progress: its folder, its terminal and its settings, through as many attempts as its memory takes."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from finetune.checkpoints import SUMS, last_checkpoint, put_back, step_of
from finetune.interrupts import Interrupts
from finetune.runs import create_run, cut_off, hold, newest_cut_off
from finetune.together import of_first, wait
from finetune.words import phrase
from tooltune.config import Config
from tooltune.console import quiet
from tooltune.errors import InputError
from tooltune.files import quoted
from tooltune.launch import is_first
from tooltune.run import read_manifest
from tooltune.words import Language, Phrase

ANEW = "start a new run: another name=…, or delete the folder"


@dataclass
class RunSession:
    """What all attempts at a run share.

    Attributes:
        config: as the last shortage of memory has left it.
        force: go on even if something has changed that the run depends on.
        console: the terminal, past the libraries' noise.
        recoveries: what was changed after each shortage of memory, as it stands in the manifest.
        forced: what had changed when the run was gone on with by force, as it stands in the manifest.
        lang: what it says is in this language.
        longest: tokens of the longest training row; 0 until rows are rendered.
    """

    folder: Path
    config: Config
    resumed: bool
    force: bool = False
    lang: Language = "en"
    recoveries: list[dict[str, Any]] = field(default_factory=list)
    forced: list[dict[str, Any]] = field(default_factory=list)
    longest: int = 0
    console: Console = field(init=False)
    interrupts: Interrupts = field(init=False)

    def __post_init__(self) -> None:
        self.interrupts = Interrupts(self.say, resumed=self.resumed)

    def say(self, line: Any) -> None:
        """Print to the terminal; a phrase in the session's language."""
        self.console.print(line.text(self.lang) if isinstance(line, Phrase) else line)


@contextmanager
def open_session(
    config: Config, preset: str, resume: Path | None, *, force: bool = False, lang: Language = "en"
) -> Iterator[RunSession]:
    """Make or reopen a run's folder, hold it for this process, and take over the terminal, Ctrl-C and SIGTERM.

    A new folder is removed again when the run is stopped before its first step. One of the config's name that was cut
    off is gone on with, with the settings that shortages of memory have changed.

    Args:
        preset: names the folder when the config does not.
        resume: the folder of a run to go on with.
        force: go on even if something has changed that the run depends on.

    Raises:
        InputError: the folder cannot be made, or another process trains in it.
    """
    cut = of_first(lambda: None if resume else cut_off(config.name))
    resumed = resume or cut
    folder = resumed or of_first(lambda: create_run(config.name, preset))
    session = RunSession(folder, config, resumed=resumed is not None, force=force, lang=lang)
    holding, log = (hold(folder), folder / "log.txt") if is_first() else (nullcontext(), Path(os.devnull))
    with holding:
        try:
            with quiet(log) as session.console, session.interrupts:
                session.console.quiet = not is_first()
                if resumed:
                    _reopen(session, of_this_name=cut is not None)
                elif config.name is None and newest_cut_off():
                    session.say(phrase("run.newest_cut"))
                with _saying_how_to_go_on(session):
                    yield session
        except (InputError, KeyboardInterrupt):
            if is_first() and not (session.resumed or session.interrupts.begun):
                shutil.rmtree(session.folder, ignore_errors=True)
            raise


def _reopen(session: RunSession, *, of_this_name: bool) -> None:
    """See what an earlier process has left in the run's folder."""
    if is_first():
        put_back(session.folder)
    wait()
    if not (session.folder / "manifest.json").is_file():
        return
    manifest = read_manifest(session.folder)
    if "code_sha256" not in manifest:
        raise InputError(
            f"an older version began this run: its checkpoints have no {SUMS}", where=str(session.folder), fix=ANEW
        )
    session.recoveries, session.forced = manifest["recoveries"], manifest["forced"]
    if of_this_name:
        session.say(phrase("run.cut_off", folder=session.folder))
        for recovery in session.recoveries:
            session.config = session.config.changed(recovery["change"])


@contextmanager
def _saying_how_to_go_on(session: RunSession) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if session.interrupts.begun:
            checkpoint = last_checkpoint(session.folder)
            if checkpoint:
                session.say(phrase("run.stopped", step=step_of(checkpoint), folder=quoted(session.folder)))
            else:
                session.say(phrase("run.stopped_early", folder=quoted(session.folder)))
        raise
