"""Rendered rows on disk are those in memory: the same tokens, families, order, batches and steps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.render import Example
from data.stored import StoredExamples
from finetune import rows as module
from finetune.device import Device
from finetune.rows import Prepared, prepare, read_rows
from tests.tiny import FIXTURES
from tooltune.config import Config, load_config

CPU = Device("cpu", "", (0, 0), 0, True)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Config:
    monkeypatch.setenv("TOOLTUNE_CACHE", str(tmp_path / "cache"))
    data = [f"data.train={FIXTURES / 'train.jsonl'}", f"data.validation={FIXTURES / 'validation.jsonl'}"]
    return load_config("cpu", [f"model.name={tiny_model}", "data.test=null", "data.max_length=437", *data])


def say(line: Any) -> None:
    pass


def in_memory(config: Config) -> Prepared:
    train, validation = read_rows(config)
    return prepare(config, (list(train), list(validation)), say)


def listed(example: Example) -> tuple[str, list[int], list[int], list[int]]:
    return example.id, *(list(map(int, values)) for values in (example.input_ids, example.labels, example.roles))  # type: ignore[return-value]


def test_rows_are_the_same(config: Config) -> None:
    memory, disk = in_memory(config), prepare(config, read_rows(config), say)
    assert memory.train.dropped, "a row is left out, so that the numbers of rows shift"
    for one, other in ((memory.train, disk.train), (memory.validation, disk.validation)):
        assert isinstance(other.examples, StoredExamples)
        assert [listed(e) for e in one.examples] == [listed(e) for e in other.examples]
        assert one.dropped == other.dropped
        assert list(other.examples.lengths) == [len(e.input_ids) for e in one.examples]
        assert [e.supervised for e in one.examples] == [e.supervised for e in other.examples]
    assert memory.scored == disk.scored
    assert memory.tokenizer.eos_token == disk.tokenizer.eos_token


@pytest.mark.parametrize("weights", [None, {0: 0.0, 1: 0.5, 2: 1.0, 3: 2.0, 4: 4.0}])
def test_batches_are_the_same(config: Config, weights: dict[int, float] | None) -> None:
    import torch

    from finetune.batching import collate, features, to_dataset
    from finetune.shared_prefix import pack

    memory, disk = in_memory(config), prepare(config, read_rows(config), say)
    sets = [to_dataset(prepared.train.examples, weights) for prepared in (memory, disk)]
    for numbers in ([0, 3, 1], [5]):
        one, other = (collate(rows.__getitems__(numbers), 0) for rows in sets)
        third = collate([features(disk.train.examples[n], weights) for n in numbers], 0)
        assert one.keys() == other.keys() == third.keys()
        for key in one:
            assert torch.equal(one[key], other[key]) and torch.equal(one[key], third[key]), key
            assert one[key].dtype == other[key].dtype == third[key].dtype
        packed = [pack(rows.__getitems__(numbers), 500) for rows in sets]
        assert torch.equal(packed[0]["labels"], packed[1]["labels"])


def test_families_order_and_length_are_the_same(config: Config) -> None:
    from finetune.batching import epoch_order
    from finetune.length import run_length
    from finetune.losses import scaled_weights
    from finetune.packing import make_packing

    found = []
    for prepared in (in_memory(config), prepare(config, read_rows(config), say)):
        rows = prepared.train.examples
        packing = make_packing(config, CPU, "float32", "llama", rows)
        assert packing
        order = epoch_order(config.train, [len(e.input_ids) for e in rows], packing.families).order()
        weights = scaled_weights(config.loss.role_weights.model_copy(update={"name": 3.0}), rows)
        found.append((packing, order, run_length(config, rows, packing), weights))
    assert found[0] == found[1]
    assert len(set(found[0][0].families)) < len(found[0][0].families), "some rows share a prefix"


def test_a_second_start_renders_nothing(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []
    stream = module.stream_examples

    def noted(*arguments: Any, **limits: Any) -> Any:
        rendered.append("split")
        return stream(*arguments, **limits)

    monkeypatch.setattr(module, "stream_examples", noted)
    first = prepare(config, read_rows(config), say)
    again = prepare(config, read_rows(config), say)
    assert len(rendered) == 2
    assert [listed(e) for e in first.train.examples] == [listed(e) for e in again.train.examples]
    assert first.scored == again.scored and first.tokenizer.eos_token == again.tokenizer.eos_token
    json = {"data.tools_style": "json", "data.max_length": 4000}
    for changes in ({"data.max_length": 436}, {"data.max_tools": 2}, json):
        changed = config.changed(changes)
        prepare(changed, read_rows(changed), say)
    assert len(rendered) == 8


def test_another_tokenizer_in_the_same_folder_is_seen(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(config.model.name, folder)
    config = config.changed({"model.name": str(folder)})
    before = prepare(config, read_rows(config), say).train.examples
    for path in (folder / "tokenizer_config.json", folder / "tokenizer.json"):
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        after = prepare(config, read_rows(config), say).train.examples
        assert isinstance(before, StoredExamples) and isinstance(after, StoredExamples)
        assert before.dataset.cache_files != after.dataset.cache_files
        before = after


def test_many_rows_that_begin_alike_are_sorted_as_their_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    from finetune import shared_prefix
    from finetune.shared_prefix import _by_tokens

    rng = random.Random(3)
    monkeypatch.setattr(shared_prefix, "BLOCK", 4)
    start = [rng.randrange(300_000) for _ in range(9)]
    rows = [Example(str(n), start[: rng.randrange(1, 9)] + rng.choices((1, 2, 300_000), k=n % 7)) for n in range(200)]
    rows += [replace(row, id="again") for row in rows[:20]]
    seen: list[int] = []
    lengths = [len(row.input_ids) for row in rows]
    order = list(_by_tokens(rows, range(len(rows)), 0, lengths, seen.append))
    assert order == sorted(range(len(rows)), key=lambda n: rows[n].input_ids)
    assert sum(seen) == sum(lengths), "a bar comes to its end"
