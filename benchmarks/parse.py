"""`python -m benchmarks parse`: how many outputs a second the parsers read, each family on one core.

The outputs are the calls of the bundled test split as each family's chat template writes them, with the tools that
their rows offer. An output that does not come back as the calls it was made of ends the benchmark: a parser that
misreads has no speed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.results import result_path, save, spread
from data.load import load_records
from data.record import Record
from eval.formats import families
from eval.parse import parse_tool_calls, render_calls
from eval.parsed import ToolCall
from tooltune.cli import DEBUG, Debug, errors_as_lines
from tooltune.errors import InputError, JobFailed

ROWS = Path(__file__).resolve().parent.parent / "data" / "structural" / "test.jsonl"
PROMISE: dict[str, Any] = {"family": "hermes", "outputs_per_second": 20_000}
LONG = 16
"""Calls in a long output: about 1,700 characters, as many as 500 generated tokens."""

Tools = list[dict[str, Any]]


@dataclass(frozen=True)
class WrittenOutput:
    """What a model might have written, and the calls in it."""

    text: str
    tools: Tools
    calls: list[ToolCall]


def parse_command(
    family: Annotated[str | None, typer.Option(help="only this family")] = None,
    repeats: Annotated[int, typer.Option(min=3, help="timed repeats of each family")] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="at least so long a repeat")] = 0.3,
    json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
    out: Annotated[Path | None, typer.Option(help="a folder to keep the result and its report in")] = None,
    debug: Debug = DEBUG,
) -> None:
    """Outputs a second that the parsers read, each family on one core."""
    with errors_as_lines(debug):
        from benchmarks.report import finish
        from benchmarks.this_machine import machine
        from tooltune.console import Terminal

        here = machine()
        result = measure(load_records(ROWS), here, family=family, repeats=repeats, seconds=seconds)
        path = result_path(out, here["device"]["name"], "parse") if out else None
        if path:
            save(result, path)
        finish(result, path, Terminal(), as_json=json)


def measure(
    records: Sequence[Record], here: dict[str, Any], *, family: str | None, repeats: int, seconds: float
) -> dict[str, Any]:
    """The result of kind "parse".

    Args:
        here: `device` and `environment`, as `machine()` gives them.
        family: only this one; None: every family that can be rendered, and Hermes in three lengths.
        repeats: of each family; the median counts.
        seconds: at least so long a repeat.

    Raises:
        InputError: there is no such family, or it cannot be rendered.
        JobFailed: an output does not come back as the calls it was made of.
    """
    names = [family] if family else renderable()
    arms = []
    for name in names:
        outputs = rendered(records, name)
        arms.append(_arm(name, name, outputs, repeats, seconds))
        if name == PROMISE["family"]:
            arms.append(_arm(f"{name}, {LONG} calls", name, long_outputs(records, name), repeats, seconds))
            arms.append(_arm(f"{name}, no call", name, without_calls(records), repeats, seconds))
    result = {
        "kind": "parse",
        "date": time.strftime("%Y-%m-%d"),
        **here,
        "config": {},
        "settings": {"repeats": repeats, "seconds": seconds, "rows": ROWS.name},
        "complete": True,
        "valid": True,
        "promise": PROMISE if PROMISE["family"] in names else None,
        "arms": arms,
    }
    from benchmarks.report.verdict import told

    return result | {"verdict": told(result)}


def renderable() -> list[str]:
    """The name of every family that can be written."""
    return [module.names[0] for module in dict.fromkeys(families().values())]


def rendered(records: Sequence[Record], family: str) -> list[WrittenOutput]:
    """The calls of each row that has some, as the family writes them; what its format has no room for is left out.

    Raises:
        InputError: there is no such family, it cannot be written, or none of the rows can.
    """
    render_calls([ToolCall("f", {})], family)  # raises for the family itself
    outputs = []
    for record in records:
        calls = [ToolCall(call["name"], call["arguments"]) for call in record.gold]
        try:
            text = render_calls(calls, family) if calls else ""
        except InputError:  # several calls in a format for one
            continue
        if text:
            outputs.append(WrittenOutput(text, record.tools, calls))
    if not outputs:
        raise InputError(f"no row's calls can be written in the {family!r} format")
    return outputs


def long_outputs(records: Sequence[Record], family: str) -> list[WrittenOutput]:
    """The same calls, `LONG` to an output."""
    calls = [(ToolCall(c["name"], c["arguments"]), record.tools) for record in records for c in record.gold]
    found = []
    for start in range(0, len(calls), LONG):
        made = [call for call, _ in calls[start : start + LONG]]
        tools = {tool["function"]["name"]: tool for _, offered in calls[start : start + LONG] for tool in offered}
        found.append(WrittenOutput(render_calls(made, family), list(tools.values()), made))
    return found


def without_calls(records: Sequence[Record]) -> list[WrittenOutput]:
    """Answers in words: the parser looks for every other format in them before it gives up."""
    return [WrittenOutput(r.messages[-1]["content"], r.tools, []) for r in records if not r.gold]


def check(outputs: Sequence[WrittenOutput], family: str) -> None:
    """Read every output once.

    Raises:
        JobFailed: one does not come back as the calls it was made of.
    """
    for output in outputs:
        parsed = parse_tool_calls(output.text, family, output.tools)
        if parsed.calls != output.calls or (output.calls and not parsed.format_ok):
            raise JobFailed(f"the {family} parser misreads {output.text[:200]!r}", "see tests/eval/test_parse_cases.py")


def rate(run: Callable[[], None], count: int, seconds: float) -> float:
    """How many a second of processor time when `run` does `count`, run until `seconds` have passed.

    The process has one thread, so on a quiet machine this is the clock's time; on a busy one others do not count.
    """
    done, started = 0, time.process_time()
    while (passed := time.process_time() - started) < seconds:
        run()
        done += count
    return done / passed


def _arm(label: str, family: str, outputs: list[WrittenOutput], repeats: int, seconds: float) -> dict[str, Any]:
    check(outputs, family)  # warms up as well

    def run() -> None:
        for output in outputs:
            parse_tool_calls(output.text, family, output.tools)

    rates = [round(rate(run, len(outputs), seconds), 1) for _ in range(repeats)]
    mean = sum(len(output.text) for output in outputs) / len(outputs)
    size = sum(len(output.text.encode()) for output in outputs) / len(outputs)
    figures = spread(rates)
    return {
        "arm": label,
        "outputs": len(outputs),
        "mean_characters": round(mean, 1),
        "megabytes_per_second": round(figures["median"] * size / 1e6, 3),
        "runs": [{"repeat": i, "outputs_per_second": r} for i, r in enumerate(rates)],
        "summary": {"outputs_per_second": figures},
    }
