"""A run's answers through llama.cpp, which is asked with token ids."""

from pathlib import Path

import pytest

pytest.importorskip("xllamacpp", reason="needs the extra `llama`")

from data.record import Record
from eval.asking import Model, prompt_of
from eval.trained import read_trained
from finetune.llama_answers import has_gguf, llama_cpp
from tests.finetune.tiny_run import make_run
from tests.tiny import FIXTURES
from tooltune.files import read_jsonl

ROWS = [Record.from_dict(row) for _, row in read_jsonl(FIXTURES / "train.jsonl")][1:3]
TOOLS = ROWS[0].tools


def test_prompts_are_answered_in_any_order(tiny_model: Path, tmp_path: Path) -> None:
    """What was read before changes how sums are rounded, so only first tokens are compared, of rows where the first two
    are 0.06 and more apart in log-probability; rounding makes 0.005."""
    run = make_run(tmp_path / "runs" / "tiny", tiny_model)
    trained = read_trained(run)
    assert not has_gguf(run)
    prompts = [prompt_of(trained, row.prompt, row.tools) for row in ROWS]
    with llama_cpp(trained, lambda line: None) as writer:
        assert has_gguf(run)
        writer.limit = 1
        alone = [writer.write([prompt], TOOLS)[0] for prompt in prompts]
        assert writer.write(prompts[::-1], TOOLS) == alone[::-1]
        model = Model(trained, writer)
        assert [model.answer(row.prompt, row.tools).output for row in ROWS] == [output.text for output in alone]
        assert all(output.tokens == 1 and output.text for output in alone)
        writer.limit = 12
        (longer,) = writer.write(prompts[:1], TOOLS)
    assert longer.text.startswith(alone[0].text) and longer.truncated == (longer.tokens == 12)
