"""All runs in one table: what was trained, how good it became, what it took, and how it stands."""

import difflib
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from finetune.diagnose import best_row
from finetune.diagnose.series import is_number
from finetune.history import History, read_history
from finetune.words import phrase
from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines, print_json
from tooltune.console import Terminal
from tooltune.errors import InputError
from tooltune.metrics import BY_KIND, whole_percent
from tooltune.run import looking, peak_gib, runs_dir
from tooltune.words import Language

UNREADABLE = "unreadable"
WIDE = 110  # columns of a terminal that holds the whole table

RATES = ("tool_name_accuracy", "exact_match", *BY_KIND)
SPEEDS = ("samples_per_second", "tokens_per_second", "mfu")
BEST_FIRST = dict.fromkeys(("epochs", *RATES, *SPEEDS, "changed"), -1)
"""Columns of which the largest value stands first; of the others, the smallest."""


@dataclass(frozen=True)
class RunRow:
    """A run, or a folder that is none. What is not known, or not measured, is None.

    Attributes:
        state: finished, running, stopped, or unreadable.
        problem: why it is unreadable.
        data: the training file.
        epochs: made so far.
        best_epoch, eval_loss, and the rates: of the best evaluation so far.
        seconds, samples_per_second: of the whole training (see `report.trained`); the speed is that of the last logged
            steps while it goes on.
        tokens_per_second, mfu: the means over its training steps.
        memory_gib: the most that was held, on the GPU or else of main memory.
        changed: when the run last wrote a figure, in seconds since 1970.
    """

    name: str
    state: str
    problem: str | None = None
    model: str | None = None
    data: str | None = None
    rows: int | None = None
    epochs: float | None = None
    epochs_planned: float | None = None
    step: int | None = None
    steps: int | None = None
    best_epoch: float | None = None
    eval_loss: float | None = None
    tool_name_accuracy: float | None = None
    exact_match: float | None = None
    must_call_exact: float | None = None
    abstention: float | None = None
    balanced: float | None = None
    seconds: float | None = None
    samples_per_second: float | None = None
    tokens_per_second: float | None = None
    mfu: float | None = None
    memory_gib: float | None = None
    changed: float | None = None


FIGURES = [field.name for field in fields(RunRow) if field.type in (int | None, float | None)]
KEYS = ("changed", *(name for name in RunRow.__dataclass_fields__ if name not in ("problem", "changed")))


def list_runs(folder: Path, sort: str = "changed") -> list[RunRow]:
    """A row for each folder in the runs' folder, the newest first, or the best by a column; unreadable ones last.

    Raises:
        InputError: there is no such folder, or no such column.
    """
    if sort not in KEYS:
        close = difflib.get_close_matches(sort, KEYS, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"no column {sort!r}{hint}", where="--sort", fix=f"one of {', '.join(KEYS)}")
    if not folder.is_dir():
        raise InputError("there is no run yet", where=str(folder), fix="`python -m finetune train` makes one")
    runs = [p for p in sorted(folder.iterdir()) if p.is_dir() and p.name != "latest" and not p.name.startswith(".")]
    rows = [describe(run) for run in runs]
    known = [row for row in rows if asdict(row)[sort] is not None and row.state != UNREADABLE]
    known.sort(key=lambda row: asdict(row)[sort], reverse=BEST_FIRST.get(sort, 1) < 0)
    unknown = [row for row in rows if row not in known]
    return known + sorted(unknown, key=lambda row: row.state == UNREADABLE)


def describe(run: Path) -> RunRow:
    """The row of one folder; a broken or foreign one becomes a row that says why."""
    if not (run / "config.yaml").is_file():
        return RunRow(run.name, UNREADABLE, "not a run: it has no config.yaml")
    try:
        with looking(run):
            row = _row(run, read_history(run))
            unknown: dict[str, Any] = {key: None for key in FIGURES if not is_number(getattr(row, key))}
            return replace(row, **unknown)
    except (InputError, OSError) as e:
        return RunRow(run.name, UNREADABLE, str(e))


