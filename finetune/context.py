"""What stands before a typed request: the system turn and the tools, as a run's rows have them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.load import row_of
from data.record import Record
from data.validate import offered
from eval.outputs import read_tools
from eval.trained import Trained
from finetune.words import phrase
from tooltune.errors import InputError
from tooltune.words import Phrase


@dataclass(frozen=True)
class Context:
    """What stands before a request.

    Attributes:
        row: a row that begins so; its other turns are asked nothing.
    """

    row: Record
    origin: Phrase

    @property
    def system(self) -> list[dict[str, Any]]:
        return [turn for turn in self.row.messages[:1] if turn["role"] == "system"]

    @property
    def tools(self) -> list[dict[str, Any]]:
        """Those that are offered, as the run's rows show them."""
        return self.row.tools

    def conversation(self, request: str) -> list[dict[str, Any]]:
        return [*self.system, {"role": "user", "content": request}]

    def described(self, run: str) -> Phrase:
        """One line for a run: which tools, and what the system turn says."""
        names = ", ".join(tool["function"]["name"] for tool in self.tools) or phrase("context.no_tools")
        system = " / ".join(turn["content"].replace("\n", " / ") for turn in self.system)
        system_or_none = system or phrase("context.no_system")
        return phrase("ask.context", run=run, origin=self.origin, tools=names, system=system_or_none)


def read_context(
    trained: Trained,
    splits: Mapping[str, Sequence[Record]],
    row: str | None = None,
    tools: Path | None = None,
) -> Context:
    """The context of a row of the run's data, or the tools of a file.

    Args:
        splits: the run's rows, of `read_splits`.
        row: the id of a row of any split; None: the training row with the most tools, the first of them, if need be
            one whose tools were renamed.
        tools: a JSON list of function schemas, shown under the first line of the system turn where all validation rows
            have the same.

    Raises:
        InputError: both are given, there is no such row, or the file holds no tools.
    """
    if row and tools:
        raise InputError("both a row and a file of tools were given", where="--tools", fix="give one of them")
    if tools:
        found = read_tools(tools)
        offered(found, str(tools))
        line = usual_line(splits["validation"])
        system = [{"role": "system", "content": line}] if line else []
        names = [tool["function"]["name"] for tool in found]  # none is left out
        return Context(
            trained.view(Record("", system, found, {"relevant_tools": names})), phrase("context.tools", path=tools)
        )
    rows = [record for name in ("test", "train", "validation") for record in splits[name]]
    record = row_of(rows, row, "the run's data") if row else fullest(splits["train"])
    return Context(record, phrase("context.row", id=record.id))


def usual_line(records: Iterable[Record]) -> str:
    """The first line of the system turn where all rows have the same one, else the empty string."""
    first = [record.messages[0] for record in records]
    lines = {turn["content"].split("\n")[0] if turn["role"] == "system" else "" for turn in first}
    return lines.pop() if len(lines) == 1 else ""


def fullest(records: Iterable[Record]) -> Record:
    """The row that offers the most tools, under their own names where there is such a row."""
    return max(records, key=lambda r: ("renamed" not in r.meta, len(r.tools)))
