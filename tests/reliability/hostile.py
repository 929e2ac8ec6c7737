"""Damage done to files, seeded; and a bound on what reading them may take."""

import json
import random
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PIECES = [
    *(b"\xff", b"\x00", b"{", b"[", b'"', b"\\", b"\n", b"'", b":", b",", b"}", b"]"),
    *(b"9e999", b"-", b"NaN", b"null", b"true", b"\\ud800", b"1e-7", b"0x_", b"2024-13-45", b"9" * 5000),
    *(b"{%", b"%}", b"{{", b"}}", b"<tool_call>", b"</tool_call>", b"<think>", b"<|im_end|>", b"$ref", b"*a", b"&a "),
    *(b"\x1b[2J", b"\xc2\x9b2J", "\u202e".encode(), "\u2028".encode(), b"[/red]", b"<script>", b"../", b"$(id)"),
    *(b"[" * 3000, b"(" * 300, b"A" * 70_000, b'{"a":' * 300, b"\\" * 999, b"'" * 999),
]
ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**400, "", " ", "x", "{", "[]", "\ud800", "\x1b[2J", "../../x", "$ref", "(a|aa)+$"),
    *([], {}, [None], {"": None}, [[["a"]]], {"$ref": "#"}, ["a"] * 300, {"a": {"a": {"a": {}}}}, "A" * 5000),
]


def damaged(rng: random.Random, raw: bytes) -> bytes:
    """A file with one to three faults: in the values of its JSON (a line or all of it), or in its bytes."""
    for _ in range(rng.randint(1, 3)):
        lines = raw.split(b"\n")
        at = rng.randrange(len(lines))
        try:
            whole = json.loads(raw if rng.random() < 0.5 else lines[at])
        except (ValueError, RecursionError):
            whole = None
        if isinstance(whole, (dict, list)) and whole and rng.random() < 0.6:
            value = json.dumps(_changed(rng, whole)).encode()
            raw = value if len(lines) == 1 or rng.random() < 0.5 else b"\n".join([*lines[:at], value, *lines[at + 1 :]])
        else:
            raw = _cut(rng, raw)
    return raw


def _changed(rng: random.Random, whole: Any) -> Any:
    places = list(_places(whole))
    owner, key = rng.choice(places)
    choice = rng.random()
    if isinstance(owner, dict) and choice < 0.2:
        owner.pop(key)
    elif isinstance(owner, dict) and choice < 0.4:
        owner[rng.choice(["$ref", "allOf", "type", "items", "default", "\x1b[2J", "", "a" * 300])] = rng.choice(ODD)
    elif choice < 0.5:
        owner[key] = rng.choice(places)[0]  # perhaps what holds it
        try:
            json.dumps(whole)
        except ValueError:
            owner[key] = None
    else:
        owner[key] = rng.choice(ODD)
    return whole


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def _cut(rng: random.Random, raw: bytes) -> bytes:
    at, n = rng.randrange(len(raw) + 1), rng.choice((0, 0, 1, 1, 7, 200))
    kind = rng.random()
    if kind < 0.1:
        return raw[:at]
    if kind < 0.3:
        return raw[:at] + raw[at : at + n] * rng.choice((0, 2, 30)) + raw[at + n :]
    if kind < 0.4 and at < len(raw):
        return raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
    return raw[:at] + rng.choice(PIECES) + raw[at + n :]


@contextmanager
def within(seconds: int, gib: float = 2) -> Iterator[None]:
    """End what takes so much of the processor (its time, so that a busy machine does not count) or of memory.

    Raises:
        AssertionError, MemoryError: it did.
    """

    def stop(number: int, frame: Any) -> None:
        raise AssertionError(f"more than {seconds} s of the processor")

    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (int(used + gib * 2**30), hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
