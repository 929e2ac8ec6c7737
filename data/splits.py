"""The rows of a run by split, read and checked once: the next start finds them on disk."""

import os
from collections import Counter
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data.cache import code_digest, kept
from data.check.balance import few_without_call
from data.check.words import phrase
from data.formats.companion_files import companions
from data.load import SPLITS, stream_splits, to_stderr
from data.record import Record
from data.renaming import with_made_up_names
from data.stored import RecordWriter, StoredRecords
from data.tools import with_visible_tools
from tooltune.config import DataSection
from tooltune.console import Terminal, ticking
from tooltune.errors import InputError
from tooltune.files import file_digest, line_count, read_jsonl, write_jsonl
from tooltune.words import Language, Phrase, from_data, in_language, joined, to_data


def read_splits(data: DataSection, test: Path | None = None, lang: Language | None = None) -> dict[str, StoredRecords]:
    """The rows of a run, by split, with their tools as the model sees them; under `train` those that train.

    Args:
        test: a file that takes the place of the test split.
        lang: of what is said of the files, on standard error; None: nothing is said.

    Raises:
        InputError: as `stream_splits`.
    """
    files = {"train": data.train, "validation": data.validation, "test": test or data.test}
    for path in files.values():
        if path and not os.path.exists(path):  # noqa: PTH110 - Path.exists raises where a name is too long
            named = "name it with data.train=FILE and the like; a run's place for it stands in its config.yaml"
            fix = "check the path" if path is test else named
            raise InputError("no such file", where=str(path), fix=fix)
    folder = kept("records", _facts(data, files), lambda new: _write(new, data, files, lang or "en"))
    if lang:
        for _, line in read_jsonl(folder / "said.jsonl"):
            to_stderr(in_language(from_data(line), lang))
    return {name: StoredRecords(folder / f"{name}.jsonl") for name in SPLITS}


def _facts(data: DataSection, files: dict[str, Path | None]) -> dict[str, Any]:
    there = [path for path in files.values() if path and path.is_file()]  # what is missing is told when it is read
    beside = sorted({found for path in there for found in companions(path)})
    return {
        "files": {name: str(path) if path else None for name, path in files.items()},
        "digests": {str(path): file_digest(path) for path in [*there, *beside]},
        "shown": {"max_tools": data.max_tools, "descriptions": data.descriptions, "limit": data.limit},
        "rename_tools": data.rename_tools,
        "code": code_digest("tooltune", "data"),
        "jsonschema": version("jsonschema"),
    }


def _write(folder: Path, data: DataSection, files: dict[str, Path | None], lang: Language) -> None:
    """Read the files into one of records for each split, and what was said of them."""
    said: list[Phrase] = []
    calls: Counter[bool] = Counter()  # rows that train, by whether they make one
    with ExitStack() as stack:
        writers = {name: stack.enter_context(RecordWriter(folder / f"{name}.jsonl")) for name in SPLITS}
        total = sum(map(line_count, filter(None, files.values())))
        tick = stack.enter_context(ticking(Terminal(stderr=True), phrase("bar.reading").text(lang), total))

        def put(split: str, record: Record) -> None:
            tick(1)
            if split == "train" and data.limit and len(writers[split].starts) >= data.limit:
                return
            if split == "train":
                calls[bool(record.gold)] += 1
            shown = with_visible_tools(record, max_tools=data.max_tools, descriptions=data.descriptions)
            writers[split].add(with_made_up_names(shown, data.rename_tools) if split == "train" else shown)

        train, validation, test = files.values()
        assert train
        stream_splits(train, validation, test, put, said.append)
    for few in few_without_call(calls[False], calls.total()):
        said.append(joined([phrase("level.warning"), joined([few.what, few.fix])], ": "))
    write_jsonl(folder / "said.jsonl", map(to_data, said))
