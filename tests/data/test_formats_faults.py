"""Damaged files: every row ends as a record or as a rejection with a reason, and nothing but InputError comes out."""

import copy
import json
import random
from pathlib import Path

import pytest

from data.check import check_files
from data.convert import convert
from data.formats.reading import read_file
from data.formats.rows import rows_of
from data.load import load_records, load_splits
from tooltune.errors import InputError

HERE = Path(__file__).parent / "formats"
FILES = sorted([*HERE.glob("*.json*"), HERE / "bfcl" / "BFCL_v4_fixture.json"])
ODD = [
    None,
    0,
    -1.5,
    True,
    "",
    " ",
    "x",
    "{",
    "[]",
    "\ud800",
    "'",
    [],
    {},
    [None],
    {"": None},
    [[["a"]]],
    "<tool_call>",
]
BYTES = (b"", b"\xff", b"{", b"]", b'"', b"\\", b"\n", b"'", b"9e999", b"\\ud800")
TEXTS = ("", "'", '"', "}", "(", "<functioncall>", "\n")


def rows(name="openai.jsonl"):
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def write(path, *values):
    path.write_text("".join(json.dumps(v, ensure_ascii=False) + "\n" for v in values), encoding="utf-8")
    return path


def places(value, found):
    """Every (container, key) below a value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places(value[key], found)
    return found


def mutate(rng, path):
    """The bytes of a valid file with one to three faults: in its values, in text, or in its bytes."""
    raw = path.read_bytes()
    if rng.random() < 0.35:
        for _ in range(rng.randint(1, 3)):
            at, n = rng.randrange(len(raw)), rng.choice((0, 1, 1, 40))
            raw = raw[:at] + rng.choice(BYTES) + raw[at + n :]
        return raw
    values = [row.value for row in rows_of(path)]
    for _ in range(rng.randint(1, 3)):
        owner, key = rng.choice(places(values, []))
        if isinstance(owner, dict) and rng.random() < 0.3:
            owner.pop(key)
        elif isinstance(owner[key], str) and rng.random() < 0.4 and owner[key]:
            at = rng.randrange(len(owner[key]))
            owner[key] = owner[key][:at] + rng.choice(TEXTS) + owner[key][at + 1 :]
        else:
            owner[key] = copy.deepcopy(rng.choice(ODD))
    return "\n".join(json.dumps(value) for value in values).encode()


def test_two_hundred_damaged_files_give_rows_or_reasons(tmp_path):
    rng = random.Random(7)
    seen = {"records": 0, "rejected": 0, "refused": 0}
    for n in range(200):
        source = FILES[n % len(FILES)]
        path = tmp_path / f"{n}{source.suffix}"
        path.write_bytes(mutate(rng, source))
        try:
            loaded = read_file(path, mend=n % 2 == 0)
        except InputError as e:
            assert e.what and e.where
            seen["refused"] += 1
            continue
        lines = {line for line, _ in loaded.records} | {entry.row.line for entry in loaded.rejected}
        assert lines == {row.line for row in rows_of(path)}, path
        for entry in loaded.rejected:
            assert entry.error.where == f"{path}:{entry.row.line}" or entry.error.where.startswith(f"{path}:")
            # a reason of its own, not the general one
            assert "does not have the shape" not in entry.error.what, str(entry.error)
        seen["records"] += len(loaded.records)
        seen["rejected"] += len(loaded.rejected)
        check_files([path], tokenizer="none")
        if n % 5 == 0:
            try:
                convert(path)
            except InputError as e:
                assert e.what
    assert min(seen.values()) > 0, seen  # the mutations reach all three outcomes


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "no rows"),
        (b"[]", "no rows"),
        (b"{}\n", "no row is an object with keys"),
        (b"[1, 2]\n", "not a known format"),
        (b'{"a": 1}\n', "'a'"),
        (b'{"messages": [}\n', "not JSON"),
        (b"\xb0\xa1\n", "not UTF-8"),
        (b'[{"x": "\xb0\xa1"}]', "not UTF-8"),
        (b'{"messages": ' + b"[" * 100_000, "not JSON"),
        (b'{"messages": ' + b"9" * 5000 + b"}\n", "not JSON"),
        (b'{"id": 1, "messages": [], "meta": ' + b"[" * 100 + b"]" * 100 + b"}\n", "nesting"),
        ('{"id": "절점"}\n'.encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04\x14\x00", "spreadsheet"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"ARROW1\x00\x00", "an Arrow file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ba12\nsize 37154735\n", "Git LFS pointer"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}\n', "the key 'c' twice"),
    ],
)
def test_files_that_cannot_be_read_at_all(tmp_path, raw, what):
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=what):
        read_file(path)


def test_a_missing_file_a_folder_and_a_table(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufeff요청,도구\r\n절점 8번,undo\r\n".encode())
    for name, what in (("none.jsonl", "no such file"), ("", "Is a directory"), ("a.csv", "a table is not read")):
        with pytest.raises(InputError, match=what):
            read_file(tmp_path / name)


def test_a_row_with_a_key_twice_is_rejected_in_lines_and_in_lists(tmp_path):
    good, path = json.dumps(rows("records.jsonl")[0]), tmp_path / "a.jsonl"
    bad = good.replace('"arguments": {', '"arguments": {"q": 1, "q": 2, ', 1)
    for text in (f"{bad}\n{good}\n", f"[{bad},\n{good}]"):
        path.write_text(text, encoding="utf-8")
        loaded = read_file(path)
        assert [line for line, _ in loaded.records] == [2] and [entry.row.line for entry in loaded.rejected] == [1]
        assert loaded.rejected[0].error.what == "the row has the key 'q' twice in one object"


def test_a_bad_line_does_not_take_the_others_with_it(tmp_path):
    good = (HERE / "openai.jsonl").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([good[0], "{broken", "", good[1], '{"messages": "x"}']), encoding="utf-8")
    loaded = read_file(path)
    assert [line for line, _ in loaded.records] == [1, 4]
    assert [entry.row.line for entry in loaded.rejected] == [2, 5]


def test_convert_sets_rejected_rows_aside_with_their_reason(tmp_path):
    good, bad = rows()[0], rows()[1]
    bad["tools"] = []
    path = write(tmp_path / "mine.jsonl", good, bad)
    with path.open("a", encoding="utf-8") as file:
        file.write("{broken 한글\n" + json.dumps(good | {"x": float("nan")}) + "\n")
    done = convert(path)
    assert done.out == tmp_path / "mine.records.jsonl" and done.aside == tmp_path / "mine.jsonl.rejected.jsonl"
    aside = [json.loads(line) for line in done.aside.read_text(encoding="utf-8").splitlines()]
    assert [entry["line"] for entry in aside] == [2, 3, 4]
    assert "not among the tools" in aside[0]["reason"] and aside[0]["row"] == bad
    assert aside[1]["row"] == "{broken 한글"
    assert "NaN" in aside[2]["row"]
    assert "서울" in done.out.read_text(encoding="utf-8")
    assert len(load_records(done.out)) == 1


def test_strict_writes_nothing(tmp_path):
    path = write(tmp_path / "mine.jsonl", rows()[0], rows()[1] | {"tools": []})
    with pytest.raises(InputError, match="nothing was written") as caught:
        convert(path, strict=True)
    assert caught.value.where.startswith(f"{path}:2")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.jsonl"]


def test_convert_never_overwrites_its_input(tmp_path):
    path = write(tmp_path / "mine.jsonl", rows()[0])
    with pytest.raises(InputError, match="overwrite"):
        convert(path, path)


def test_convert_decodes_the_arguments_of_records(tmp_path):
    row = rows("records.jsonl")[0]
    function = row["messages"][1]["tool_calls"][0]["function"]
    function["arguments"] = json.dumps(function["arguments"])
    path = write(tmp_path / "mine.jsonl", row)
    with pytest.raises(InputError, match="must be a JSON object, not a string"):
        load_records(path)
    (record,) = load_records(convert(path).out)
    assert record.gold[0]["arguments"] == {"city": "서울", "days": 2} and record.id == "weather"


def test_training_takes_any_format_and_says_so(capsys):
    assert len(load_records(HERE / "sharegpt.json")) == 5
    assert "ShareGPT, 5 rows read as 5 records, 0 rejected" in capsys.readouterr().err
    load_records(HERE / "records.jsonl")
    assert capsys.readouterr().err == ""


def test_training_refuses_a_wrong_row_of_another_format(tmp_path):
    path = write(tmp_path / "a.jsonl", rows()[0], rows()[1] | {"tools": []})
    with pytest.raises(InputError) as caught:
        load_records(path, say=lambda _: None)
    assert caught.value.where.startswith(f"{path}:2") and "python -m data convert" in caught.value.fix


def test_errors_of_records_are_what_they_were(tmp_path):
    record = rows("records.jsonl")[0]
    with pytest.raises(InputError, match="on line 1 already"):
        load_records(write(tmp_path / "a.jsonl", record, record))
    with pytest.raises(InputError, match='has no "id"'):
        load_records(write(tmp_path / "b.jsonl", record, {k: v for k, v in record.items() if k != "id"}))


def test_rows_of_training_are_found_in_validation_whatever_their_id(tmp_path):
    train = write(tmp_path / "a.jsonl", *rows("records.jsonl"))
    other = write(tmp_path / "b.jsonl", rows("records.jsonl")[0] | {"id": "new"})
    with pytest.raises(InputError, match="are among the training rows"):
        load_splits(train, other, None)


def test_rows_of_training_are_found_in_test(tmp_path):
    first, *more = rows("records.jsonl")
    train = write(tmp_path / "a.jsonl", first)
    validation = write(tmp_path / "b.jsonl", *more)
    with pytest.raises(InputError, match=r"c\.jsonl: 1 rows are among the training rows"):
        load_splits(train, validation, write(tmp_path / "c.jsonl", first))


def test_one_file_is_split_by_ids_and_a_conversation_stays_in_one_part(tmp_path):
    def named(i, text):
        return rows("records.jsonl")[0] | {"id": i, "messages": [{"role": "user", "content": text}, ANSWER]}

    file = write(tmp_path / "a.jsonl", *(named(f"r{n}", f"request {n // 2}") for n in range(400)))
    parts = load_splits(file, None, None)
    assert [len(part) for part in parts] == [326, 44, 30] and sum(map(len, parts)) == 400
    said = [{record.messages[0]["content"] for record in part} for part in parts]
    assert not said[0] & said[1] and not said[0] & said[2] and not said[1] & said[2]
    given = write(tmp_path / "b.jsonl", named("new", "another"))
    assert [len(part) for part in load_splits(file, None, given)] == [326, 44, 1]


ANSWER = {"role": "assistant", "content": "Yes."}


def test_schemas_fetch_nothing_and_raise_nothing(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: fetched.append(a))
    record = rows("records.jsonl")[0]
    regex = {"properties": {"city": {"pattern": "("}}}
    for broken in ({"$ref": "http://localhost:1/x.json"}, {"required": True}, regex):
        record["tools"][0]["function"]["parameters"] = broken
        with pytest.raises(InputError, match="the schema itself is wrong"):
            load_records(write(tmp_path / "a.jsonl", record))
    assert not fetched
