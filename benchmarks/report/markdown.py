"""A result as Markdown: the verdict and the tables, for the file beside the JSON and for the READMEs."""

import re
from html import escape
from typing import Any

from benchmarks.report.anchors import anchors
from benchmarks.report.tables import Table, machine_rate, tables, whole
from benchmarks.report.verdict import verdict
from benchmarks.report.words import say
from tooltune.page.text import short
from tooltune.words import Language, in_language


def markdown(result: dict[str, Any], lang: Language) -> str:
    result = whole(result)
    top = verdict(result)
    parts = [
        f"# {_say('page.title.' + result['kind'], lang)}",
        f"**{top.headline.text(lang, plain)}**",
        *labels(result, lang),
        "\n".join(f"- {fact.text(lang, plain)}" for fact in top.facts),
        line(result, lang),
    ]
    for table in [*tables(result), *filter(None, [anchors(result)])]:
        parts += [f"## {table.title.text(lang, plain)}", markdown_table(table, lang)]
    if result["kind"] == "train":
        parts.append(_say("chart.two_rates", lang))
    parts.append("\n".join(f"- {plain(note)}" for note in result["settings"].get("notes", [])))
    return "\n\n".join(part for part in parts if part) + "\n"


def block(result: dict[str, Any], lang: Language) -> str:
    """What a README shows of a result: one line on where it was measured, the first table, the verdict."""
    result = whole(result)
    top = verdict(result)
    facts = (f"{fact.text(lang, plain).rstrip('.')}." for fact in top.facts)
    said = " ".join([f"**{top.headline.text(lang, plain)}.**", *facts])
    parts = [line(result, lang), *labels(result, lang), markdown_table(tables(result)[0], lang), said]
    if table := anchors(result):
        parts += [f"{table.title.text(lang, plain)}:", markdown_table(table, lang)]
    return "\n\n".join(parts)


def line(result: dict[str, Any], lang: Language) -> str:
    """Device and its matmul rate, date, the versions that decide the figures, and how often it was repeated."""
    packages = result["environment"]["packages"]
    names = ("torch", "transformers", "trl", "unsloth")
    versions = ", ".join(f"{name} {plain(packages[name])}" for name in names if name in packages)
    rate = machine_rate(result)
    machine = [plain(result["device"]["name"]), *([rate.text(lang, plain)] if rate else [])]
    said = [*machine, plain(result["date"]), versions]
    if repeats := result["settings"].get("repeats"):
        said.append(_say("record.repeats", lang, n=repeats))
    return "; ".join(part for part in said if part) + "."


def labels(result: dict[str, Any], lang: Language) -> list[str]:
    """What a reader must know before any figure: invalid, incomplete, an emulated budget."""
    found = []
    if not result["valid"]:
        found.append(f"> **{_say('label.invalid', lang)}.** {_say('note.invalid', lang)}")
    if not result["complete"]:
        found.append(f"> **{_say('label.incomplete', lang)}.** {_say('note.incomplete', lang)}")
    if result["emulated"]:
        found.append(f"> {_say('note.emulated', lang, budget=result['budget_gib'])}")
    return found


def markdown_table(table: Table, lang: Language) -> str:
    head = "| " + " | ".join(name.text(lang, plain) for name, _ in table.columns) + " |"
    rule = "|" + "|".join("---:" if figures else "---" for _, figures in table.columns) + "|"
    rows = ["| " + " | ".join(in_language(cell, lang, plain) for cell in row) + " |" for row in table.rows]
    return "\n".join([head, rule, *rows])


def plain(text: str) -> str:
    """Text from outside as Markdown that says just that: one line, no markup, no HTML."""
    flat = " ".join(short(text).split())
    return re.sub(r"([\\`*_\[\]|#~!$])", r"\\\1", escape(flat, quote=False))


def _say(key: str, lang: Language, **values: Any) -> str:
    return say(key, **values).text(lang, plain)
