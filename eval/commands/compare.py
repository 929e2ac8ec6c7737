"""`python -m eval compare`: is one model better than another, or is it chance?"""

from typing import Annotated

import typer

from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines, print_json


def compare_runs(
    a: Annotated[str, typer.Argument(help="a run, a metrics.json, or what `score --json` wrote")],
    b: Annotated[str | None, typer.Argument(help="another; left out: A's base model against its tuned one")] = None,
    split: Annotated[str, typer.Option(help="which evaluation of a run")] = "test",
    json_out: Annotated[bool, typer.Option("--json", help="write the comparison as JSON to standard output")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Compare two evaluations on the same rows, with McNemar's exact test."""
    with errors_as_lines(debug):
        from eval.compare_runs import two_sides, verdict
        from eval.scoring import compare
        from eval.tables import compare_table
        from eval.words import phrase
        from tooltune.console import Terminal
        from tooltune.metrics import COMPARED
        from tooltune.run import looking

        with looking(f"{a} {b or ''}".strip(), "evaluate again, or give another file"):
            (name_a, scores_a), (name_b, scores_b) = two_sides(a, b, split)
            result = {"a": name_a, "b": name_b, **compare(scores_a, scores_b)}
        if json_out:
            print_json(result)
            return
        console = Terminal()
        if b is None:
            name_a, name_b = (phrase(f"table.{name}").text(lang) for name in (name_a, name_b))
        console.print(compare_table(result | {"a": name_a, "b": name_b}, lang))
        for key, metric in COMPARED.items():
            if key in result:
                said = verdict(result[key], name_a, name_b)
                console.print(f"{metric.name(lang)}: {said.text(lang)}")
