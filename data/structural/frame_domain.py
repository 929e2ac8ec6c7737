"""The bundled domain: calls are carried out on a row's frame, and two frames are compared in kN and m.

Only a chat solves anything, and needs Pynite for it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from data.domain import Call, Domain, Live, Refused
from data.record import Record
from data.structural.engine import ModelSpec, build, comparable, compare, execute, run_calls, state_line
from data.structural.engine.drawing import drawing
from data.structural.engine.tool_schemas import core_tools, heldout_tools
from data.structural.requests.frames import spec_of
from tooltune.errors import InputError


class Structural(Domain):
    """Frames of the bundled dataset, or of any row with such a `meta.model`."""

    def tools(self) -> list[dict[str, Any]]:
        """The 30 core tools and the 5 held-out ones."""
        return [*core_tools(), *heldout_tools()]

    def frame(self, record: Record) -> ModelSpec | None:
        """The record's frame; None where it has none: other data may keep something else under `meta.model`."""
        try:
            spec = spec_of(record.meta)
            build(spec)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return spec

    def execute(self, record: Record, calls: Sequence[Call]) -> dict[str, Any]:
        """The frame after the calls, as `comparable` writes it."""
        spec = self.frame(record)
        if spec is None:
            raise Refused("the row has no frame in meta.model")
        try:
            run = run_calls(spec, [], list(calls))
            state = comparable(run.state)
        except ArithmeticError as e:
            raise Refused(f"a number beyond what the frame can hold ({e})") from e
        if not run.ok:
            raise Refused(next(result.error for result in run.results if not result.ok))
        return state

    def same(self, state: dict[str, Any], other: dict[str, Any]) -> bool:
        """Every table is equal, loads as a multiset, and the same analyses and queries were asked for."""
        return compare(state, other).strict

    def same_in_sum(self, state: dict[str, Any], other: dict[str, Any]) -> bool:
        """The same once loads of one place, direction and case are added up."""
        return compare(state, other).summed

    def live(self, record: Record) -> "LiveFrame":
        """The record's frame, which is solved when results are asked for."""
        spec = self.frame(record)
        if spec is None:
            raise Refused("the row has no frame in meta.model")
        return LiveFrame(self, record, spec)


class LiveFrame(Live):
    """A frame in a chat."""

    def __init__(self, domain: Structural, record: Record, spec: ModelSpec) -> None:
        self.record, self.spec = record, spec
        self.frame = build(spec)

    def carry_out(self, call: Call) -> dict[str, Any]:
        before = replace(self.frame, tables=self.frame.tables.copy(), history=[*self.frame.history])
        try:
            result = execute(self.frame, call)
            comparable(self.frame)  # some numbers are looked at only when they are drawn
            return result.to_dict()
        except ArithmeticError as e:
            self.frame = before
            return {"ok": False, "code": "bad_arguments", "error": f"a number beyond what the frame can hold ({e})"}
        except ModuleNotFoundError as e:
            raise InputError(
                "results of a frame need Pynite, which is not installed",
                where=call["name"],
                fix='pip install -e ".[structural]"',
            ) from e

    def system(self) -> str:
        """The record's system turn, with the line of the frame as it is now."""
        return super().system().replace(state_line(self.spec), state_line(self.frame))

    def state_text(self) -> str:
        return drawing(self.frame)


STRUCTURAL = Structural()
