"""`python -m eval score`: score outputs that were made elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from tooltune.cli import DEBUG, Debug, errors_as_lines, print_json


def score_file(
    file: Annotated[Path, typer.Argument(help="JSON Lines: id, output (raw text), gold (calls), tools if they differ")],
    tools: Annotated[Path | None, typer.Option(help="a JSON list of the tools that every row offers")] = None,
    family: Annotated[str, typer.Option(help="the tool-call format of the model: hermes, llama3_json, …")] = "hermes",
    json_out: Annotated[bool, typer.Option("--json", help="write everything as JSON to standard output")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Score outputs of any model against their gold calls; the JSON can be given to `compare`."""
    with errors_as_lines(debug):
        from eval.outputs import gold_faults, read_outputs, read_tools
        from eval.scoring import score
        from eval.tables import apart_table, rates_table
        from tooltune.console import Terminal

        samples = read_outputs(file, read_tools(tools) if tools else None)
        result = score(samples, family=family)
        if faults := gold_faults(samples):
            said = f"{len(faults)} gold calls do not match the schemas of their tools, the first of"
            typer.echo(f"warning: {said} {faults[0]}; scored as they are, correct them or the schemas", err=True)
        if json_out:
            print_json(result)
            return
        console = Terminal()
        title = f"{file.name}, {result['n']} rows, read as {family}"
        rates = {"strict": result["headline"], "repaired": result["repaired"]}
        console.print(rates_table(title, rates))
        if any(found["count"] for found in result["apart"].values()):
            console.print(apart_table(result["apart"]))
