"""The one list of the keys that readers understand, and what a row loses when it becomes a record.

Nothing is dropped in silence: a key that is not listed here is counted, a mark that says that an answer is not to be
trained is obeyed, and a row that says of itself that it is wrong is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from data.formats.literals import decode, excerpt
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
TRAINED = ("trained", "trainable", "train", "training", "loss", "weight", "loss_weight", "loss_scale")
"""Keys that say whether a turn is trained; the first is the record's, where it is written only as false."""
LABELS = ("label", "kto_tag")
"""Keys of a row that say whether its answer is a good one."""
_TURNS = ("messages", "conversations", "prompt", "completion", "question", "input_messages")
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_BAD = {"bad", "rejected", "undesirable", "negative"}


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
NOT_ANSWERS = DataLoss("note", "not_answers")
THOUGHT = DataLoss("warning", "thought")
SYNTAX = DataLoss("note", "syntax")
CONTROL = DataLoss("warning", "control")
RENDERED = DataLoss("warning", "rendered")


def weight_of(turn: dict[str, Any]) -> float | None:
    """The weight that a turn's marks give it, the smallest where there are several; None without a mark.

    Raises:
        InputError: a mark has a value that does not say whether the turn is trained.
    """
    if turn.get("mask") is not None:
        raise fault("mask.unclear")
    found = [_number(key, turn[key]) for key in TRAINED if turn.get(key) is not None]
    return min(found) if found else None


def refuse_wrong(row: dict[str, Any]) -> None:
    """Raise InputError for a row that is no example: its answer is marked as a bad one, or it is a pair of answers."""
    for key in LABELS:
        value = row.get(key)
        number = _read_number(value)
        if str(value).strip().lower() in _BAD or (number is not None and number <= 0):
            raise fault("row.bad", key=key, value=f"{value!r:.40}")
    for key in TRAINED:
        if row.get(key) is not None and not _number(key, row[key]):
            raise fault("row.masked", key=key, value=str(row[key]))
    if is_preference(row):
        raise fault("row.preference")


def is_preference(row: dict[str, Any]) -> bool:
    """Whether a row holds an answer that was chosen or rejected."""
    return any(row.get(key) is not None for key in ("chosen", "rejected", "chosen_messages", "rejected_messages"))


def losses(row: dict[str, Any], format_name: str) -> Iterator[tuple[DataLoss, str]]:
    """What a row loses that its keys tell: the kind, and the key where the kind is about keys."""
    for key in row.keys() - ROW[format_name].split():
        if _empty(row[key]) or (key in (*LABELS, *TRAINED) and _read_number(row[key]) == 1):
            continue
        yield (WEIGHT, "") if key in TRAINED else (UNREAD_ROW, repr(key))
    for turn in turns_of(row):
        given = str(turn.get("role", turn.get("from"))).strip().lower()
        role = ROLE.get(given)
        answers = role in ("assistant", "call", None)
        known = RESULT if role == "tool" or given == "function" else ANSWER if role == "assistant" else set()
        weight = weight_of(turn)
        if weight is not None and not answers:
            if weight:
                yield NOT_ANSWERS, ""
        elif weight == 0:
            yield MASKED, ""
        elif weight not in (None, 1):
            yield WEIGHT, ""
        if reasoning_of(turn):
            yield THOUGHT, ""
        for key in turn.keys() - TURN - known - {*TRAINED, *REASONING}:
            if not _empty(turn[key]):
                yield UNREAD_TURN, repr(key)
        for part, keys in _parts(turn) if role != "tool" else ():
            if weight_of(part) == 0:
                raise fault("part.masked")
            for key in part.keys() - keys - {*TRAINED}:
                if not _empty(part[key]):
                    yield UNREAD_TURN, repr(key)


def _parts(turn: dict[str, Any]) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """The content parts and calls of a turn, each with the keys that are understood."""
    content, calls = turn.get("content"), turn.get("tool_calls")
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
        value = row.get(key)
        if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
            try:
                value = decode(value, key)
            except InputError:  # a text that only looks like turns
                continue
        for item in value if isinstance(value, list) else [value]:
            found += [turn for turn in (item if isinstance(item, list) else [item]) if isinstance(turn, dict)]
    return found


def _number(key: str, value: Any) -> float:
    number = _read_number(value)
    if number is None or not 0 <= number < float("inf"):
        raise fault("mark.value", key=key, value=excerpt(str(value)))
    return number


def _read_number(value: Any) -> float | None:
    """A mark as a number, in whatever way tables write it: 0, "0.0", False, "no"; None where it is none."""
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {})
