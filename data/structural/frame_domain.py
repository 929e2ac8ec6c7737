"""The bundled domain: calls are carried out on a row's frame, and two frames are compared in kN and m.

Nothing is solved, so it needs no Pynite.
"""

from collections.abc import Sequence
from typing import Any

from data.domain import Call, Domain, Refused
from data.record import Record
from data.structural.engine import ModelSpec, build, comparable, compare, run_calls
from data.structural.engine.tool_schemas import core_tools, heldout_tools
from data.structural.requests.frames import spec_of


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


STRUCTURAL = Structural()
