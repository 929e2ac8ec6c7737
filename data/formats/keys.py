"""The one list of the keys that readers understand, and what a row loses when it becomes a record.

Nothing is dropped in silence: a key that is not listed here is counted. What a row or a turn says of its own training
and worth is in `data.formats.marks`.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from data.formats.literals import decode
from data.formats.marks import is_mark, refuse_bad, verdict, weight_of
from data.words import fault, phrase
from tooltune.errors import InputError
from tooltune.words import Phrase

_MESSAGES = "id messages tools meta"
_CONVERSATIONS = "id conversations tools system meta split"
ROW = {
    "records": _MESSAGES,
    "OpenAI messages": f"{_MESSAGES} functions system split",
    "ShareGPT": _CONVERSATIONS,
    "Hermes": _CONVERSATIONS,
    "ToolACE": _CONVERSATIONS,
    "Glaive v2": "id system chat meta split",
    "TRL prompt/completion": "id prompt completion tools system meta split",
    "xLAM": "id query tools answers meta split",
    "BFCL": "id question function ground_truth involved_classes excluded_function missed_function meta split",
    "FunctionChat-Bench": "id query tools ground_truth acceptable_arguments dialog_num turns input_messages input_tools"
    " serial_num type_of_output bucket meta split",
}
"""The keys of a row, for each format."""
ROLES = {
    "system": "system developer",
    "user": "user human",
    "assistant": "assistant gpt model bot chatgpt",
    "tool": "tool observation ipython tool_response function_response tool_result",
    "call": "function_call tool_call",
}
"""The roles of a turn, each with its spellings."""
ROLE = {spelling: role for role, spellings in ROLES.items() for spelling in spellings.split()}
TURN = {"role", "from", "content", "value"}
"""The keys of every turn, besides those that follow."""
ANSWER = {"tool_calls", "function_call", "refusal"}
"""More keys of an assistant's turn."""
RESULT = {"name", "tool_call_id"}
"""More keys of a tool's turn."""
REASONING = ("reasoning_content", "reasoning", "thinking", "thought")
"""Keys of what an answer's author thought; the first is the record's."""
PART = {"type", "text", "value", "refusal", *REASONING}
"""The keys of a content part."""
ARGUMENTS = ("arguments", "parameters", "args", "input")
"""Keys of a call's arguments."""
CALL = {"id", "type", "index", "call_id", "function", "name", *ARGUMENTS}
"""The keys of a call, and of the function in it."""
_TURNS = ("messages", "conversations", "prompt", "completion", "question", "input_messages")


@dataclass(frozen=True)
class DataLoss:
    """One kind of thing that rows lose, or that is done to them.

    Attributes:
        level: as in a finding of the check: warning or note.
        key: of its words, `lost.<key>`.
    """

    level: Literal["warning", "note"]
    key: str

    @property
    def said(self) -> Phrase:
        return phrase(f"lost.{self.key}")

    @property
    def advice(self) -> Phrase:
        return phrase(f"lost.{self.key}.fix")

    @property
    def what(self) -> str:
        return str(self.said)


UNREAD_ROW = DataLoss("note", "row_keys")
UNREAD_TURN = DataLoss("warning", "turn_keys")
MASKED = DataLoss("note", "masked")
CUT = DataLoss("note", "cut")
WEIGHT = DataLoss("warning", "weight")
SCORE = DataLoss("warning", "score")
NOT_ANSWERS = DataLoss("note", "not_answers")
RESULT_IDS = DataLoss("note", "result_ids")
UNASKED = DataLoss("warning", "unasked")
THOUGHT = DataLoss("warning", "thought")
SYNTAX = DataLoss("note", "syntax")
NULLS = DataLoss("note", "nulls")
CONTROL = DataLoss("warning", "control")
RENDERED = DataLoss("warning", "rendered")


def losses(row: dict[str, Any], format_name: str) -> Iterator[tuple[DataLoss, str]]:
    """What a row loses that its keys tell: the kind, and the key where the kind is about keys."""
    for key in row.keys() - set(ROW[format_name].split()) | _passed_over(row):
        if is_mark(key) and weight_of({key: row[key]}) not in (None, 1):
            yield WEIGHT, ""
        yield from _unread(key, row[key], UNREAD_ROW)
    turns = turns_of(row)
    ids = {str(part.get("id", part.get("call_id"))) for turn in turns for part, _ in _parts(turn)}
    for turn in turns:
        given = str(turn.get("role") or turn.get("from")).strip().lower()
        role = ROLE.get(given)
        answers = role in ("assistant", "call", None)
        known = RESULT if role == "tool" or given == "function" else ANSWER if role == "assistant" else set()
        known = (TURN | known | {*REASONING}) - _passed_over(turn)
        weight = weight_of(turn)
        if weight is not None and not answers:
            if weight:
                yield NOT_ANSWERS, ""
        elif weight == 0:
            yield MASKED, ""
        elif weight not in (None, 1):
            yield WEIGHT, ""
        own = turn.get("tool_call_id")
        if role == "tool" and own and not turn.get("name") and str(own) not in ids:
            yield RESULT_IDS, ""
        if reasoning_of(turn):
            yield THOUGHT, ""
        if answers and weight != 0:
            refuse_bad(turn)
        for key in turn.keys() - known:
            yield from _unread(key, turn[key], UNREAD_TURN, judged=answers)
        for part, keys in _parts(turn) if role != "tool" else ():
            if weight_of(part) == 0:
                raise fault("part.masked")
            for key in part.keys() - keys:
                yield from _unread(key, part[key], UNREAD_TURN, judged=False)


def _passed_over(said: dict[str, Any]) -> set[str]:
    """Keys of a row or turn that are read only where another has nothing, and say something else."""
    pairs = {"function_call": "tool_calls", "refusal": "content", "value": "content", "functions": "tools"}
    return {key for key, first in pairs.items() if said.get(key) and said.get(first) not in (None, "", [], said[key])}


def _unread(key: str, value: Any, kind: DataLoss, judged: bool = True) -> Iterator[tuple[DataLoss, str]]:
    """A key that is not read; one of a row or an answer (`judged`) may say how good it is."""
    said = verdict(key, value) if judged else None
    if not is_mark(key) and value not in (None, "", [], {}) and said != "right":
        yield SCORE if said == "score" else kind, repr(key)


def _parts(turn: dict[str, Any]) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """The content parts and calls of a turn, each with the keys that are understood."""
    content, calls = turn.get("content"), _decoded(turn.get("tool_calls"))
    calls = calls if isinstance(calls, list) else []
    functions = [call.get("function") for call in calls if isinstance(call, dict)]
    for parts, keys in ((content, PART), (calls, CALL), (functions, CALL)):
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                yield part, keys


def reasoning_of(turn: dict[str, Any]) -> str:
    """What a turn's author thought; empty where nothing is written down."""
    found = [turn[key] for key in REASONING if turn.get(key)]
    content = turn.get("content")
    parts = [p for p in content if isinstance(p, dict)] if isinstance(content, list) else []
    found += [part.get("value") or part.get(part["type"]) for part in parts if part.get("type") in REASONING]
    return "\n".join(text for text in found if isinstance(text, str))


def turns_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for key in _TURNS:
        value = _decoded(row.get(key))
        for item in value if isinstance(value, list) else [value]:
            found += [turn for turn in (item if isinstance(item, list) else [item]) if isinstance(turn, dict)]
    return found


def _decoded(value: Any) -> Any:
    """A list or an object, also where it is written as text; anything else as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        with suppress(InputError):  # a text that only looks like one
            return decode(value, "")
    return value
