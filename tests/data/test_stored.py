"""Rows on disk are the rows: the same records, in the same order, whatever file they came from."""

from pathlib import Path

import pytest

from data import splits
from data.formats.companion_files import companions
from data.formats.reading import read_file
from data.load import load_splits, stream_splits
from data.splits import read_splits
from data.stored import RecordWriter, StoredRecords
from data.tools import with_visible_tools
from tooltune.config import DataSection, load_config
from tooltune.errors import InputError

HERE = Path(__file__).parent / "formats"
STRUCTURAL = Path(__file__).parent.parent.parent / "data" / "structural"
FILES = [*sorted(HERE.glob("*.json*")), HERE / "bfcl" / "BFCL_v4_fixture.json"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLTUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def read_again(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The training files that are read from now on."""
    read: list[Path] = []

    def noted(train, *rest):
        read.append(train)
        stream_splits(train, *rest)

    monkeypatch.setattr(splits, "stream_splits", noted)
    return read


def settings(train: Path, validation: Path | None = None, test: Path | None = None, **changes: object) -> DataSection:
    given = {"train": train, "validation": validation, "test": test, **changes}
    return load_config("cpu").changed({f"data.{key}": value for key, value in given.items()}).data


def some(path: Path, rows: int, source: str = "train") -> Path:
    lines = (STRUCTURAL / f"{source}.jsonl").read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_records_of_every_format_come_back_as_they_were(tmp_path: Path, path: Path) -> None:
    records = [record for _, record in read_file(path).records]
    with RecordWriter(tmp_path / "records.jsonl") as writer:
        for record in records:
            writer.add(record)
    stored = StoredRecords(tmp_path / "records.jsonl")
    assert list(stored) == records and len(stored) == len(records)
    assert stored[-1] == records[-1] and stored[1:3] == records[1:3]
    with pytest.raises(IndexError):
        stored[len(records)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rows_that_are_handed_on_are_those_that_would_be_kept(path: Path) -> None:
    whole, taken, rejected = read_file(path), [], []
    handed = read_file(path, take=lambda line, record: taken.append((line, record)), reject=rejected.append)
    assert (taken, [e.error.what for e in rejected]) == (whole.records, [e.error.what for e in whole.rejected])
    assert not handed.records and not handed.rejected
    assert (handed.rows, handed.lost) == (whole.rows, whole.lost)


def test_stored_splits_are_those_of_the_files(tmp_path: Path) -> None:
    train, test = some(tmp_path / "a.jsonl", 60), some(tmp_path / "c.jsonl", 5, "test")
    validation = some(tmp_path / "b.jsonl", 8, "validation")
    for apart in (validation, None):
        data = settings(train, apart, test, max_tools=3, descriptions=False, limit=20)
        parts = load_splits(train, apart, test)
        wanted = [
            [with_visible_tools(r, max_tools=3, descriptions=False) for r in part]
            for part in (parts[0][:20], *parts[1:])
        ]
        assert [list(part) for part in read_splits(data).values()] == wanted


def test_a_missing_file_is_named_as_it_was_given(tmp_path: Path) -> None:
    train = some(tmp_path / "a.jsonl", 5)
    for files, test, fix in ((settings(train, None, tmp_path / "none"), None, "data.train=FILE"),
                             (settings(train, None, None), tmp_path / "none", "check the path")):  # fmt: skip
        with pytest.raises(InputError, match="no such file") as told:
            read_splits(files, test)
        assert fix in "\n".join(told.value.lines())


def test_a_second_start_reads_no_file(
    tmp_path: Path, read_again: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source = HERE / "sharegpt.json"
    train = tmp_path / "mine.json"
    train.write_bytes(source.read_bytes())
    data = settings(train, some(tmp_path / "b.jsonl", 8, "validation"))
    first = {name: list(part) for name, part in read_splits(data, lang="en").items()}
    said = capsys.readouterr().err
    assert {name: list(part) for name, part in read_splits(data, lang="en").items()} == first
    assert said.startswith(f"{train}: ShareGPT, 5 rows read as 5") and capsys.readouterr().err == said
    read_splits(data, lang="ko")
    assert capsys.readouterr().err.startswith(f"{train}: ShareGPT 형식, 5행을 레코드 5개로")
    read_splits(data)
    assert read_again == [train] and capsys.readouterr().err == ""


def test_too_few_rows_without_a_call_are_said_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the rows that train, after `limit`."""
    lines = (STRUCTURAL / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    lines = sorted(lines, key=lambda line: "tool_calls" not in line)[1465:1565]  # the last 65 make no call
    train, validation = tmp_path / "a.jsonl", some(tmp_path / "b.jsonl", 8, "validation")
    train.write_text("".join(lines), encoding="utf-8")
    for lang, limit, said in (("ko", 40, "경고: 호출하지 않는 행이 12%"), ("en", 40, "warning: 12%"), ("en", None, "")):
        read_splits(settings(train, validation, limit=limit), lang=lang)
        assert capsys.readouterr().err[: len(said) or None] == said


@pytest.mark.parametrize("change", ["a byte", "a limit", "the tools", "the test file", "the code"])
def test_nothing_old_is_taken(
    tmp_path: Path, read_again: list[Path], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    train, validation = some(tmp_path / "a.jsonl", 30), some(tmp_path / "b.jsonl", 8, "validation")
    before = read_splits(settings(train, validation))["train"][0]
    later: dict[str, object] = {}
    if change == "a byte":
        text = train.read_text(encoding="utf-8")
        train.write_text(text.replace(before.id, before.id[:-1] + "X", 1), encoding="utf-8")
    elif change == "the code":
        monkeypatch.setattr(splits, "code_digest", lambda *packages: "another")
    elif change == "the test file":
        later = {"test": some(tmp_path / "c.jsonl", 3, "test")}
    else:
        later = {"limit": 3} if change == "a limit" else {"max_tools": 2}
    now = read_splits(settings(train, validation, **later))
    assert len(read_again) == 2
    assert (now["train"][0].id != before.id) is (change == "a byte")


def test_a_file_beside_the_data_counts_too(tmp_path: Path, read_again: list[Path]) -> None:
    folder = tmp_path / "bfcl"
    for path in (HERE / "bfcl").rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(HERE / "bfcl")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    train = folder / "BFCL_v4_fixture.json"
    beside = companions(train)
    assert beside
    data = settings(train, some(tmp_path / "b.jsonl", 8, "validation"))
    read_splits(data)
    answers = next(path for path in beside if path.parent.name == "possible_answer" and path.name == train.name)
    answers.write_bytes(answers.read_bytes() + b"\n")
    read_splits(data)
    assert len(read_again) == 2


def test_a_wrong_row_is_told_at_every_start(tmp_path: Path, read_again: list[Path]) -> None:
    train = some(tmp_path / "a.jsonl", 12)
    with train.open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    for _ in range(2):
        with pytest.raises(InputError) as e:
            read_splits(settings(train))
        assert e.value.where == f"{train}:13"
    assert len(read_again) == 2
