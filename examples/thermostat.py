"""A domain in twenty lines: the heating of a flat. Rows of it are in `thermostat.jsonl`.

A run that is trained with `data.domain=examples.thermostat:Thermostat` has Execution Accuracy in its evaluation: from
18 °C, "set 20", "set 68 °F" and "two degrees warmer" are the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.domain import Call, Domain, Refused
from data.load import load_records
from data.record import Record

TOOLS = load_records(Path(__file__).with_suffix(".jsonl"))[0].tools


class Thermostat(Domain):
    """Rooms and the temperature that each is to have; a record's `meta.rooms` says it for the start, in °C."""

    def tools(self) -> list[dict[str, Any]]:
        return TOOLS

    def execute(self, record: Record, calls: Sequence[Call]) -> dict[str, float]:
        rooms: dict[str, float] = dict(record.meta["rooms"])
        for call in calls:
            a = call["arguments"]
            if a["room"] not in rooms:
                raise Refused(f"there is no {a['room']}")
            if call["name"] == "change_temperature":
                rooms[a["room"]] += a["by"]
            else:
                rooms[a["room"]] = (a["degrees"] - 32) / 1.8 if a.get("unit") == "F" else a["degrees"]
        return rooms

    def same(self, state: dict[str, float], other: dict[str, float]) -> bool:
        return all(abs(degrees - other[room]) < 0.05 for room, degrees in state.items())
