"""What the page says in words and tables: how the run stands, its epochs, its settings, two runs beside each other."""

import json
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from eval.compare_runs import read_metrics
from finetune.diagnose import best_row, verdict_word, verdicts
from finetune.history import History
from finetune.rate import flops_text
from finetune.report.curves import memory_limit, memory_peak, number, overfitting_from
from finetune.report.trained import pace, trained
from tooltune.metrics import BY_KIND, EPOCH_TABLE, METRICS, percent
from tooltune.page.text import short, visible
from tooltune.run import Manifest

State = Literal["finished", "running", "stopped"]

SILENT = 1800.0
"""Seconds without a new figure after which a run counts as stopped: longer than an evaluation on a CPU takes."""

RATES = (*EPOCH_TABLE, "parameter_accuracy", "exact_match")
"""All of them stand where two evaluations are compared."""

LINKED_RATES = ("tool_name_accuracy", "exact_match", *BY_KIND)
ROLES = ("name", "arguments", "format", "text")
NEITHER_IS_BETTER = ("epoch", "seconds", "step_seconds", "train_loss")


def state(history: History, idle: float) -> State:
    """How the run stands.

    A training that closed without a best model was stopped by hand; one that fell silent, or whose last figures are no
    numbers, has stopped too (float16 apart: it meets such steps and skips them).

    Args:
        idle: seconds since the run wrote a figure.
    """
    if "best" in history.manifest:
        return "finished"
    last = history.steps[-1] if history.steps else {}
    broken = any(isinstance(last.get(key), str) for key in ("loss", "grad_norm"))
    if history.end or idle > SILENT or (broken and history.manifest.get("precision") != "float16"):
        return "stopped"
    return "running"


def progress(history: History) -> dict[str, Any]:
    """Steps made and to be made, and the seconds that the rest of the steps takes at the present speed (or None)."""
    done = history.steps[-1]["step"] if history.steps else 0
    done = max([done, *(row["step"] for row in history.epochs)])
    steps = history.manifest["steps"]
    speed = number(history.steps[-1].get("samples_per_second")) if history.steps else None
    left = (steps - done) * history.manifest["effective_batch"] / speed if speed else None
    return {"step": done, "steps": steps, "share": min(1.0, done / steps), "left": left}


def headline(history: History, now: State) -> tuple[str, dict[str, Any]]:
    """The key of the page's first sentence, and its values."""
    at = progress(history)
    if now != "finished":
        return f"headline.{now}" if at["step"] else "headline.waiting", at
    best, turn, epochs = best_row(history), overfitting_from(history), history.epochs
    if best is None:
        return "headline.unmeasured", at
    values = {"best": f"{best['epoch']:g}", "last": f"{epochs[-1]['epoch']:g}", "loss": f"{best['eval_loss']:.3f}"}
    if len(epochs) == 1:
        return "headline.once", values
    if turn is not None:
        return "headline.overfitting", values | {"turn": f"{turn:g}"}
    return "headline.rising" if best is epochs[-1] else "headline.best", values


def key_figures(history: History) -> list[dict[str, Any]]:
    """The few figures that stand first: key, value as text, and a note's key with its values."""
    best, took = best_row(history), trained(history)
    found: list[dict[str, Any]] = []
    if best:
        at = {"epoch": f"{best['epoch']:g}"}
        found.append({"key": "eval_loss", "value": f"{best['eval_loss']:.3f}", "note": "figure.at_epoch", "values": at})
        if (name := number(best.get("tool_name_accuracy"))) is not None:
            values = at | {"n": history.config.eval.generate}
            found.append(
                {"key": "tool_name_accuracy", "value": percent(name), "note": "figure.generated", "values": values}
            )
        must_call, abstention = (number(best.get(key)) for key in ("must_call_exact", "abstention"))
        if (balanced := number(best.get("balanced"))) is not None:
            values = {"must_call": percent(must_call), "abstention": percent(abstention)}
            found.append({"key": "balanced", "value": percent(balanced), "note": "figure.kinds", "values": values})
    elif history.steps and (loss := number(history.steps[-1]["loss"])) is not None:
        values = {"step": history.steps[-1]["step"]}
        found.append({"key": "train_loss", "value": f"{loss:.3f}", "note": "figure.at_step", "values": values})
    if took:
        values = {"speed": f"{took.samples_per_second:.2f}"}
        note = "figure.parts" if took.parts else "figure.speed"
        found.append({"key": "seconds", "value": duration(took.seconds), "note": note, "values": values})
    elif history.steps and (speed := number(history.steps[-1].get("samples_per_second"))):
        found.append({"key": "samples", "value": f"{speed:.2f}", "note": "figure.unit_speed", "values": {}})
    if found_pace := pace(history):
        rate = flops_text(history.manifest["matmul_gflops"])
        values = {"tokens": f"{found_pace.tokens_per_second:,.0f}", "rate": rate}
        found.append({"key": "mfu", "value": percent(found_pace.mfu), "note": "figure.pace", "values": values})
    peak, limit = memory_peak(history), memory_limit(history)
    if peak is None:
        seen = [number(event.get("gpu_memory_reserved")) or number(event.get("memory")) for event in history.steps]
        peak = max((value for value in seen if value is not None), default=None)
    if peak is not None:
        note, values = ("figure.of_limit", {"limit": f"{limit:.1f}"}) if limit else ("figure.no_limit", {})
        found.append({"key": "memory", "value": f"{peak:.1f} GiB", "note": note, "values": values})
    return found


