"""Every record's answer from a server, kept line by line; and what the server's own parser made of it.

A server hands out `tool_calls` that its parser cut out of the text, and not the text. Scored alone they blame the model
for the parser's faults, or hide the model's. With `raw` every prompt is therefore asked a second time under
`tool_choice: "none"`: vLLM then leaves the tools in the prompt and does not parse (its documentation, "Tool Calling",
section "None Function Calling"). A server that parses all the same (Ollama knows no `tool_choice`) is told apart by the
calls in its reply; one that takes the tools away answers something else, which shows as no attempt.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.record import Record
from data.render import whole_numbers
from eval.endpoint.client import Server
from eval.formats.strict_json import Unreadable, strict_loads
from eval.generation_cache import question_digest, read_kept, rewrite_kept, still_valid
from eval.parse import parse_tool_calls
from eval.parsed import Parsed, ToolCall
from eval.scoring import Sample
from tooltune.errors import InputError
from tooltune.files import dump_json

Answers = dict[str, dict[str, Any]]
CALL_AS_TEXT = "call_as_text"
"""The problem of an answer whose call the server's parser did not read."""
_KEPT = ("content", "tool_calls", "reasoning_content", "reasoning")  # a server calls its thoughts one or the other


@dataclass(frozen=True)
class Asked:
    """What decides what a server answers: answers are kept only where these are the same."""

    model: str
    data: str
    max_tools: int | None
    descriptions: bool
    max_tokens: int
    raw: bool


def collect(
    server: Server,
    asked: Asked,
    records: Sequence[Record],
    path: Path,
    *,
    parallel: int,
    tick: Callable[[int], None] = lambda done: None,
) -> Answers:
    """Ask for every record that `path` has no answer for, and append each answer when it comes.

    Returns:
        id → `{"server": choice, "raw": choice or None}`, a choice being `{"message", "finish_reason"}`.

    Raises:
        InputError, JobFailed: from the first request that fails for good; the answers until then are kept.
    """
    kept = read_kept(path, asdict(asked))
    if kept.changed:
        raise InputError(
            f"the answers that are there were asked for with other settings: {', '.join(kept.changed)}",
            where=str(path),
            fix="give another --out",
        )
    questions = {record.id: question_digest([wire(record.prompt), record.tools]) for record in records}
    rows, _ = still_valid(kept, questions)
    answers = {i: {"server": rows[i]["server"], "raw": rows[i]["raw"]} for i in questions if i in rows}
    missing = [record for record in records if record.id not in answers]
    tick(len(answers))
    rewrite_kept(path, asdict(asked), rows.values())
    with path.open("a", encoding="utf-8", newline="\n") as file, ThreadPoolExecutor(parallel) as pool:
        waiting = {pool.submit(_ask, server, asked, record): record.id for record in missing}
        try:
            for done in as_completed(waiting):
                i = waiting[done]
                answers[i] = done.result()
                file.write(dump_json({"id": i, "question": questions[i], **answers[i]}) + "\n")
                file.flush()
                tick(len(answers))
        finally:
            pool.shutdown(cancel_futures=True)
    return answers


def server_sample(record: Record, answer: dict[str, Any]) -> Sample:
    sample = Sample.from_record(record, _text(answer["server"]["message"]))
    sample.truncated = answer["server"]["finish_reason"] == "length"
    sample.parsed = read_message(answer["server"]["message"], sample.truncated, record.tools)
    return sample


def raw_sample(record: Record, answer: dict[str, Any]) -> Sample:
    """The record's sample with the model's own text."""
    raw = answer["raw"]
    return Sample.from_record(record, _text(raw["message"]), truncated=raw["finish_reason"] == "length")


def read_message(message: dict[str, Any], truncated: bool = False, tools: Sequence[dict[str, Any]] = ()) -> Parsed:
    """A message's `tool_calls` as a reading.

    Arguments come as JSON text; some servers send the object itself, or null or no text for none. Text that holds an
    object in a string once more is read, as in a model's own output, with `format_ok` False. A call that the server
    left in the text is no call, as no client would get one, and no refusal either: it counts as attempted.
    """
    parsed = Parsed(json_valid=True, format_ok=True, truncated=truncated, text=_text(message).strip())
    listed = message.get("tool_calls")
    for call in listed if isinstance(listed, list) else []:
        parsed.attempted = True
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        try:
            value = _arguments(arguments)
            if isinstance(value, str):
                value = _arguments(value)
                parsed.format_ok = False
                parsed.problems.append("string_arguments")
        except Unreadable as e:
            value = None
            parsed.problems.append(e.reason)
        if isinstance(name, str) and isinstance(value, dict):
            parsed.calls.append(ToolCall(name, value))
        else:
            parsed.json_valid = parsed.format_ok = False
            parsed.problems.append("arguments_not_object" if isinstance(name, str) else "no_name")
    if not parsed.attempted and parse_tool_calls(parsed.text, tools=tools).attempted:
        parsed.attempted, parsed.json_valid, parsed.format_ok = True, False, False
        parsed.problems.append(CALL_AS_TEXT)
    return parsed


def _arguments(value: Any) -> Any:
    """Arguments as they came, read where they are text; {} where there are none."""
    if isinstance(value, str) and value.strip():
        value = strict_loads(value)
    return {} if value is None or value == "" else value


def _text(message: dict[str, Any]) -> str:
    """A message's words: text, nothing, or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(content)


def wire(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A record's turns as the API wants them: arguments as JSON text, calls and their results tied by an id."""
    sent, open_calls, number = [], [], 0
    for message in messages:
        turn = dict(message)
        if turn.get("tool_calls"):
            calls = []
            for call in turn["tool_calls"]:
                number += 1
                function = call["function"]
                written = {"name": function["name"], "arguments": dump_json(whole_numbers(function["arguments"]))}
                # Nine letters and digits: the only form that Mistral's template takes.
                calls.append({"id": f"call{number:05d}", "type": "function", "function": written})
            turn["tool_calls"], open_calls = calls, [call["id"] for call in calls]
            turn.setdefault("content", None)
        if turn["role"] == "tool" and open_calls:
            turn["tool_call_id"] = open_calls.pop(0)
        sent.append(turn)
    return sent


def request(record: Record) -> dict[str, Any]:
    """A record's turns and tools as the API wants them, with whole numbers as they were trained.

    A server in Python would write 1.0 into the prompt where it is sent 1.0.
    """
    return {"messages": wire(record.prompt), **({"tools": whole_numbers(record.tools)} if record.tools else {})}


def _ask(server: Server, asked: Asked, record: Record) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": asked.model,
        **request(record),
        "temperature": 0,
        "max_tokens": asked.max_tokens,
        "stream": False,
    }
    try:
        answer = {"server": _kept(server.complete(body)), "raw": None}
        if asked.raw:
            plain = {"tool_choice": "none", "skip_special_tokens": False} if record.tools else {}
            answer["raw"] = _kept(server.complete(body | plain))
    except InputError as e:
        raise InputError(f"row {record.id}: {e.what}", where=e.where, fix=e.fix) from None
    if asked.raw and (answer["raw"] or {})["message"].get("tool_calls"):
        raise InputError(
            f"row {record.id}: the server reads calls although tool_choice is none, so its raw text is not available",
            where=server.endpoint,
            fix="leave --raw out; vLLM gives the text",
        )
    return answer


def _kept(choice: dict[str, Any]) -> dict[str, Any]:
    message = {key: value for key, value in choice["message"].items() if key in _KEPT and value}
    return {"message": message, "finish_reason": choice["finish_reason"]}
