"""The run page: what its template and its script need, and plotly."""

import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from markupsafe import Markup

from finetune.diagnose import RunFinding, best_row, findings
from finetune.history import History, read_history
from finetune.report import tables
from finetune.report.curves import curves
from finetune.report.words import say, words
from tooltune.files import atomic_write
from tooltune.page import in_both, render
from tooltune.page.text import visible

HERE = Path(__file__).parent

SCRIPT_WORDS = ("line.", "panel.", "level.", "band.", "mark.", "region.", "axis.", "beyond.", "live.")
"""Keys that the page's script needs."""


def write_run_page(run: Path, *, other: Path | None = None, lang: str = "ko") -> Path:
    """Write `report.html` in a run's folder, of a run that is done, going on or cut short alike.

    The page needs nothing beside it and no network (`tooltune.page`). While the run goes on, it reloads itself.

    Args:
        other: a run to compare with; the page is then `report-<its name>.html`.
        lang: the language that the page opens in, ko or en; the reader can switch.

    Raises:
        InputError: a folder holds no run that began to train.
    """
    history = read_history(run)
    compared = read_history(other) if other else None
    recorded = _recorded(run)
    sides = [_side(history, recorded), *([_side(compared, _recorded(other))] if compared and other else [])]
    path = run / (f"report-{compared.name}.html" if compared else "report.html")
    page = _render(run, history, compared, sides, recorded, lang)
    with atomic_write(path) as f:
        f.write(page)
    return path


def _recorded(run: Path) -> float:
    events = run / "metrics.jsonl"
    return (events if events.is_file() else run / "manifest.json").stat().st_mtime


def _render(
    run: Path, history: History, other: History | None, sides: list[dict[str, Any]], recorded: float, lang: str
) -> str:
    drawn = curves(history)
    data = {
        "curves": {curve.key: asdict(curve) for curve in drawn},
        "other": {curve.key: asdict(curve) for curve in curves(other)} if other else {},
        "words": {key: both for key, both in words().items() if key.startswith(SCRIPT_WORDS)},
        "running": sides[0]["state"] == "running",
        "recorded": recorded,
    }
    return render(
        HERE,
        lang=lang,
        curves=True,
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        data=data,
        filters={"duration": tables.duration, "breakable": _breakable},
        say=say,
        in_both=in_both,
        code=Markup("<code>{}</code>").format,
        history=history,
        other=other,
        names=[visible(h.name) for h in (history, other) if h],
        state=sides[0]["state"],
        sides=sides,
        whose=Markup(' <span class="faint">{}</span>').format(sides[0]["name"]) if other else "",
        progress=tables.progress(history),
        figures=tables.key_figures(history),
        epochs=tables.epoch_rows(history),
        rates=tables.shown_rates(history),
        drawn=drawn,
        ends=tables.best_and_last(history),
        best=best_row(history),
        against=tables.against(history, other) if other else [],
        differences=tables.differences(history, other) if other else [],
        groups=tables.setting_groups(history),
        facts=tables.facts(history),
        packages=tables.packages(history),
        data_files=tables.data_files(history),
        evaluations=tables.evaluation_links(run),
        config_path=visible(str(Path("runs") / history.name / "config.yaml")),
    )


def _side(history: History, recorded: float) -> dict[str, Any]:
    """What is said of one run: its name, how it stands, a sentence, the findings, and what is as it should be."""
    now = tables.state(history, time.time() - recorded)
    found = findings(history)
    told = [_told(finding) for finding in found]
    faulty = bool(found) and found[0].level == "fault"
    key, values = tables.headline(history, now)
    return {
        "name": visible(history.name),
        "state": now,
        "title": told[0]["title"] if faulty else say(key, **values),
        "faulty": faulty,
        "findings": told,
        "usual": [_told(finding) for finding in findings(history, normal=True) if finding not in found],
    }


def _told(finding: RunFinding) -> dict[str, Any]:
    """A finding as the page has it: each part in both languages."""
    korean, english = asdict(finding.text("ko")), asdict(finding.text("en"))
    parts = {part: in_both(_with_code(korean[part]), _with_code(english[part])) for part in korean}
    return {"level": finding.level, **parts}


def _with_code(text: str) -> Markup:
    """Plain text with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(Markup.escape(visible(text)))))  # noqa: S704


def _breakable(key: str) -> Markup:
    """A config key that may be broken after its dots and underscores."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", str(Markup.escape(key))))  # noqa: S704
