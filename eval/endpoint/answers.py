"""Every record's answer from a server, kept line by line; and what the server's own parser made of it.

A server hands out `tool_calls` that its parser cut out of the text, and not the text. Scored alone they blame the model
for the parser's faults, or hide the model's. With `raw` every prompt is therefore asked a second time under
`tool_choice: "none"`: vLLM then leaves the tools in the prompt and does not parse (its documentation, "Tool Calling",
section "None Function Calling"). A server that takes the tools away answers something else, which shows as no attempt.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from data.files import dump_json
from data.record import Record
from eval.endpoint.client import Server
from eval.formats.strict_json import Unreadable, strict_loads
from eval.kept import begin, fresh, question_digest, read_kept
from eval.parsed import Parsed, ToolCall
from eval.scoring import Sample

Answers = dict[str, dict[str, Any]]


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
    rows, _ = fresh(kept, questions)
    answers = {i: {"server": rows[i]["server"], "raw": rows[i]["raw"]} for i in questions if i in rows}
    missing = [record for record in records if record.id not in answers]
    tick(len(answers))
    begin(path, asdict(asked), rows.values())
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
    """The record's sample with the calls that the server read."""
    sample = Sample.from_record(record, answer["server"]["message"].get("content") or "")
    sample.truncated = answer["server"]["finish_reason"] == "length"
    sample.parsed = read_message(answer["server"]["message"], truncated=sample.truncated)
    return sample


def raw_sample(record: Record, answer: dict[str, Any]) -> Sample:
    """The record's sample with the model's own text."""
    raw = answer["raw"]
    text = raw["message"].get("content") or ""
    return Sample.from_record(record, text, truncated=raw["finish_reason"] == "length")


def read_message(message: dict[str, Any], truncated: bool = False) -> Parsed:
    """A message's `tool_calls` as a reading. Arguments come as JSON text; some servers send the object itself."""
    parsed = Parsed(
        json_valid=True, format_ok=True, truncated=truncated, text=str(message.get("content") or "").strip()
    )
    listed = message.get("tool_calls")
    for call in listed if isinstance(listed, list) else []:
        parsed.attempted = True
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        try:
            value = strict_loads(arguments) if isinstance(arguments, str) and arguments.strip() else arguments or {}
        except Unreadable as e:
            value = None
            parsed.problems.append(e.reason)
        if isinstance(name, str) and isinstance(value, dict):
            parsed.calls.append(ToolCall(name, value))
        else:
            parsed.json_valid = parsed.format_ok = False
            parsed.problems.append("arguments_not_object" if isinstance(name, str) else "no_name")
    return parsed


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
                written = {"name": function["name"], "arguments": dump_json(function["arguments"])}
                # Nine letters and digits: the only form that Mistral's template takes.
                calls.append({"id": f"call{number:05d}", "type": "function", "function": written})
            turn["tool_calls"], open_calls = calls, [call["id"] for call in calls]
            turn.setdefault("content", None)
        if turn["role"] == "tool" and open_calls:
            turn["tool_call_id"] = open_calls.pop(0)
        sent.append(turn)
    return sent


def _ask(server: Server, asked: Asked, record: Record) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": asked.model,
        "messages": wire(record.prompt),
        "temperature": 0,
        "max_tokens": asked.max_tokens,
    }
    tools: dict[str, Any] = {"tools": record.tools} if record.tools else {}
    answer = {"server": _kept(server.complete(body | tools)), "raw": None}
    if asked.raw:
        plain = {"tool_choice": "none", "skip_special_tokens": False} if record.tools else {}
        answer["raw"] = _kept(server.complete(body | tools | plain))
    return answer


def _kept(choice: dict[str, Any]) -> dict[str, Any]:
    message = {k: v for k, v in choice["message"].items() if k in ("content", "tool_calls", "reasoning_content") and v}
    return {"message": message, "finish_reason": choice["finish_reason"]}
