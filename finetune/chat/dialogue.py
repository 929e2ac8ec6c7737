"""A conversation over several requests: what the model is shown, and what its calls do."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from data.domain import Call, Domain, Live, Refused, domain_of, own_names
from data.record import Record, tool_call
from data.render import whole_numbers
from eval.judged import Answer
from eval.parsed import ToolCall
from tooltune.errors import InputError
from tooltune.files import dump_json

Turns = list[dict[str, Any]]
Ask = Callable[[Turns, list[dict[str, Any]]], Answer]
"""`Model.answer`."""
MOST_STEPS = 8
"""Answers to one request, where the model is asked again after the results of its calls."""
_RESULT = "a domain's carry_out returns text, finite numbers, true, false, None, lists and dicts with names"
_ABOUT_THE_ROW = {
    *("split", "bucket", "lang", "phenomena", "template_id"),
    *("relevant_tools", "session", "verified", "acceptable"),
}
"""What `meta` says of a row's own request and answer; the rest is of the state that it starts with."""


@dataclass(frozen=True)
class Habits:
    """What conversations of the training rows look like; a chat keeps to it.

    Attributes:
        requests: the most that a row has, the last included. Earlier ones of a chat are not shown to the model.
        answers_results: whether an assistant turn comes after the results of calls; else the next request does.
    """

    requests: int
    answers_results: bool

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Habits":
        """Those of these rows."""
        roles = [[turn["role"] for turn in record.messages] for record in records]
        return cls(
            max(row.count("user") for row in roles),
            any(pair == ("tool", "assistant") for row in roles for pair in pairwise(row)),
        )


@dataclass
class Exchange:
    """A request with the turns that it led to.

    Attributes:
        calls: those that were carried out, as the domain names them.
        saved: whether a file of rows has it.
    """

    turns: Turns
    calls: list[Call] = field(default_factory=list)
    saved: bool = False


@dataclass(frozen=True)
class ChatStep:
    """An answer, and the result of each of its calls; none where they were not carried out."""

    answer: Answer
    results: list[dict[str, Any]]


class Chat:
    """A conversation with a model.

    An answer that is wrong (its calls cannot be read, or break a schema) is not carried out and leaves no trace: the
    request may be put in another way.

    Args:
        start: a row whose system turn and tools stand before the conversation, and whose state it starts with.
        domain: what carries calls out; None: they are shown only.

    Raises:
        InputError: the domain refuses the state that the row starts with.
    """

    def __init__(self, ask: Ask, start: Record, habits: Habits, domain: Domain | None = None) -> None:
        self.ask, self.start, self.habits, self.domain = ask, start, habits, domain
        self.exchanges: list[Exchange] = []
        try:
            self.live = domain.live(start) if domain else None
        except Refused as e:
            raise InputError(
                f"the row has no state to work on: {e}", where=start.id, fix="--row names another; or --no-execute"
            ) from None

    def request(self, text: str) -> Iterator[ChatStep]:
        """Ask; each answer as it comes, its calls carried out. There is more than one where the model answers to
        results.

        Raises:
            InputError: a call has no result; the request is taken back.
            JobFailed: there is no answer.
        """
        exchange = Exchange([{"role": "user", "content": text}])
        for _ in range(MOST_STEPS):
            answer = self.ask(self._shown(exchange), self.start.tools)
            if not answer.valid or not (answer.calls or answer.text):
                yield ChatStep(answer, [])
                return
            if len(exchange.turns) == 1:
                self.exchanges.append(exchange)
            exchange.turns.append(_assistant(answer))
            try:
                results = [self._carry_out(self.live, exchange, call) for call in answer.accepted] if self.live else []
            except (InputError, KeyboardInterrupt):
                self.undo()
                raise
            yield ChatStep(answer, results)
            if not (results and self.habits.answers_results):
                return

    def undo(self) -> str | None:
        """Take the last request back, and what it did; the request, or None where there is none."""
        if not self.exchanges:
            return None
        undone = self.exchanges.pop()
        if self.domain:
            self.live = self.domain.live(self.start)
            for exchange in self.exchanges:
                for call in exchange.calls:
                    self.live.carry_out(call)
        return str(undone.turns[0]["content"])

    def row(self, name: str) -> Record:
        """The conversation as a row, up to the last answer; it starts with the first state, as a data set's rows do."""
        turns = [*self._system(self.start), *(turn for exchange in self.exchanges for turn in exchange.turns)]
        while turns and turns[-1]["role"] == "tool":
            turns.pop()
        meta = {key: value for key, value in self.start.meta.items() if key not in _ABOUT_THE_ROW}
        return Record(name, turns, self.start.tools, meta)

    @property
    def unsaved(self) -> int:
        """How many requests no file of rows has."""
        return sum(not exchange.saved for exchange in self.exchanges)

    def state_lines(self) -> list[str]:
        """The state in lines; empty where there is none."""
        return self.live.state_text().split("\n") if self.live else []

    def _shown(self, exchange: Exchange) -> Turns:
        """What the model is asked with: as many requests as its training rows had, under the state of now."""
        others = [e for e in self.exchanges if e is not exchange]
        earlier = others[max(0, len(others) + 1 - self.habits.requests) :]
        system = self._system(self.start)
        if self.live and system:
            system = [system[0] | {"content": self.live.system()}]
        return [*system, *(turn for e in [*earlier, exchange] for turn in e.turns)]

    def _carry_out(self, live: Live, exchange: Exchange, call: ToolCall) -> dict[str, Any]:
        (own,) = own_names(self.start, [{"name": call.name, "arguments": whole_numbers(call.arguments)}])
        result = live.carry_out(own)
        try:
            content = dump_json(result)
        except (TypeError, ValueError) as e:
            raise InputError(f"the domain's result is not JSON ({e})", where=own["name"], fix=_RESULT) from None
        exchange.calls.append(own)
        exchange.turns.append({"role": "tool", "name": call.name, "content": content})
        return result

    @staticmethod
    def _system(row: Record) -> Turns:
        return [turn for turn in row.messages[:1] if turn["role"] == "system"]


def domain_for(start: Record, chosen: Domain | None) -> Domain | None:
    """What carries out the calls of a row's tools; None where nothing knows all of them, or the row has no state.

    Args:
        chosen: the one that the run's config names.
    """
    found = domain_of(start, chosen)
    if found is None:
        return None
    known = {tool["function"]["name"] for tool in found.tools()}
    offered = own_names(start, [{"name": tool["function"]["name"], "arguments": {}} for tool in start.tools])
    return found if {call["name"] for call in offered} <= known else None


def _assistant(answer: Answer) -> dict[str, Any]:
    text = {"content": answer.text} if answer.text else {}
    calls = [tool_call(call.name, whole_numbers(call.arguments)) for call in answer.accepted]
    return {"role": "assistant", **text, **({"tool_calls": calls} if calls else {})}
