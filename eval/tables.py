"""An evaluation in the terminal."""

from typing import Any

from rich.table import Table

from eval.words import bucket_name, phrase
from tooltune.metrics import BY_KIND, COMPARED, HEADLINE, METRICS, rate_text, whole_percent
from tooltune.words import Language, Phrase, in_language


def headline_table(metrics: dict[str, Any], lang: Language = "en") -> Table:
    """The headline metrics with 95 % intervals, base beside tuned; then execution, on the rows it can ask."""
    tuned, base = metrics["tuned"], metrics["base"]
    title = phrase("table.title", run=metrics["run"], split=metrics["split"], n=tuned["n"])
    models = {"base": base, "tuned": tuned}
    columns = {phrase(f"table.{name}").text(lang): m["headline"] for name, m in models.items() if m}
    done = metrics.get("execution") or {}
    executed = {phrase(f"table.{name}").text(lang): found for name, found in done.items()}
    return rates_table(title.text(lang), columns, executed, lang)


def rates_table(
    title: str,
    columns: dict[str, dict[str, Any]],
    executed: dict[str, dict[str, Any]] | None = None,
    lang: Language = "en",
) -> Table:
    """The headline metrics, a column for each result; one that a result does not have is a dash.

    Args:
        executed: what `execution_accuracy` found, by column; where it was asked, its own row.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for metric in HEADLINE:
        label = metric.name(lang)
        if metric.key in BY_KIND:
            label = phrase(f"note.{metric.key}", metric=label).text(lang)
        figures = [rate_text(rates[metric.key], 1) if metric.key in rates else "–" for rates in columns.values()]
        table.add_row(label, *figures)
    if executed:
        rates = [executed[name]["strict"] for name in columns]
        executions = phrase("table.executed", metric=METRICS["execution"].name(lang), n=rates[0]["n"])
        table.add_row(executions.text(lang), *[rate_text(rate, 1) for rate in rates])
    return table


def apart_table(apart: dict[str, Any], lang: Language = "en") -> Table:
    """The faults and oddities that were found, as the page calls them; those found nowhere left out."""
    from eval.report.words import words

    table = Table(title=phrase("apart.title").text(lang), title_justify="left")
    for column in phrase("apart.head").text(lang).split("|"):
        table.add_column(column, justify="right" if column else "left")
    for key, found in apart.items():
        if found["count"]:
            name = Phrase(words()[f"apart.{key}"]).text(lang)
            table.add_row(name, str(found["count"]), str(found["n"]), str(found.get("total", "")))
    return table


def compare_table(result: dict[str, Any], lang: Language = "en") -> Table:
    """What `scoring.compare` gives, under the names `result["a"]` and `result["b"]`.

    A figure a row: both rates, the difference in points, the samples that one alone gets right, McNemar's p-value.
    """
    a, b = result["a"], result["b"]
    title, caption = phrase("compare.title", a=a, b=b, n=result["n"]).text(lang), phrase("compare.p").text(lang)
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("")
    for column in (a, b):
        table.add_column(column, justify="right", min_width=len("(10.0–20.0)"))  # 80 columns wrap it there, at worst
    for head in (phrase("compare.points"), *(phrase("compare.only", name=name) for name in (a, b)), "p"):
        table.add_column(in_language(head, lang), justify="right")
    for key, metric in COMPARED.items():
        if key not in result:
            continue
        pair = result[key]
        n, name = pair["a"]["n"], metric.name(lang)
        table.add_row(
            name if n == result["n"] else phrase("compare.rows", metric=name, n=n).text(lang),
            *_rates(pair),
            str(pair["only_a"]),
            str(pair["only_b"]),
            f"{pair['p_value']:.4f}",
        )
        if key == "abstention":
            table.add_row(METRICS["balanced"].name(lang), *_rates(result["balanced"]), "–", "–", "–")
    return table


def _rates(pair: dict[str, Any]) -> tuple[str, str, str]:
    return rate_text(pair["a"], 1), rate_text(pair["b"], 1), f"{100 * pair['difference']:+.1f}"


def bucket_table(metrics: dict[str, Any], lang: Language = "en") -> Table:
    """Tool names, JSON and exact match by bucket, with the no-model probe beside them; where a bucket has rows with a
    call and rows without, these apart too."""
    buckets = metrics["tuned"]["slices"].get("bucket", {})
    probe = (metrics["probe"] or {}).get("by_bucket", {})
    mixed = any(row["balanced"]["value"] is not None for row in buckets.values())
    keys = ("tool_name_accuracy", "json_validity", "exact_match", *(BY_KIND if mixed else ()))
    title, bucket, rows, no_model = (
        phrase(f"buckets.{name}").text(lang) for name in ("title", "bucket", "rows", "probe")
    )
    table = Table(title=title, title_justify="left")
    table.add_column(bucket)
    for column in (rows, *(METRICS[key].column(lang) for key in keys), no_model):
        table.add_column(column, justify="right")
    for name, row in sorted(buckets.items()):
        rates = [whole_percent(row[key]["value"]) for key in keys]
        table.add_row(bucket_name(name).text(lang), str(row["n"]), *rates, whole_percent(probe.get(name)))
    return table
