"""What every family's parser fills in, and the reading of one call object (parsing policy, rules 5 and 6)."""

import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eval.formats.relaxed_json import relaxed_decode
from eval.formats.strict_json import Long, Unreadable, strict_decode, strict_loads
from eval.parsed import ToolCall

Tools = Sequence[Mapping[str, Any]]
"""Tool schemas, in OpenAI's form `{"type": "function", "function": {…}}` or bare `{"name", "parameters"}`."""


@dataclass(slots=True)
class ParseState:
    """The state of one pass over a text.

    Attributes:
        spans: what the calls and their envelopes cover, in order; the rest is text.
        call_spans: the part of `spans` whose payload was read; think tags inside are content.
        end: the index after the last span.
        cut: the text ends inside an open envelope.
        budget: characters that may still be looked at in vain. Repairs and look-aheads draw on it, which keeps a
            hostile text in linear time (rule 8) whatever it holds.
        source: the text as the strict decoder takes it.
    """

    text: str
    calls: list[ToolCall] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    call_spans: list[tuple[int, int]] = field(default_factory=list)
    json_valid: bool = True
    format_ok: bool = True
    attempted: bool = False
    cut: bool = False
    end: int = 0
    budget: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        self.budget = 4 * len(self.text) + 20_000
        if not self.source:
            self.source = Long(self.text) if len(self.text) > 10_000 else self.text

    def trial(self) -> "ParseState":
        """A fresh reading of the same text, for a look that may come to nothing; it has the same budget left."""
        trial = ParseState(self.text, source=self.source)
        trial.budget = self.budget
        return trial

    def broken(self, problem: str) -> None:
        """The payload is not valid."""
        self.json_valid = self.format_ok = False
        self.problems.append(problem)

    def deviates(self, problem: str) -> None:
        """The payload is valid, but not written as the family's template writes it."""
        self.format_ok = False
        self.problems.append(problem)

    def cover(self, start: int, end: int, *, read: bool = True) -> None:
        """Take `text[start:end]` out of the text: a call (`read`), a broken block or a bare marker."""
        self.attempted = True
        self.spans.append((start, end))
        if read:
            self.call_spans.append((start, end))
        self.end = max(self.end, end)

    def spend(self, characters: int) -> bool:
        """Draw on the budget; False when it is used up."""
        self.budget -= max(characters, 16)
        return self.budget > 0

    def outside(self) -> str:
        """The text that no span covers, trimmed."""
        pieces, at = [], 0
        for start, end in self.spans:
            pieces.append(self.text[at:start])
            at = max(at, end)
        pieces.append(self.text[at:])
        return "".join(pieces).strip()


class Decoded(NamedTuple):
    """A JSON value, the index after it, its deviations (none: strictly valid), and the keys its objects repeat."""

    value: Any
    end: int
    problems: Sequence[str] = ()
    repeated: Mapping[int, set[str]] = {}


def decode(r: ParseState, pos: int, stop: str = "") -> Decoded:
    """Decode ONE JSON value at `pos`, strictly if possible, else with the relaxed parser.

    Raises:
        Unreadable: neither can.
    """
    try:
        value, end = strict_decode(r.source, pos)
        return Decoded(value, end)
    except Unreadable as e:
        if e.reason == "too_deep":
            raise
    if r.budget <= 0:
        raise Unreadable("too_much_to_repair", pos)
    try:
        relaxed = relaxed_decode(r.text, pos, stop)
    except Unreadable as e:
        r.spend(e.far - pos)
        raise
    return Decoded(relaxed.value, relaxed.end, relaxed.problems or ["not_json"], relaxed.repeated)


@dataclass(frozen=True)
class CallShape:
    """The keys of a family's call object: the name's, the arguments', and others that its template may write."""

    name: str = "name"
    arguments: str = "arguments"
    others: frozenset[str] = frozenset()


PLAIN = CallShape()
_ARGUMENT_KEYS = ("arguments", "parameters", "args")
WRAPPERS = ("function", "function_call", "tool", "tool_call", "call", "action", "tool_calls", "function_calls", "calls",
            "tool_uses")  # fmt: skip
"""Keys of an object around a call, or around a list of them."""
_ABOUT_A_CALL = {"id", "type", "index"}


