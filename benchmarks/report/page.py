"""The page of a result: what its template needs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.report.anchors import anchors
from benchmarks.report.charts import curve_words, groups
from benchmarks.report.tables import arm_name, machine_rate, shape_name, status_of, tables
from benchmarks.report.verdict import verdict
from benchmarks.report.words import say
from tooltune.files import atomic_write
from tooltune.page import render
from tooltune.page.text import short
from tooltune.words import Phrase

HERE = Path(__file__).parent


def write_page(path: Path, result: dict[str, Any], *, lang: str = "ko") -> None:
    """Write the page.

    Args:
        lang: the language that the page opens in, ko or en; the reader can switch.
    """
    drawn = groups(result)
    curves = [chart.curve for group in drawn for column in group.columns for chart in column]
    data = {"curves": {curve.key: asdict(curve) for curve in curves}, "other": {}, "words": curve_words(result)}
    page = render(
        HERE,
        lang=lang,
        styles=("bench.css",),
        script=(HERE / "page.js").read_text(encoding="utf-8") if curves else "",
        curves=bool(curves),
        data=data if curves else None,
        filters={"cell": _cell},
        say=say,
        flat=flat,
        result=result,
        verdict=verdict(result),
        groups=drawn,
        tables=[*tables(result), *filter(None, [anchors(result)])],
        machine_rate=machine_rate(result),
        failures=failures(result),
        fused=fused(result),
        warnings=warnings(result),
        how=how(result),
    )
    with atomic_write(path) as f:
        f.write(page)


def failures(result: dict[str, Any]) -> list[tuple[Phrase, Phrase, str]]:
    """What did not come to its end: where, how, and the reason that was given; equal ones of an arm once."""
    found: dict[tuple[str, str, str], tuple[Phrase, Phrase, str]] = {}
    if result["kind"] == "train":
        for shape in result["shapes"]:
            for arm in shape["arms"]:
                where = say("section.failures.arm", shape=shape_name(shape), arm=arm_name(arm))
                rows = [run for run in arm["runs"] if run["status"] != "ok"]
                for row in rows or ([arm] if arm["status"] != "ok" else []):
                    found[shape["shape"], arm["arm"], f"{row['status']} {row['reason']}"] = _failure(where, row)
    else:
        for arm in result["arms"]:
            if arm.get("status", "ok") != "ok":
                found[arm["arm"], "", ""] = _failure(say("section.failures.name", arm=arm_name(arm)), arm)
    return list(found.values())


def _failure(where: Phrase, row: dict[str, Any]) -> tuple[Phrase, Phrase, str]:
    return where, status_of(row), short(str(row["reason"] or ""))


def fused(result: dict[str, Any]) -> list[tuple[str, dict[str, list[int]]]]:
    """Each arm that has fused paths, with layers done and of how many."""
    found: dict[str, dict[str, list[int]]] = {}
    for arm in _arms(result):
        for run in arm["runs"]:
            if run.get("fused"):
                found.setdefault(arm["arm"], run["fused"])
    return [(short(name), paths) for name, paths in found.items()]


def warnings(result: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Each arm's warnings, equal ones once."""
    found: dict[str, dict[str, None]] = {}
    for arm in _arms(result):
        for run in arm["runs"]:
            found.setdefault(arm["arm"], {}).update(dict.fromkeys(map(short, run.get("warnings") or [])))
    return [(short(name), list(texts)) for name, texts in found.items() if texts]


def _arms(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [arm for shape in result.get("shapes", []) for arm in shape["arms"]]


def how(result: dict[str, Any]) -> list[tuple[Phrase, list[tuple[str, str]]]]:
    """Settings and environment as names and values."""
    environment = {k: v for k, v in result["environment"].items() if k != "packages" and v is not None}
    groups = [
        (say("how.settings"), {k: v for k, v in result["settings"].items() if k != "notes"}),
        (say("how.packages"), result["environment"]["packages"]),
        (say("how.environment"), environment),
    ]
    return [(name, flat(values)) for name, values in groups if values]


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names and values; what is null or empty is left out."""
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{name}.")
        elif value is not None and value != []:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            found.append((short(prefix + str(name)), short(text)))
    return found


def _cell(value: Any) -> Any:
    return value if isinstance(value, Phrase) else short(str(value))