def shown_rates(history: History) -> list[str]:
    """The rates that the epoch table has a column for: those that some evaluation measured."""
    return [key for key in EPOCH_TABLE if any(number(row.get(key)) is not None for row in history.epochs)]


def epoch_rows(history: History) -> list[dict[str, Any]]:
    """The epoch table, each row with its verdict in both languages and whether it is the best."""
    best, rates = best_row(history), shown_rates(history)
    return [
        {
            "epoch": f"{row['epoch']:g}",
            "step": row["step"],
            "train_loss": loss_text(row.get("train_loss")),
            "eval_loss": loss_text(row.get("eval_loss")),
            "rates": [(key, percent(number(row.get(key)))) for key in rates],
            "verdict": [verdict_word(word, "ko"), verdict_word(word, "en")],
            "tone": _tone(word),
            "best": row is best,
        }
        for row, word in zip(history.epochs, verdicts(history.epochs), strict=True)
    ]


def _tone(word: str) -> str:
    if word in ("overfitting", "worse", "much worse", "not learning"):
        return "bad"
    return "good" if word in ("best", "nearly converged", "improving fast") else "plain"


def best_and_last(history: History) -> list[dict[str, Any]]:
    """Every figure of the best evaluation beside the last one's; empty where they are the same."""
    best = best_row(history)
    if best is None or best is history.epochs[-1]:
        return []
    return [_pair(key, best, history.epochs[-1]) for key in _figures(best, history.epochs[-1])]


def against(history: History, other: History) -> list[dict[str, Any]]:
    """The best figures of two runs, and what they took."""
    one, two = _summary(history), _summary(other)
    keys = ["epoch", *_figures(one, two), "seconds", "step_seconds", "speed", "tokens_per_second", "mfu", "memory"]
    return [
        _pair(key, one, two) for key in keys if number(one.get(key)) is not None or number(two.get(key)) is not None
    ]


def _summary(history: History) -> dict[str, Any]:
    took, steps = trained(history), pace(history)
    return {
        **(best_row(history) or {}),
        "seconds" if took and not took.parts else "step_seconds": took.seconds if took else None,
        "speed": took.samples_per_second if took and not took.parts else None,
        "tokens_per_second": steps.tokens_per_second if steps else None,
        "mfu": steps.mfu if steps else None,
        "memory": memory_peak(history),
    }


def _figures(*rows: dict[str, Any]) -> list[str]:
    keys = ["train_loss", "eval_loss", *(f"eval_loss_{role}" for role in ROLES), *RATES]
    return [key for key in keys if any(number(row.get(key)) is not None for row in rows)]


