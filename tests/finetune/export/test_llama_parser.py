"""llama.cpp's parser on the cases of family hermes. Where it reads other calls than this project, a rule of
docs/parsing-policy.md says why; what it does not read at all is no case here."""

from pathlib import Path

import pytest

pytest.importorskip("xllamacpp", reason="needs the extra `llama`")

from eval.endpoint.answers import read_message
from eval.formats import families
from eval.formats.outside import END_TOKENS
from eval.parse import parse_tool_calls
from eval.trained import read_trained
from finetune.export.cached import gguf_of
from finetune.export.call_proof import CERTAIN
from finetune.export.llama_cpp import post, serving
from tests.eval.test_parse_cases import ALL, TOOLS
from tests.eval.test_parse_field import FIELD
from tests.finetune.tiny_run import make_run
from tooltune.errors import JobFailed

OTHERWISE = {
    "1: reasoning, and what stands behind the end": "think_unclosed thought_not_closed words_then_ran_on",
    "6: a call without its opening mark, beside a good one": "missing_open_first",
    "4: text that is cut off": "cut_after_brace cut_with_eos",
    "5: arguments that are no object; an object as text": "args_list args_plain_string string_args_twice"
    " string_list_args number_args bool_args string_of_python double_encoded_args",
}


@pytest.mark.slow
def test_calls_that_llama_cpp_reads_otherwise_are_those_of_the_policy(tiny_model: Path, tmp_path: Path) -> None:
    trained = read_trained(make_run(tmp_path / "runs" / "tiny", tiny_model))
    end = {"max_tokens": 1, "temperature": 0, "logit_bias": [[trained.tokenizer.eos_token_id, CERTAIN]]}
    otherwise, read = set(), 0
    with serving(gguf_of(trained), context=8192) as url:
        for case in [*ALL, *FIELD]:
            if "hermes" not in families()[case.get("family") or case["format"]].names:
                continue
            tools = [
                {"type": "function", "function": {"parameters": {"type": "object"}} | tool.get("function", tool)}
                for tool in case.get("tools", TOOLS)
            ]
            written = case["text"].rstrip()
            while written.endswith(END_TOKENS):
                written = written[: written.rindex("<")].rstrip()
            turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": written}]
            try:
                message = post(url, "/v1/chat/completions", {"messages": turns, "tools": tools} | end)
            except JobFailed:  # it refuses what its grammar would not let a model write
                continue
            calls = read_message(message["choices"][0]["message"]).calls
            read += bool(calls)
            if calls and calls != parse_tool_calls(case["text"], tools=tools).calls:
                otherwise.add(case["id"])
    assert read > 50
    assert otherwise == {case for cases in OTHERWISE.values() for case in cases.split()}
