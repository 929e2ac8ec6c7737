"""The hand-written requests as rows: written by their module, carried out by the engine, and said by no other row."""

import pytest

from data.domain import history_calls
from data.record import Record
from data.structural.engine import run_calls
from data.structural.handwritten import HERE, build
from data.structural.language.replies import OPENING
from data.structural.proof import split_leaks as checks
from data.structural.requests.frames import spec_of
from tooltune.files import read_jsonl

ROWS = [row for _, row in read_jsonl(HERE / "handwritten.jsonl")]


def test_file_is_what_the_module_writes():
    assert (HERE / "handwritten.jsonl").read_bytes() == build().encode("utf-8")
    assert len(ROWS) == 134


def test_every_sentence_is_reserved():
    """What keeps them out of the splits: no generated row may repeat one."""
    for row in ROWS:
        assert checks.fingerprint(checks.requests(row)[-1]) in checks.reserved(), row["id"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_row(row):
    record = Record.from_dict(row, where=row["id"])
    spec = spec_of(row["meta"])
    assert run_calls(spec, history_calls(record.prompt), record.gold).ok
    if not record.gold:
        assert record.messages[-1]["content"].startswith(OPENING)
    names = {tool["function"]["name"] for tool in record.tools}
    needed = {*row["meta"]["relevant_tools"], *(c["name"] for c in history_calls(record.prompt))}
    assert needed <= names and 4 <= len(names) <= 8 and len(names) >= len(needed) + 2


def test_descriptions_are_in_the_language_of_the_request():
    for row in ROWS:
        texts = [tool["function"]["description"] for tool in row["tools"]]
        assert all(text.isascii() == (row["meta"]["lang"] == "en") for text in texts), row["id"]
