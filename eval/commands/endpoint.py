"""`python -m eval endpoint`: score a model behind any OpenAI-compatible server."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines, print_json


def endpoint(
    url: Annotated[str, typer.Option(help="the server: http://localhost:8000/v1 (vLLM, Ollama, llama.cpp, …)")],
    model: Annotated[str, typer.Option(help="the model's name on that server")],
    data: Annotated[Path, typer.Option(help="the rows to ask, in any format that training reads")],
    out: Annotated[Path | None, typer.Option(help="the folder for answers and scores [runs/endpoint-MODEL]")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="ask twice: also for the text that the server parsed (vLLM)")
    ] = False,
    family: Annotated[str, typer.Option(help="the tool-call format of the raw text")] = "hermes",
    limit: Annotated[int | None, typer.Option(min=1, help="only so many rows, spread over the file")] = None,
    max_tools: Annotated[int | None, typer.Option(min=1, help="offer at most so many tools a row")] = None,
    descriptions: Annotated[bool, typer.Option(help="with the tools' descriptions")] = True,
    domain: Annotated[
        str | None, typer.Option(help="what carries the calls out (Execution Accuracy): module:object, or installed")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="the longest answer")] = 512,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="requests at the same time")] = 4,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds for one answer")] = 120.0,
    retries: Annotated[int, typer.Option(min=0, help="further tries where the server is busy or gone")] = 4,
    json_out: Annotated[bool, typer.Option("--json", help="write the scores as JSON to standard output")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Ask a server for every row, go on where a killed run stopped, and score its tool calls."""
    with errors_as_lines(debug):
        from data.domain import load_domain
        from data.load import evenly_spaced, load_records
        from data.tools import with_visible_tools
        from eval.endpoint.answers import CALL_AS_TEXT, Asked, collect, raw_sample, server_sample
        from eval.endpoint.client import Server
        from eval.execution import execution_accuracy
        from eval.parse import parse_tool_calls
        from eval.scoring import score
        from eval.tables import rates_table
        from eval.words import phrase
        from tooltune.console import Terminal, progress
        from tooltune.files import writable, write_json
        from tooltune.run import runs_dir

        server = Server(url, timeout=timeout, retries=retries)
        parse_tool_calls("", family)  # a family or a domain that does not exist is told before anything is asked
        carries_out = load_domain(domain, "--domain")
        records = [
            with_visible_tools(r, max_tools=max_tools, descriptions=descriptions)
            for r in evenly_spaced(load_records(data), limit)
        ]
        folder = out or runs_dir() / f"endpoint-{re.sub(r'[^A-Za-z0-9.]+', '-', model).strip('-')}"
        writable(folder, folder=True)
        asked = Asked(model, str(data), max_tools, descriptions, max_tokens, raw)
        console = Terminal(stderr=json_out)
        console.print(phrase("endpoint.asking", model=model, url=server.endpoint, n=len(records)).text(lang))
        with progress(console) as bar:
            task = bar.add_task(phrase("endpoint.answers").text(lang), total=len(records), note="")
            answers = collect(
                server,
                asked,
                records,
                folder / "generations.jsonl",
                parallel=parallel,
                tick=lambda done: bar.update(task, completed=done),
            )
        sides = {"server": server_sample} | ({"raw": raw_sample} if raw else {})
        scores: dict[str, dict[str, Any]] = {}
        for name, sample in sides.items():
            samples = [sample(record, answers[record.id]) for record in records]
            if unread := sum(s.parsed is not None and CALL_AS_TEXT in s.parsed.problems for s in samples):
                more = "" if raw else phrase("endpoint.raw")
                console.print(phrase("endpoint.unread", n=unread, raw=more).text(lang))
            executed = execution_accuracy(records, samples, family, carries_out)
            scores[name] = score(samples, family) | {"execution": executed}
            write_json(folder / f"{name}.json", scores[name])
        if json_out:
            print_json(scores)
            return
        title = phrase("endpoint.title", model=model, file=data.name, n=len(records)).text(lang)
        executions = {name: result["execution"] for name, result in scores.items() if result["execution"]}
        rates = {name: result["headline"] for name, result in scores.items()}
        console.print(rates_table(title, rates, executions, lang))
        files = ", ".join(["generations.jsonl", *(f"{name}.json" for name in scores)])
        console.print(phrase("endpoint.files", folder=folder, files=files).text(lang))
