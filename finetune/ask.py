"""`python -m finetune ask`: requests typed at a run's model, and the calls that it answers with."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.record import Record
from tooltune.cli import DEBUG, BaseModel, Debug, errors_as_lines, json_for
from tooltune.console import input_lines
from tooltune.errors import InputError
from tooltune.files import dump_json
from tooltune.page.text import visible

if TYPE_CHECKING:
    from eval.generate import Output
    from eval.prefixes import Beginning
    from eval.trained import Trained


def ask_command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] [REQUEST ...]",
            help="a run's name or folder (the newest when left out), then requests; without any, each line of standard "
            "input is one",
        ),
    ] = None,
    row: Annotated[str | None, typer.Option(help="ask with the system turn and the tools of this row")] = None,
    tools: Annotated[Path | None, typer.Option(help="ask with the tools of this file, a JSON list of schemas")] = None,
    model: BaseModel = None,
    as_json: Annotated[bool, typer.Option("--json", help="an answer is one line of JSON")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Ask a run's model: the calls it answers with, and whether they fit the tools that it was offered."""
    with errors_as_lines(debug):
        from eval.trained import load_tuned, prepare, read_trained
        from tooltune.console import quiet

        folder, requests = run_and_requests(arguments or [])
        trained = read_trained(folder, model)
        encoding = sys.stdout.encoding
        # standard error goes to the log
        heard = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace")
        with heard as notes, quiet(folder / "log.txt") as console:

            def say(line: str) -> None:
                print(visible(line), file=notes, flush=True)  # answers alone go to standard output

            prepare(trained)
            context = read_context(trained, row, tools)
            say(f"{folder.name}, {context.described()}")
            say("Loading the model (seconds to a minute, once) …")
            tuned = load_tuned(trained, say)
            kept = read_ahead(trained, tuned, context)
            for together in [requests] if requests else ([line] for line in _typed(say)):
                for answer in ask(trained, tuned, context, together, say, kept):
                    lines = answer.lines(len(requests) > 1)
                    said = json_for(encoding, answer.to_dict()) if as_json else "\n".join(lines)
                    console.out(said)


