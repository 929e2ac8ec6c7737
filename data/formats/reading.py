"""A file in any format to checked records. Every row becomes a record or a rejection with its reason; none vanishes."""

import hashlib
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

from data.formats.companion_files import Beside
from data.formats.detect import SAMPLE, detect
from data.formats.keys import CONTROL, CUT, NULLS, RENDERED, ROW, SYNTAX, UNASKED, DataLoss, losses
from data.formats.marks import refuse_wrong
from data.formats.names import make_legal
from data.formats.rows import Row, rows_of
from data.formats.schema import drop_nulls
from data.formats.turns import read_turns
from data.record import Record
from data.words import fault, phrase
from tooltune.errors import InputError
from tooltune.files import dump_json
from tooltune.words import Phrase

MAX_RECORDS_A_ROW = 1000
MAX_HEAD = 10_000
"""Rows that are looked at to find one that can be read."""


@dataclass(frozen=True)
class Rejected:
    """A row that made no record.

    Attributes:
        error: why, with file:line.
    """

    row: Row
    error: InputError

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file of rejected rows: line, reason, and the row (its text where it is not JSON)."""
        kept = self.row.text if self.row.error else self.row.value
        return {"line": self.row.line, "reason": self.error.what, "row": kept}


@dataclass
class Loaded:
    """What a file held.

    Attributes:
        format: the name of the format it was read as.
        rows: how many rows it has; one row may make several records.
        records: (line, record) in the file's order; empty where they were handed on.
        rejected: the rows that made no record, or not all of theirs; empty where they were handed on.
        lost: for each kind of thing that records lose of their rows, how often, by key (or by line, as text).
    """

    path: Path
    format: str
    rows: int = 0
    records: list[tuple[int, Record]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    lost: dict[DataLoss, Counter[str]] = field(default_factory=dict)

    def lines(self) -> list[Phrase]:
        """What the records lost, one line for each kind."""
        return [
            phrase("lost.line", path=self.path, what=loss.said, counts=_counts(found))
            for loss, found in self.lost.items()
        ]


def read_file(
    path: str | Path,
    *,
    mend: bool = False,
    take: Callable[[int, Record], None] | None = None,
    reject: Callable[[Rejected], None] | None = None,
) -> Loaded:
    """Read a file in the format that it has.

    Args:
        mend: bring records into shape too (arguments as text, tools without the wrapper, …), as for any other format;
            otherwise a record must be right as it stands.
        take, reject: handed each line and record, and each rejected row, as they are read, so that a file of any length
            takes little memory; None: they are kept.

    Raises:
        InputError: the file cannot be read, has no rows, or no known format; or what `take` and `reject` raise.
    """
    path = Path(path)
    rows = rows_of(path)
    head, readable = _head(rows)
    if head and not readable:
        assert head[0].error
        raise head[0].error
    try:
        module = detect(readable, path)
    except InputError:
        last = deque(chain(head, rows), maxlen=1)
        if broken := head and (head[0].error or last[0].error):  # cut off, or no JSON at all: that comes first
            raise broken from None
        raise
    loaded = Loaded(path, module.NAME)
    take = take or (lambda line, record: loaded.records.append((line, record)))
    reject = reject or loaded.rejected.append
    beside, lines = Beside(path), dict[str, int]()
    native, known = module.NAME == "records", set(ROW[module.NAME].split())
    for row in chain(head, rows):
        loaded.rows += 1
        where = f"{path}:{row.line}"
        try:
            if row.error:
                raise row.error
            if isinstance(row.value, dict):
                refuse_wrong(row.value, known)
            made = [row.value] if native and not mend else _made(module, row, beside)
        except InputError as e:
            reject(Rejected(row, InputError(e.said, where=where, fix=e.advice)))
            continue
        counted = False
        for candidate in made:
            try:
                record = Record.from_dict(candidate, where=where)
            except InputError as e:
                fix = phrase("mends") if native and not mend and _mendable(module, row, beside) else e.advice
                reject(Rejected(row, InputError(e.said, where=e.where, fix=fix)))
                continue
            try:
                _own_id(record, row, lines, path, native)
                if native and not mend:
                    _check_results(record)
                found = [*([] if counted else losses(row.value, module.NAME)), *_lost_of(record, candidate)]
            except InputError as e:
                reject(Rejected(row, e.at(where)))
            else:
                counted = True  # what a row loses is lost once, however many records it makes
                for loss, key in found:
                    loaded.lost.setdefault(loss, Counter())[key or f"line {row.line}"] += 1
                take(row.line, record)
    return loaded


def _head(rows: Iterator[Row]) -> tuple[list[Row], list[Any]]:
    """The first rows, as many as tell the format, and the values of those that can be read."""
    head: list[Row] = []
    readable: list[Any] = []
    for row in rows:
        head.append(row)
        if row.error is None:
            readable.append(row.value)
        if len(readable) == SAMPLE or len(head) == MAX_HEAD:
            break
    return head, readable


_CONTROL = re.compile(r"<\|[^|<>\s]{1,40}\|>|<(?:start|end)_of_turn>|<eos>|<bos>|</s>")
_RENDERED = re.compile(r"\s*(?:<s>|<bos>|<start_of_turn>|\[INST\]|<\|(?:begin_of_text|im_start|start\w*|user)\|>)")


def _counts(found: Counter[str]) -> Phrase | str:
    """Keys with their counts, or how many and the first line."""
    if (first := next(iter(found))).startswith("line "):
        return phrase("lost.counts", n=found.total(), line=first.removeprefix("line "))
    return ", ".join(f"{key} × {n}" for key, n in found.most_common())


def _mendable(module: ModuleType, row: Row, beside: Beside) -> bool:
    """Whether a record that is not right as it stands is right once it is mended."""
    try:
        for made in _made(module, row, beside):
            Record.from_dict(made)
    except InputError:
        return False
    return True


def _check_results(record: Record) -> None:
    """Refuse a record whose results are not those of its calls, in their order."""
    if any(m["role"] == "tool" for m in record.messages):
        turns = [m | {"content": str(i)} if m["role"] == "tool" else m for i, m in enumerate(record.messages)]
        read = [int(m["content"]) for m in read_turns(turns, lambda text: (text, [])) if m["role"] == "tool"]
        if read != sorted(read):
            raise fault("result.order")


def _lost_of(record: Record, made: dict[str, Any]) -> Iterator[tuple[DataLoss, str]]:
    """What only the finished record tells: texts taken out, turns left out, answers that end early."""
    if made.get("cut"):
        yield CUT, ""
    if made.get("syntax"):
        yield SYNTAX, ""
    if made.get("nulls"):
        yield NULLS, ""
    waiting = 0
    for message in record.messages:
        if message["role"] != "tool":
            waiting = len(message.get("tool_calls") or [])
        elif (waiting := waiting - 1) < 0:
            yield UNASKED, ""
    if any(_RENDERED.match(m.get("content") or "") for m in record.messages if m["role"] != "assistant"):
        yield RENDERED, ""
    answers = [m for m in record.messages if m["role"] == "assistant" and m.get("trained", True)]
    if any(_CONTROL.search(dump_json([m.get("content"), m.get("tool_calls")])) for m in answers):
        yield CONTROL, ""


def _made(module: ModuleType, row: Row, beside: Beside) -> list[dict[str, Any]]:
    """The records in a row, with legal names and an id."""
    if not isinstance(row.value, dict):
        raise fault("row.not_object")
    try:
        made = list(module.read(row.value, beside))
        if len(made) > MAX_RECORDS_A_ROW:
            raise fault("row.many", n=len(made), most=MAX_RECORDS_A_ROW)
        if not made:
            raise fault("row.nothing")
        several = len(made) > 1
        return [_finished(one, row, n if several else 0, module.NAME) for n, one in enumerate(made, 1)]
    except KeyError as e:
        raise fault("row.no_key", key=e, form=module.NAME) from e
    except (TypeError, ValueError, AttributeError, IndexError, RecursionError) as e:
        # Rows are not trusted: whatever shape a reader did not foresee is the row's fault and costs that row only.
        raise fault("row.shape", form=module.NAME, error=f"{type(e).__name__}: {str(e)[:80]}") from e


def _finished(made: dict[str, Any], row: Row, n: int, source: str) -> dict[str, Any]:
    given = row.value.get("meta")
    meta = (given if isinstance(given, dict) else {}) | made.get("meta", {})
    if source != "records":
        meta = {"source": source} | meta
    if isinstance(row.value.get("split"), str):
        meta.setdefault("split", row.value["split"])
    record_id = _id(made.get("id"), row.value, n, source)
    messages = _without_rest(made["messages"])
    record = {"id": record_id, "messages": messages, "tools": made["tools"], "meta": meta}
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in record["tools"]}
    calls = [call["function"] for m in messages for call in m.get("tool_calls") or []]
    nulls = [drop_nulls(call["arguments"], schemas.get(call["name"], {})) for call in calls]
    make_legal(record)
    listed = made.get("meta", {}).get("system")
    syntax = bool(listed) and [m["content"] for m in messages[:1] if m["role"] == "system"] != [listed]
    return record | {"cut": len(messages) < len(made["messages"]), "syntax": syntax, "nulls": any(nulls)}


def _without_rest(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turns up to the last answer that is trained; all of them where the last turn is no answer that is masked."""
    answers = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
    trained = [i for i in answers if messages[i].get("trained", True)]
    if answers and not trained:
        raise fault("row.untrained")
    masked_last = bool(answers) and not messages[answers[-1]].get("trained", True)
    return messages[: trained[-1] + 1] if masked_last else messages


def _id(own: Any, row: dict[str, Any], n: int, source: str) -> str:
    """A row's own id where it has one; a plain number, which another file may count up to as well, gets a digest."""
    given = own if own is not None else row.get("id")
    digest = hashlib.sha256(dump_json(row).encode()).hexdigest()[:12] + (f"-{n}" if n else "")
    if not isinstance(given, (str, int)) or isinstance(given, bool) or given == "":
        return digest
    counted = source != "records" and str(given).isdigit()
    return f"{given}-{digest}" if counted else str(given)


def _own_id(record: Record, row: Row, lines: dict[str, int], path: Path, native: bool) -> None:
    """See that the id is the record's own: a record's must be, in other formats the line makes it so."""
    if record.id in lines and native:
        raise fault("id.twice", f"{path}:{row.line}", id=record.id, line=lines[record.id])
    stem, n = record.id, 1
    while record.id in lines:
        record.id = f"{stem}:{row.line}" if n == 1 else f"{stem}:{row.line}.{n}"
        n += 1
    lines[record.id] = row.line
