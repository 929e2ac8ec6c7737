"""JSON Schema checked in bounded time and memory: schemas come with rows, and may be built never to end.

jsonschema follows references as often as they come and gives regular expressions to `re`, which backtracks: a schema of
a kilobyte can hold a processor for years. Here each keyword that is looked at counts, and the `regex` library stops
an expression that takes too long.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import regex

MAX_STEPS = 100_000
"""Keywords looked at in one check, long values counted as several; a usual call takes some dozens."""
MAX_DEPTH = 100
"""Keywords inside of one another. At Python's own limit jsonschema's Rust part would end the process."""
SECONDS = 1.0
"""Of processor time for all regular expressions of one check; a usual one takes microseconds."""
MAX_PATTERN = 2_000
"""Characters of a regular expression."""
MAX_ERRORS = 100
_SIDE = 150  # characters of a message that are kept from its start, and from its end

Keyword = Callable[[Any, Any, Any, Any], Iterable[Any] | None]


class TooMuch(Exception):
    """A schema takes more than it is given; the text says what of."""


@dataclass
class _Left:
    """What a check of the schema `root` may still take."""

    root: Any
    depth: int = MAX_DEPTH
    steps: int = MAX_STEPS
    seconds: float = SECONDS

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooMuch(f"more than {MAX_STEPS:,} steps")

    def finds(self, pattern: str, text: str) -> bool:
        start = time.process_time()
        found = finds(pattern, text, max(self.seconds, 0.001))
        self.seconds -= time.process_time() - start
        return found


_LEFT: ContextVar[_Left] = ContextVar("left")


def finds(pattern: str, text: str, seconds: float = SECONDS) -> bool:
    """Whether a regular expression is found in a text.

    Args:
        seconds: of processor time that it may take.

    Raises:
        TooMuch: it takes more, or is too long.
        regex.error: it is none.
    """
    if len(pattern) > MAX_PATTERN:
        raise TooMuch(f"a regular expression of {len(pattern):,} characters")
    try:
        return regex.search(pattern, text, timeout=seconds) is not None
    except TimeoutError:
        raise TooMuch(f"a regular expression that backtracks without end: {pattern[:60]!r}") from None


def faults(value: Any, schema: Any) -> list[Any]:
    """The first `MAX_ERRORS` errors of jsonschema, with long messages cut in the middle; nothing is fetched.

    Raises:
        TooMuch: the check takes too long.
        Exception: whatever a keyword of the wrong type makes jsonschema raise.
    """
    from referencing import Registry

    token = _LEFT.set(_Left(schema))
    try:
        return list(islice(_validator()(schema, registry=Registry()).iter_errors(value), MAX_ERRORS))
    finally:
        _LEFT.reset(token)


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator, validators

    keywords = dict(Draft202012Validator.VALIDATORS)
    keywords |= {"pattern": _pattern, "patternProperties": _pattern_properties}
    keywords["additionalProperties"] = _without_found(keywords["additionalProperties"])
    for name in ("unevaluatedProperties", "unevaluatedItems"):
        keywords[name] = _unevaluated(name, keywords[name])
    extend: Any = validators.extend
    return extend(Draft202012Validator, {name: _counted(name, keyword) for name, keyword in keywords.items()})


def _counted(name: str, keyword: Keyword) -> Keyword:
    def check(validator: Any, given: Any, value: Any, schema: Any) -> Iterator[Any]:
        left = _LEFT.get()
        left.spend(1 + (_size(given) + _size(value)) // 100)
        if name == "uniqueItems" and isinstance(value, list) and not _sorts(value):
            left.spend(len(value) ** 2 // 100)  # each is compared with all others
        left.depth -= 1
        if left.depth < 0:
            raise TooMuch(f"more than {MAX_DEPTH} levels")
        for error in keyword(validator, given, value, schema) or ():
            left.spend(len(error.message) // 100)
            if len(error.message) > 2 * _SIDE:
                error.message = f"{error.message[:_SIDE]} … {error.message[-_SIDE:]}"
            left.depth += 1  # what follows is not inside of this keyword
            yield error
            left.depth -= 1
        left.depth += 1

    return check


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, dict)) else 0


def _sorts(items: list[Any]) -> bool:
    kinds = {type(item) for item in items}
    return len(kinds) <= 1 and not kinds & {list, dict}


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(value, str) and not _LEFT.get().finds(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, value: Any, schema: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for pattern, below in patterns.items():
            for key in value:
                if _LEFT.get().finds(pattern, key):
                    yield from validator.descend(value[key], below, path=key, schema_path=pattern)


def _without_found(keyword: Keyword) -> Keyword:
    """`additionalProperties` for the keys that `patternProperties` does not find, which jsonschema would ask `re`."""

    def additional(validator: Any, given: Any, value: Any, schema: Any) -> Iterable[Any] | None:
        if isinstance(value, dict) and (patterns := schema.get("patternProperties")):
            left = _LEFT.get()
            value = {k: v for k, v in value.items() if not any(left.finds(pattern, k) for pattern in patterns)}
            schema = {k: v for k, v in schema.items() if k != "patternProperties"}
        return keyword(validator, given, value, schema)

    return additional


def _unevaluated(name: str, keyword: Keyword) -> Keyword:
    """`unevaluatedProperties` and `unevaluatedItems`: not beside regular expressions and references, after which
    jsonschema goes in ways of its own, unbounded."""

    def unevaluated(validator: Any, given: Any, value: Any, schema: Any) -> Iterable[Any] | None:
        root = repr(_LEFT.get().root)
        if beside := next((word for word in ("patternProperties", "$ref", "$dynamicRef") if f"'{word}'" in root), None):
            raise TooMuch(f"{name} together with {beside}, which is not checked")
        return keyword(validator, given, value, schema)

    return unevaluated
