"""Tools under other names: the same in the offered schemas, in the calls and in the tool turns of a row.

A model that trains on a few tools remembers their names, and calls them where others are offered. Where some lists have
made-up names only the list says what a tool is called, so it has to be read: `data.rename_tools`. The idea is that of
Hammer's function masking (https://arxiv.org/abs/2410.04587), done for a whole list, so that its rows still share it.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from data.record import Record
from tooltune.files import dump_json

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


Rows = list[dict[str, Any]]
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Rewriting:
    """What becomes of the names in a row. Every change of names walks over a row here.

    Attributes:
        name: a tool's new name.
        schema: the new schema of a tool, given its old name.
        arguments: the new arguments of a tool, given its old name.
        result: the new name in a tool turn; None: as `name`.
    """

    name: Callable[[str], str]
    schema: Callable[[str, Arguments], Arguments] = lambda tool, schema: schema
    arguments: Callable[[str, Arguments], Arguments] = lambda tool, arguments: arguments
    result: Callable[[str], str] | None = None

    def tools(self, tools: Rows) -> Rows:
        return [tool | {"function": self._function(tool["function"])} for tool in tools]

    def _function(self, function: dict[str, Any]) -> dict[str, Any]:
        old = function["name"]
        schema = {"parameters": self.schema(old, function["parameters"])} if "parameters" in function else {}
        return function | {"name": self.name(old)} | schema

    def messages(self, messages: Rows) -> Rows:
        """The turns with their calls and tool turns."""
        return [self._message(message) for message in messages]

    def _message(self, message: dict[str, Any]) -> dict[str, Any]:
        renamed = dict(message)
        if calls := message.get("tool_calls"):
            renamed["tool_calls"] = [call | {"function": self._call(call["function"])} for call in calls]
        if message["role"] == "tool" and "name" in message:
            renamed["name"] = (self.result or self.name)(message["name"])
        return renamed

    def _call(self, function: dict[str, Any]) -> dict[str, Any]:
        old = function["name"]
        return function | {"name": self.name(old), "arguments": self.arguments(old, function["arguments"])}

    def acceptable(self, accepted: dict[str, Any]) -> dict[str, Any]:
        """`meta.acceptable`: tool → parameter → further right values."""
        return {self.name(tool): self.arguments(tool, values) for tool, values in accepted.items()}


@dataclass(frozen=True)
class Renaming:
    """New names for the tools of a list: `names` by tool, `parameters` by tool and parameter that changes."""

    names: dict[str, str]
    parameters: dict[str, dict[str, str]]

    @property
    def rewriting(self) -> Rewriting:
        return Rewriting(lambda name: self.names.get(name, name), self._schema, self._arguments)

    def tools(self, tools: Rows) -> Rows:
        """The offered schemas under their new names."""
        return self.rewriting.tools(tools)

    def messages(self, messages: Rows) -> Rows:
        """The turns with their calls and tool turns under the new names."""
        return self.rewriting.messages(messages)

    def _schema(self, tool: str, schema: Arguments) -> Arguments:
        if not (new := self.parameters.get(tool)):
            return schema
        return schema | {
            "properties": {new.get(k, k): v for k, v in schema["properties"].items()},
            "required": [new.get(k, k) for k in schema["required"]],
        }

    def _arguments(self, tool: str, arguments: Arguments) -> Arguments:
        new = self.parameters.get(tool, {})
        return {new.get(k, k): v for k, v in arguments.items()}

    def meta(self, meta: dict[str, Any]) -> dict[str, Any]:
        """What is known about a row, under the new names; `renamed` maps them back."""
        renamed = dict(meta)
        if "relevant_tools" in meta:
            renamed["relevant_tools"] = [self.names.get(name, name) for name in meta["relevant_tools"]]
        if accepted := meta.get("acceptable"):
            renamed["acceptable"] = self.rewriting.acceptable(accepted)
        renamed["renamed"] = {
            new: {"name": old, "parameters": {v: k for k, v in self.parameters.get(old, {}).items()}}
            for old, new in self.names.items()
        }
        return renamed


def with_made_up_names(record: Record, share: float) -> Record:
    """The record with its tools under made-up names, if its list is among the share of lists that get them.

    Whether it is, and the names, are a function of the list alone, so rows with the same tools keep having the same. A
    list stays as it is where a tool has no description, which is all that a made-up name leaves to go by, and where
    rows bring other names already (`meta.renamed`). Parameters keep their names: renamed, too, they cost the arguments
    more than they gave (docs/decisions.md).

    Args:
        share: of the lists of tools, from 0 to 1.
    """
    functions = [tool["function"] for tool in record.tools]
    described = functions and all(function.get("description") for function in functions)
    if not share or not described or "renamed" in record.meta:
        return record
    rng = random.Random(hashlib.sha256(dump_json(record.tools).encode()).hexdigest())
    if rng.random() >= share:
        return record
    names = [function["name"] for function in functions]
    renaming = Renaming(dict(zip(names, _made_up(rng, names), strict=True)), {})
    tools, messages = renaming.tools(record.tools), renaming.messages(record.messages)
    return replace(record, tools=tools, messages=messages, meta=renaming.meta(record.meta))


def _made_up(rng: random.Random, names: list[str]) -> list[str]:
    """As many names of two words of two syllables (`bako_tine`), each once and none of those given."""
    made: list[str] = []
    while len(made) < len(names):
        words = ("".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(2)) for _ in range(2))
        name = "_".join(words)
        if name not in made and name not in names:
            made.append(name)
    return made