def run_and_requests(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """The run that the first argument names, else the newest; the other arguments.

    Raises:
        InputError: there is no run, or it never began to train.
    """
    from tooltune.run import find_run, runs_dir

    first, *others = arguments or [""]
    # os.path: a long request is no file's name, at which Path.is_dir raises an error
    if first and (first == "latest" or os.path.isdir(first) or os.path.isdir(runs_dir() / first)):  # noqa: PTH112
        return find_run(first), others
    return find_run(), list(arguments)


@dataclass(frozen=True)
class Context:
    """What stands before a request.

    Attributes:
        system: the system turn, or nothing.
        tools: those that are offered, as the run's rows show them.
        origin: where both are from, for people.
    """

    system: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    origin: str

    def described(self) -> str:
        """One line: which tools, and what the system turn says."""
        names = ", ".join(tool["function"]["name"] for tool in self.tools) or "no tools"
        system = " / ".join(turn["content"].replace("\n", " / ") for turn in self.system) or "no system turn"
        return f"{self.origin}: {names}; {system}"

    def record(self, request: str) -> Record:
        """A row that ends in the request; its answer is a placeholder, which no prompt holds."""
        answer = {"role": "assistant", "content": "."}
        return Record("request", [*self.system, {"role": "user", "content": request}, answer], self.tools)


def read_context(trained: "Trained", row: str | None = None, tools: Path | None = None) -> Context:
    """The context of a row of the run's data, or the tools of a file; the tokenizer learns how answers end.

    Args:
        row: the id of a row of any split; None: the validation row with the most tools, the first of them, if need be
            one whose tools were renamed.
        tools: a JSON list of function schemas, shown under the first line of the system turn where all validation rows
            have the same.

    Raises:
        InputError: both are given, there is no such row, or the file holds no tools.
    """
    from data.load import read_splits, row_of
    from data.render import align_end_token, render
    from data.validate import offered
    from eval.outputs import read_tools

    if row and tools:
        raise InputError("both a row and a file of tools were given", where="--tools", fix="give one of them")
    splits = read_splits(trained.config.data)
    if tools:
        found = read_tools(tools)
        offered(found, str(tools))
        line = usual_line(splits["validation"])
        system = [{"role": "system", "content": line}] if line else []
        shown = trained.view(Record("", [], found, {"relevant_tools": [t["function"]["name"] for t in found]}))
        context = Context(system, shown.tools, f"tools of {tools}")
    else:
        rows = [record for name in ("test", "train", "validation") for record in splits[name]]
        record = row_of(rows, row, "the run's data") if row else _fullest(splits["validation"])
        system = [turn for turn in record.messages[:1] if turn["role"] == "system"]
        context = Context(system, record.tools, f"asked as in row {record.id}")
    example = render(splits["validation"][0], trained.tokenizer, trained.template)
    align_end_token(trained.tokenizer, [example])
    return context


def usual_line(records: Iterable[Record]) -> str:
    """The first line of the system turn where all rows have the same one, else the empty string."""
    first = [record.messages[0] for record in records]
    lines = {turn["content"].split("\n")[0] if turn["role"] == "system" else "" for turn in first}
    return lines.pop() if len(lines) == 1 else ""


def _fullest(records: Iterable[Record]) -> Record:
    return max(records, key=lambda r: ("renamed" not in r.meta, len(r.tools)))


def read_ahead(trained: "Trained", model: Any, context: Context) -> "Beginning | None":
    """What the model makes of the system turn and the tools, read once for all requests."""
    from data.render import render_prompt
    from eval.generate import begin
    from eval.prefixes import shared_tokens

    prompts = [render_prompt(context.record(r), trained.tokenizer, trained.template) for r in ("", "1")]
    return begin(model, prompts[0][: shared_tokens(*prompts)])


def ask(
    trained: "Trained",
    model: Any,
    context: Context,
    requests: Sequence[str],
    say: Callable[[str], None],
    kept: "Beginning | None" = None,
) -> "list[Answer]":
    """The answer to each request; they are asked side by side where the model is decoded on a CPU.

    Args:
        say: told where memory ran out and fewer are asked at a time.
        kept: what `read_ahead` has read, which is not read again; None: nothing.

    Raises:
        NoRoom: memory ran out with a single request.
    """
    from data.render import render_prompt
    from eval.cpu_decoding import decodes
    from eval.generate import generate, saying, usual_batch

    limit = trained.config.eval.max_new_tokens
    prompts = [render_prompt(context.record(r), trained.tokenizer, trained.template) for r in requests]
    # padding, which a GPU's batches have, would have to be checked first (`safe_batch`)
    batch = usual_batch(model, prompts, max_new_tokens=limit) if decodes(model) else 1
    outputs = generate(
        model, trained.tokenizer, prompts, max_new_tokens=limit, batch=batch, shrunk=saying(say), kept=kept
    )
    family = trained.template.family
    return [judge(r, output, context.tools, family) for r, output in zip(requests, outputs, strict=True)]


@dataclass(frozen=True)
class Call:
    """One call, and how it breaks the schemas that were offered; `errors` is empty where it is valid."""

    name: str
    arguments: dict[str, Any]
    errors: list[str]

    @property
    def line(self) -> str:
        """`name(arg=value, …)` with values as JSON, and the verdict."""
        values = ", ".join(f"{key}={dump_json(value)}" for key, value in self.arguments.items())
        return f"{self.name}({values})  " + (f"✗ {'; '.join(self.errors)}" if self.errors else "✓ valid")


@dataclass(frozen=True)
class Answer:
    """What the model answered to a request.

    Attributes:
        calls: those that could be read, repairs included.
        text: what it wrote besides.
        problem: why a strict client gets no call although there is an attempt; "" where nothing is wrong.
    """

    request: str
    calls: list[Call]
    text: str
    problem: str

    @property
    def valid(self) -> bool:
        """Every call can be read strictly and fits its schema; an answer without a call is valid too."""
        return not self.problem and not any(call.errors for call in self.calls)

    def lines(self, with_request: bool = False) -> list[str]:
        """The answer as people read it: a call a line, or the text."""
        head = [f"> {self.request}"] if with_request else []
        text = [self.text] if self.text else []
        problem = [f"✗ {self.problem}"] if self.problem else []
        return [*head, *(call.line for call in self.calls), *text, *problem]

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON."""
        return asdict(self) | {"valid": self.valid}


def judge(request: str, output: "Output", tools: list[dict[str, Any]], family: str) -> Answer:
    """Read an output and hold its calls to the JSON schemas of the tools that were offered."""
    from data.validate import offered, schema_errors
    from eval.parse import parse_tool_calls

    schemas = offered(tools)
    parsed = parse_tool_calls(output.text, family, tools, output.truncated)
    calls = [
        Call(c.name, c.arguments, schema_errors(c.arguments, schemas[c.name]) if c.name in schemas else ["not offered"])
        for c in parsed.calls
    ]
    problem = ""
    if output.truncated:
        problem = f"cut off after {output.tokens} tokens (eval.max_new_tokens)"
    elif parsed.attempted and not parsed.strict_calls:
        problem = f"not written as a call has to be: {', '.join(parsed.problems)}"
    return Answer(request, calls, parsed.text, problem)


def _typed(say: Callable[[str], None]) -> Iterator[str]:
    """The lines of standard input that hold something."""
    if sys.stdin.isatty():
        say("Type a request and Enter; Ctrl-D ends.")
    for line in input_lines():
        if line.strip():
            yield line.strip()