def read_call(
    r: ParseState, obj: Any, shape: CallShape = PLAIN, repeated: Mapping[int, set[str]] | None = None
) -> bool:
    """Read one call object and add the call; False (and a problem noted) when it has not the shape of a call.

    A string name and object arguments make a call. Outer keys are trimmed; aliases, the OpenAI wrapper, absent or
    string-encoded arguments are read and noted; a list, a plain string or a number as arguments is no call.
    """
    if type(obj) is dict and len(obj) == 2 and not repeated:
        name, arguments = obj.get(shape.name), obj.get(shape.arguments)
        if type(name) is str and type(arguments) is dict:
            r.calls.append(ToolCall(name, arguments))
            return True
    if not isinstance(obj, dict):
        return _no_call(r, "not_an_object")
    keys = {key.strip(): key for key in obj}
    if len(keys) != len(obj):
        return _no_call(r, "ambiguous_key")
    if any(key != original for key, original in keys.items()):
        r.deviates("untrimmed_key")
    if repeated and (twice := repeated.get(id(obj))) and not twice.isdisjoint({shape.name, "name", *_ARGUMENT_KEYS}):
        return _no_call(r, "fused_calls")
    values = {key: obj[original] for key, original in keys.items()}
    if (wrapped := _wrapped(values, shape)) is not None:
        r.deviates("wrapper")
        results = [
            read_call(r, item, PLAIN, repeated) for item in (wrapped if isinstance(wrapped, list) else [wrapped])
        ]
        return all(results)
    name_key = shape.name if shape.name in values else "name"
    name = values.get(name_key)
    if not isinstance(name, str):
        return _no_call(r, "no_name")
    if name_key != shape.name:
        r.deviates("name_alias")
    key = next((k for k in (shape.arguments, *_ARGUMENT_KEYS) if k in values), None)
    if key is None and not values.keys() <= {name_key, *shape.others, *_ABOUT_A_CALL}:
        return _no_call(r, "arguments_elsewhere")  # under a key that is nobody's: they are not to be left out
    if key != shape.arguments:
        r.deviates("arguments_alias" if key else "no_arguments")
    arguments = read_arguments(r, values[key] if key else {})
    if arguments is None:
        return False
    if not values.keys() <= {name_key, key, *shape.others}:
        r.deviates("extra_key")
    r.calls.append(ToolCall(name, arguments))
    return True


def _wrapped(values: Mapping[str, Any], shape: CallShape = PLAIN) -> Any:
    """The object or list that an object without a name and arguments of its own is around; None where there is none."""
    found = (values[key] for key in WRAPPERS if isinstance(values.get(key), (dict, list)))
    own = {"name", shape.name, shape.arguments, *_ARGUMENT_KEYS}
    return next(found, None) if values.keys().isdisjoint(own) else None


def read_arguments(r: ParseState, value: Any) -> dict[str, Any] | None:
    """The arguments object: null and "" are `{}`, a JSON string that holds an object is decoded once, else None."""
    if isinstance(value, str) and value.strip():
        try:
            value = strict_loads(value)
        except Unreadable:
            value = None
        if isinstance(value, dict):
            r.deviates("string_arguments")
            return value
        r.deviates("arguments_not_object")
        return None
    if value is None or value == "" or isinstance(value, str):
        r.deviates("null_arguments")
        return {}
    if not isinstance(value, dict):
        r.deviates("arguments_not_object")
        return None
    return value


def _no_call(r: ParseState, problem: str) -> bool:
    r.deviates(problem)
    return False


def call_names(value: Any, shape: CallShape = PLAIN) -> list[str]:
    """The names in a value that is, by its keys, one call object or a list of them; empty when it is not.

    Without a marker an object is a call only when it has a name and an arguments key: `{"name": "Kim"}` is data. A
    tool's schema, quoted, is none.
    """
    if isinstance(value, list):
        names = [call_names(item, shape) if isinstance(item, dict) else [] for item in value]
        return [n for item in names for n in item] if all(names) else []
    if not isinstance(value, dict):
        return []
    keys = {key.strip(): key for key in value}
    if (wrapped := _wrapped({key: value[original] for key, original in keys.items()}, shape)) is not None:
        return call_names(wrapped, PLAIN)
    name = next((value[keys[key]] for key in (shape.name, "name") if key in keys), None)
    key = next((k for k in (shape.arguments, *_ARGUMENT_KEYS) if k in keys), None)
    if not isinstance(name, str) or key is None:
        return []
    arguments = value[keys[key]]
    schema = "description" in keys and isinstance(arguments, dict) and arguments.get("type") == "object"
    return [] if schema else [name]


NAME_KEYS = ("name", "function", "tool", "tool_name", "function_name", "recipient_name", "action")
"""Keys that hold a tool's name, in the formats of all families."""


def means_call(value: Any, offered: Container[str]) -> bool:
    """Whether a value that has not the shape of a call is meant as one: it says so, holds calls of offered tools, or
    names one where a call has its name, `{"name": "lamp"}`, `{"tool": "lamp", "input": …}` and `{"lamp": {…}}`."""
    if isinstance(value, list):
        return bool(value) and all(means_call(item, offered) for item in value)
    if not isinstance(value, dict) or {"description", "parameters"} <= value.keys():
        return False
    inside = [item for item in value.values() if isinstance(item, (dict, list))]
    if any(names and all(name in offered for name in names) for names in map(call_names, inside)):
        return True
    if any(isinstance(value.get(key), (dict, list)) and means_call(value[key], offered) for key in WRAPPERS):
        return True
    if (value.get("type") == "function" and "name" in value) or (
        isinstance(value.get("tool_calls"), list) and value["tool_calls"]
    ):
        return True
    names = [value.get(key) for key in NAME_KEYS]
    return any(isinstance(name, str) and is_offered(name, offered) for name in names) or (
        bool(value) and all(name in offered and isinstance(value[name], dict) for name in value)
    )


def is_offered(name: str, offered: Container[str]) -> bool:
    """Whether a name is an offered tool's, or one with a namespace before it: `functions.lamp`."""
    name = unicodedata.normalize("NFC", name)
    return name in offered or name.rpartition(".")[2] in offered


def functions(tools: Iterable[Any]) -> dict[str, Mapping[str, Any]]:
    """Tool name → its JSON schema of parameters, from either form of `tools`."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in tools or ():
        function = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            parameters = function.get("parameters")
            found[function["name"]] = parameters if isinstance(parameters, Mapping) else {}
    return found