def _pair(key: str, one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """Two values of a figure as text, the way from the first to the second, and whether it is for the better."""
    a, b = number(one.get(key)), number(two.get(key))
    change, tone = "", "plain"
    if a is not None and b is not None and key != "epoch":
        change = _change(key, b - a, a)
        if change != "=" and key not in NEITHER_IS_BETTER and abs(b - a) > 0.005 * max(abs(a), abs(b)):
            lower = METRICS[key].lower if key in METRICS else "loss" in key or key == "memory"
            tone = "good" if (b < a) == lower else "bad"
    return {"key": key, "one": _value(key, a), "two": _value(key, b), "change": change, "tone": tone}


def _value(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key in (*RATES, "mfu"):
        return percent(value)
    if key == "tokens_per_second":
        return f"{value:,.0f}"
    if key in ("seconds", "step_seconds"):
        return duration(value)
    return {"epoch": f"{value:g}", "speed": f"{value:.2f}", "memory": f"{value:.1f} GiB"}.get(key, f"{value:.3f}")


def _change(key: str, difference: float, before: float) -> str:
    if key in (*RATES, "mfu"):
        text = f"{100 * difference:+.1f} %p"
    elif key in ("seconds", "step_seconds", "speed", "tokens_per_second"):
        text = f"{100 * difference / before:+.0f}%" if before else ""
    else:
        text = f"{difference:+.1f} GiB" if key == "memory" else f"{difference:+.3f}"
    return "=" if text.startswith(("+0.000", "-0.000", "+0.0 ", "-0.0 ", "+0%", "-0%")) else text.replace("-", "−")


def setting_groups(history: History) -> list[dict[str, Any]]:
    return [
        {"name": name, "rows": [(key, setting(value)) for key, value in _flat(section, "").items()]}
        for name, section in history.config.model_dump(mode="json").items()
        if isinstance(section, dict)
    ]


def facts(history: History) -> list[tuple[str, str]]:
    """The machine and the versions that the figures depend on: name and value."""
    manifest = history.manifest
    device = manifest.get("device") or {}
    speed = (
        f"{flops_text(manifest['matmul_gflops'])} ({manifest['matmul_dtype']})" if "matmul_gflops" in manifest else None
    )
    rows = [
        ("device", device.get("name")),
        ("device_memory", f"{device['memory_gib']} GiB" if "memory_gib" in device else None),
        ("matmul", speed),
        ("precision", manifest.get("precision")),
        ("attention", manifest.get("attention")),
        ("template", " · ".join(map(str, (manifest.get("template") or {}).values()))),
        ("longest_row", manifest.get("longest_row")),
        ("dropped", _dropped(manifest)),
        ("seed", manifest.get("seed")),
        ("python", manifest.get("python")),
        ("platform", manifest.get("platform")),
        ("cuda", _cuda(manifest)),
        ("driver", manifest.get("driver")),
        ("git_commit", str(manifest.get("git_commit") or "")[:12]),
    ]
    return [(key, short(str(value))) for key, value in rows if value not in (None, "")]


def _cuda(manifest: Manifest) -> str | None:
    """The CUDA of a run on a GPU; torch has one on a processor too."""
    return manifest.get("cuda") if (manifest.get("device") or {}).get("kind") == "cuda" else None


def _dropped(manifest: Manifest) -> str:
    dropped = manifest.get("dropped") or {}
    return " / ".join(str(len(ids) if isinstance(ids, list) else ids) for ids in dropped.values())


def packages(history: History) -> list[tuple[str, str]]:
    return [(short(str(k)), short(str(v))) for k, v in (history.manifest.get("packages") or {}).items()]


def data_files(history: History) -> list[tuple[str, str]]:
    """Data file and the start of its SHA-256."""
    return [(short(str(k)), short(str(v))[:12]) for k, v in (history.manifest.get("data") or {}).items()]


def differences(history: History, other: History) -> list[tuple[str, str, str]]:
    """Settings, machine and versions that two runs do not share: key, and the value of each."""
    one, two = _circumstances(history), _circumstances(other)
    keys = [key for key in {**one, **two} if one.get(key) != two.get(key)]
    return [(visible(key), setting(one.get(key)), setting(two.get(key))) for key in keys]


def _circumstances(history: History) -> dict[str, Any]:
    settings = {k: v for k, v in history.config.model_dump(mode="json").items() if k != "name"}
    manifest = {
        key: history.manifest.get(key)
        for key in ("device", "precision", "attention", "template", "rows", "data", "packages", "git_commit")
    } | {"cuda": _cuda(history.manifest)}
    return _flat(settings, "") | _flat(manifest, "")


def _flat(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + str(key): value}
    return found


def setting(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return short(", ".join(value))
    if isinstance(value, float):
        return f"{value:g}"
    return short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def evaluation_links(run: Path) -> list[dict[str, Any]]:
    """The reports of whole splits in the run's folder: split, address beside the page, its figures."""
    links = []
    for page in sorted(run.glob("eval/*/report.html")):
        split, measured = page.parent.name, page.with_name("metrics.json")
        metrics = read_metrics(measured) if measured.is_file() else {}
        rows = metrics.get("rows")
        if rows and rows["scored"] < rows["of"]:
            continue
        headline = metrics["tuned"]["headline"] if metrics else {}
        figures = [(key, percent(headline[key]["value"])) for key in LINKED_RATES if key in headline]
        links.append({"split": short(split), "href": f"eval/{quote(split)}/report.html", "figures": figures})
    return links


def loss_text(value: Any) -> str:
    found = number(value)
    return "–" if found is None else f"{found:.3f}"


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss, which read alike in every language."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