def _row(run: Path, history: History) -> RunRow:
    from finetune.report.tables import state
    from finetune.report.trained import pace, trained

    took, steps_pace = trained(history), pace(history)
    events = run / "metrics.jsonl"
    changed = (events if events.is_file() else run / "manifest.json").stat().st_mtime
    best, last, end = best_row(history) or {}, history.steps[-1] if history.steps else {}, history.end or {}
    made = max([0, *(row["step"] for row in [*history.steps[-1:], *history.epochs])])
    steps = history.manifest["steps"]
    planned = history.config.train.epochs
    if history.config.train.max_steps:
        planned = round(steps * history.manifest["effective_batch"] / history.manifest["rows"]["train"], 2)
    return RunRow(
        run.name,
        state(history, time.time() - changed),
        model=history.config.model.name,
        data=str(history.config.data.train),
        rows=history.manifest["rows"]["train"],
        epochs=end.get("epoch", last.get("epoch", 0.0)),
        epochs_planned=planned,
        step=made,
        steps=steps,
        best_epoch=best.get("epoch"),
        eval_loss=best.get("eval_loss"),
        **{key: best.get(key) for key in RATES},
        seconds=took.seconds if took else None,
        samples_per_second=took.samples_per_second if took else last.get("samples_per_second"),
        tokens_per_second=steps_pace.tokens_per_second if steps_pace else None,
        mfu=steps_pace.mfu if steps_pace else None,
        memory_gib=_memory(history),
        changed=changed,
    )


def _memory(history: History) -> float | None:
    if peak := peak_gib(history.manifest):
        return peak
    key = "gpu_memory_reserved" if history.manifest["device"]["kind"] == "cuda" else "memory"
    return max((event[key] for event in history.steps if event[key] is not None), default=None)


def runs_table(rows: list[RunRow], *, narrow: bool = False, lang: Language = "en") -> Table:
    """The rows as a table for the terminal; where that is narrow, without data, speed and memory."""
    run, data, *figures, state = phrase("runs.head").text(lang).split("|")
    left, figures = ([run], figures[:-3]) if narrow else ([run, data], figures)
    title = Text(phrase("runs.title", folder=runs_dir()).text(lang))
    note = phrase("runs.note").text(lang)
    table = Table(
        title=title, caption=note, title_justify="left", caption_justify="left", box=SIMPLE_HEAD, collapse_padding=True
    )
    for column in left:
        table.add_column(column, overflow="fold")
    for column in figures:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(state)
    for row in rows:
        stands = phrase(f"runs.{row.state}", step=row.step, steps=row.steps).text(lang)
        if row.problem:
            table.add_row(Text(row.name), *["–"] * (len(left) - 1 + len(figures)), stands, style="dim")
            continue
        speed = [_number(row.samples_per_second, ".2f"), _number(row.mfu, ".0%"), _number(row.memory_gib, ".1f")]
        table.add_row(
            Text(row.name),
            *([] if narrow else [Text(_data(row))]),
            f"{_number(row.epochs, '.3g')} / {_number(row.epochs_planned, '.3g')}",
            _number(row.best_epoch, "g"),
            _number(row.eval_loss, ".3f"),
            *map(whole_percent, (row.must_call_exact, row.abstention, row.balanced)),
            _time(row.seconds, lang),
            *([] if narrow else speed),
            stands,
        )
    return table


def runs_command(
    sort: Annotated[str, typer.Option(help=f"a column: {', '.join(KEYS)}")] = "changed",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON list, every column")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """List all runs: best epoch and its figures, time, speed, memory, and how each stands."""
    with errors_as_lines(debug):
        rows = list_runs(runs_dir(), sort)
        if as_json:
            print_json([asdict(row) for row in rows])
        else:
            console = Terminal()
            console.print(runs_table(rows, narrow=console.width < WIDE, lang=lang))
            for row in rows:
                if row.problem:
                    console.print(f"{row.name}: {row.problem}")


def _data(row: RunRow) -> str:
    """The training file in short: the folder's name where the file is just called train."""
    path = Path(row.data or "")
    return f"{path.parent.name if path.stem == 'train' else path.stem} ({row.rows})"


def _number(value: Any, form: str) -> str:
    return "–" if value is None else format(value, form)


def _time(seconds: float | None, lang: Language) -> str:
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    if minutes >= 60:
        return phrase("runs.hours", hours=minutes // 60, minutes=minutes % 60).text(lang)
    return phrase("runs.minutes", minutes=seconds / 60).text(lang)
