"""Tools under made-up names: the same in schemas, calls and tool turns, a function of the list alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import data.structural
from data.domain import own_names
from data.load import load_records
from data.record import Record, calls_of
from data.renaming import with_made_up_names
from data.splits import read_splits
from tests.data.test_stored import settings

TRAIN = Path(data.structural.__file__).parent / "train.jsonl"


@pytest.fixture(scope="module")
def rows() -> list[Record]:
    return load_records(TRAIN)


def names(record: Record) -> list[str]:
    return [tool["function"]["name"] for tool in record.tools]


def offered(*functions: dict[str, Any], **row: Any) -> Record:
    call = {"type": "function", "function": {"name": functions[0]["name"], "arguments": {"a": 1}}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}]
    return Record("1", messages, [{"type": "function", "function": f} for f in functions], **row)


def test_a_renamed_row_is_a_row_whose_calls_map_back(rows: list[Record]) -> None:
    """But for the names nothing changes: types, arguments, texts, what tool turns answer."""
    changed = 0
    for row in rows[::7]:
        new = with_made_up_names(row, 1.0)
        if new is row:
            assert "renamed" in row.meta
            continue
        changed += 1
        Record.from_dict(new.to_dict(), where=row.id)  # calls are checked against the schemas
        assert not {*names(new)} & {*names(row)} and len({*names(new)}) == len(row.tools)
        back = new.meta["renamed"]
        assert [back[name]["name"] for name in names(new)] == names(row)
        for old, message in zip(row.messages, new.messages, strict=True):
            assert own_names(new, calls_of(message)) == calls_of(old)
            if old["role"] == "tool":
                assert back[message["name"]]["name"] == old["name"]
            assert message.get("content") == old.get("content")
        assert [back[name]["name"] for name in new.meta["relevant_tools"]] == row.meta["relevant_tools"]
    assert changed > 200


def test_rows_of_a_list_keep_sharing_it_and_about_the_share_is_renamed(rows: list[Record]) -> None:
    lists: dict[str, set[tuple[str, ...]]] = {}
    for row in rows:
        lists.setdefault(str(row.tools), set()).add(tuple(names(with_made_up_names(row, 0.5))))
    assert all(len(made) == 1 for made in lists.values())
    own = {str(row.tools) for row in rows if "renamed" not in row.meta}
    renamed = sum(str(next(iter(made))[0]) not in tools for tools, made in lists.items() if tools in own)
    assert 0.4 < renamed / len(own) < 0.6
    assert all(with_made_up_names(row, 0) is row for row in rows[:50])


@pytest.mark.parametrize(
    "record",
    [
        offered({"name": "f", "parameters": {}}),
        offered({"name": "f", "description": "one"}, {"name": "g", "description": ""}),
        offered({"name": "f", "description": "one"}, meta={"renamed": {}}),
        Record("1", [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], []),
    ],
    ids=["no description", "one without", "renamed already", "no tools"],
)
def test_a_list_that_says_nothing_but_names_keeps_them(record: Record) -> None:
    assert with_made_up_names(record, 1.0) is record


def test_what_else_speaks_of_a_tool_is_renamed_too() -> None:
    record = offered({"name": "f", "description": "one"}, meta={"acceptable": {"f": {"a": [1, 2]}, "cut": {}}})
    record = replace(record, messages=[*record.messages, {"role": "tool", "name": "f", "content": "ok"}])
    new = with_made_up_names(record, 1.0)
    [name] = names(new)
    assert new.meta["acceptable"] == {name: {"a": [1, 2]}, "cut": {}} and new.messages[-1]["name"] == name
    assert record.messages[-1]["name"] == "f", "the row itself stays"


def test_only_rows_that_train_are_renamed(tmp_path: Path) -> None:
    validation = TRAIN.with_name("validation.jsonl")
    splits = read_splits(settings(TRAIN, validation, None, limit=40, rename_tools=1.0))
    plain = read_splits(settings(TRAIN, validation, None, limit=40))
    assert [names(r) for r in splits["train"]] != [names(r) for r in plain["train"]]
    assert [r.to_dict() for r in splits["validation"]] == [r.to_dict() for r in plain["validation"]]
