"""`python -m eval score`: score outputs that were made elsewhere."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines, print_json


def score_file(
    file: Annotated[Path, typer.Argument(help="JSON Lines: id, output (raw text), gold (calls), tools if they differ")],
    tools: Annotated[Path | None, typer.Option(help="a JSON list of the tools that every row offers")] = None,
    family: Annotated[str, typer.Option(help="the tool-call format of the model: hermes, llama3_json, …")] = "hermes",
    json_out: Annotated[bool, typer.Option("--json", help="write everything as JSON to standard output")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Score outputs of any model against their gold calls; the JSON can be given to `compare`."""
    with errors_as_lines(debug):
        from eval.outputs import gold_faults, read_outputs, read_tools
        from eval.scoring import score
        from eval.tables import apart_table, rates_table
        from eval.words import phrase
        from tooltune.console import Terminal, say

        unread: Counter[str] = Counter()
        samples = read_outputs(file, read_tools(tools) if tools else None, unread)
        result = score(samples, family=family)
        if unread:
            keys = ", ".join(f"{key} × {n}" for key, n in unread.items())
            say(phrase("score.unread", keys=keys).text(lang), stderr=True)
        if faults := gold_faults(samples):
            say(phrase("score.gold", n=len(faults), first=faults[0]).text(lang), stderr=True)
        if json_out:
            print_json(result)
            return
        console = Terminal()
        title = phrase("score.title", file=file.name, n=result["n"], family=family).text(lang)
        rates = {"strict": result["headline"], "repaired": result["repaired"]}
        columns = {phrase(f"score.{name}").text(lang): found for name, found in rates.items()}
        console.print(rates_table(title, columns, lang=lang))
        if any(found["count"] for found in result["apart"].values()):
            console.print(apart_table(result["apart"], lang))
