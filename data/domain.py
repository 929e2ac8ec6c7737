"""A domain: tools whose calls can be carried out. So calls are compared by what they do (Execution Accuracy), and a
chat has something to work on.

A domain is the user's own code, and trusted: it runs in this process. What a model wrote is not: it reaches a domain as
parsed calls of tools that the row offers, their arguments checked against the schemas, and never as code.

Which domain a row belongs to is said by, the first that says something:

1. `data.domain` of the config, `module:object` or a name as below: for every row of the run.
2. `meta.domain` of the row: the name under which an installed package declares its domain (the entry point group
   `tooltune.domains`). A file of rows cannot name a module, since what it names is imported. Other people's rows have
   a remark under that key; a name that nothing installed has is taken for one.
3. `meta.model`, a frame: the rows of the bundled dataset. They are older than `meta.domain`, and its validation and
   test files are frozen.

`examples/thermostat.py` is one to start from; `data/structural/frame_domain.py` is the bundled dataset's.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from data.record import Record
from tooltune.errors import InputError

Call = dict[str, Any]
"""`{"name", "arguments"}`."""
GROUP = "tooltune.domains"


class Refused(Exception):
    """A call that cannot be carried out on the state there is; the text says why."""


@runtime_checkable
class Domain(Protocol):
    """What Execution Accuracy and the chat ask of a domain. Inherit from it and write the first three."""

    def tools(self) -> list[dict[str, Any]]:
        """Every tool that `execute` knows, as an OpenAI function schema."""
        ...

    def execute(self, record: Record, calls: Sequence[Call]) -> Any:
        """The state that these calls leave, in order, from the state that the record starts with (in its `meta`).

        The record is not changed. Calls are of `tools()`, under the names that they have there.

        Raises:
            Refused: one of them cannot be carried out.
        """
        ...

    def same(self, state: Any, other: Any) -> bool:
        """Whether two states are the same for the user."""
        ...

    def same_in_sum(self, state: Any, other: Any) -> bool:
        """The same more leniently, where effects add up: two loads of 5 kN are one of 10 kN."""
        return self.same(state, other)

    def live(self, record: Record) -> "Live":
        """The state that the record starts with, for a chat. One that answers questions has a `Live` of its own.

        Raises:
            Refused: the record has none.
        """
        return Live(self, record)


class Live:
    """A state in a chat: calls change it one after another. This is what `Domain.execute` alone can tell of it."""

    def __init__(self, domain: Domain, record: Record) -> None:
        self.domain, self.record = domain, record
        self.done: list[Call] = []
        self.state = domain.execute(record, [])

    def carry_out(self, call: Call) -> dict[str, Any]:
        """What the tool turn says of a call: `{"ok": true, …}` with what was asked for, or `{"ok": false, "error"}`,
        and the state is as it was."""
        try:
            self.state = self.domain.execute(self.record, [*self.done, call])
        except Refused as e:
            return {"ok": False, "error": str(e)}
        self.done.append(call)
        return {"ok": True}

    def system(self) -> str:
        """The system turn of rows that start with the state as it is now; empty where they have none."""
        first = self.record.messages[0]
        return str(first["content"]) if first["role"] == "system" else ""

    def state_text(self) -> str:
        """The state as people read it, in lines: those that a call changes are shown after it."""
        return str(self.state)


def load_domain(name: str | None, where: str = "data.domain") -> Domain | None:
    """The domain that a config's `data.domain` names, `module:object` or an installed one; None for None.

    Modules of the current folder are found too.

    Args:
        where: the name was given, for the errors.

    Raises:
        InputError: there is none, or it is not a domain.
    """
    if name is None:
        return None
    module, colon, attribute = name.partition(":")
    if not colon:
        if domain := _installed(name):
            return domain
        known = ", ".join(sorted(entry_points(group=GROUP).names)) or "none"
        raise InputError(f"no domain {name!r}", where=where, fix=f"installed: {known}; or write module:object")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        return _checked(getattr(import_module(module), attribute), name, where)
    except (ImportError, AttributeError) as e:
        raise InputError(f"the domain {name!r} cannot be imported ({e})", where=where) from e


def domain_of(record: Record, chosen: Domain | None = None) -> Domain | None:
    """The domain of a row, `chosen` for all rows of the run; None where no call of the row can be carried out."""
    from data.structural.frame_domain import STRUCTURAL

    named = record.meta.get("domain")
    installed = _installed(named) if isinstance(named, str) else None
    return chosen or installed or (STRUCTURAL if STRUCTURAL.frame(record) else None)


def history_calls(messages: Iterable[dict[str, Any]]) -> list[Call]:
    """The calls of a conversation's assistant turns, in order.

    Calls whose tool turn is a JSON object with `"ok": false` were refused then and are left out.
    """
    calls: list[Call] = []
    waiting: list[Call] = []
    for message in messages:
        if message["role"] == "assistant":
            calls += waiting
            waiting = [c.get("function", c) for c in message.get("tool_calls") or []]
        elif message["role"] == "tool" and waiting:
            done = waiting.pop(0)
            if not _refused(message.get("content")):
                calls.append(done)
    return calls + waiting


def own_names(record: Record, calls: Iterable[Call]) -> list[Call]:
    """Calls of a record under its domain's names of tools and parameters, where `meta.renamed` gives it others."""
    back = record.meta.get("renamed") or {}

    def own(call: Call) -> Call:
        if call["name"] not in back:
            return call
        names = back[call["name"]]
        arguments = {names["parameters"].get(key, key): value for key, value in call["arguments"].items()}
        return {"name": names["name"], "arguments": arguments}

    return [own(call) for call in calls]


@cache
def _installed(name: str) -> Domain | None:
    found = entry_points(group=GROUP, name=name)
    return _checked(next(iter(found)).load(), name) if found else None


def _checked(found: Any, name: str, where: str = GROUP) -> Domain:
    domain = found() if isinstance(found, type) else found
    if not isinstance(domain, Domain):
        raise InputError(f"{name!r} is not a domain", where=where, fix="inherit from data.domain.Domain")
    return domain


def _refused(content: Any) -> bool:
    try:
        value = json.loads(content)
    except (TypeError, ValueError):
        return False
    return isinstance(value, dict) and value.get("ok") is False
