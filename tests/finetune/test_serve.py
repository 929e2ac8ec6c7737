"""`python -m finetune serve`, asked by the openai client: calls, text, results of tools, streams and bad requests."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import torch
from typer.testing import CliRunner

xllamacpp = pytest.importorskip("xllamacpp", reason="needs the extra `llama`")
openai = pytest.importorskip("openai", reason="needs the package openai (the extra `dev`)")

from data.record import Record, calls_of  # noqa: E402
from data.render import render_prompt  # noqa: E402
from eval.endpoint.answers import request  # noqa: E402
from eval.formats import families  # noqa: E402
from eval.parsed import ToolCall  # noqa: E402
from eval.trained import read_trained  # noqa: E402
from finetune.cli import app  # noqa: E402
from finetune.export.cached import gguf_of  # noqa: E402
from finetune.export.llama_cpp import serving  # noqa: E402
from finetune.serve import check_free, started  # noqa: E402
from tests.finetune.tiny_run import make_run  # noqa: E402
from tests.tiny import FIXTURES, environment  # noqa: E402
from tooltune.errors import InputError  # noqa: E402
from tooltune.files import read_jsonl  # noqa: E402

ROWS = [Record.from_dict(row) for _, row in read_jsonl(FIXTURES / "train.jsonl")]
END = "2"
"""The id of the tiny tokenizer's end token."""


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("served") / "runs" / "tiny", tiny_model)


@contextmanager
def served(run: Path) -> Iterator[str]:
    """The address of the command's server; it must end by Ctrl-C."""
    command = [sys.executable, "-m", "finetune", "serve", "tiny", "--port", "0", "--type", "f16", "--context", "2048"]
    cwd = run.parent.parent
    with subprocess.Popen(
        command, cwd=cwd, env=environment(cwd) | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        line = next((line for line in server.stdout if line.startswith("Serving")), "")
        assert "Only this machine reaches it" in line
        try:
            yield line.split(" at ")[1].split()[0]
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0


@pytest.fixture(scope="module")
def url(run: Path) -> Iterator[str]:
    with served(run) as address:
        yield address


@pytest.fixture
def client(url: str) -> Any:
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=300)


def asked(record: Record, answer: str, **more: Any) -> dict[str, Any]:
    """A request whose answer is given: the tiny model knows nothing, and adds its end token."""
    body = request(record)
    body["messages"] = [*body["messages"], {"role": "assistant", "content": answer}]
    return {"model": "tiny", **body, "max_tokens": 1, "logit_bias": {END: 100}, **more}


def call_of(record: Record) -> str:
    function = calls_of(record.messages[-1])[0]
    return families()["hermes"].render([ToolCall(function["name"], function["arguments"])])


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "네, 추가합니다.\n"])
def test_a_call(client: Any, before: str) -> None:
    choice = client.chat.completions.create(**asked(ROWS[0], before + call_of(ROWS[0]))).choices[0]
    assert choice.finish_reason == "tool_calls" and (choice.message.content or "") == before
    (call,) = choice.message.tool_calls
    assert {"name": call.function.name, "arguments": json.loads(call.function.arguments)} == calls_of(
        ROWS[0].messages[-1]
    )[0]
    assert [model.id for model in client.models.list()] == ["tiny"]


@pytest.mark.slow
def test_a_plain_answer(client: Any) -> None:
    choice = client.chat.completions.create(**asked(ROWS[0], "어느 절점입니까?")).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("stop", "어느 절점입니까?")
    assert not choice.message.tool_calls


@pytest.mark.slow
def test_the_result_of_a_tool_goes_on_as_it_was_trained(client: Any, run: Path) -> None:
    turns = [
        *ROWS[0].messages,
        {"role": "tool", "content": '{"ok": true}'},
        {"role": "user", "content": "그 절점 변위는?"},
        {"role": "assistant", "content": "."},
    ]
    record = Record("later", turns, ROWS[0].tools)
    reply = client.chat.completions.create(model="tiny", **request(record), max_tokens=1)
    trained = read_trained(run)
    assert reply.usage.prompt_tokens == len(render_prompt(record, trained.tokenizer, trained.template))


@pytest.mark.slow
def test_a_stream(client: Any) -> None:
    """Of an answer that was given, a stream tells the call, and leaves out what the request has."""
    parts = [
        part.choices[0] for part in client.chat.completions.create(**asked(ROWS[1], call_of(ROWS[1]), stream=True))
    ]
    names = [call.function.name for part in parts for call in part.delta.tool_calls or []]
    assert names == [calls_of(ROWS[1].messages[-1])[0]["name"]] and parts[-1].finish_reason == "tool_calls"
    text = client.chat.completions.create(
        **asked(ROWS[0], "", stream=True, tool_choice="none", max_tokens=8, logit_bias={})
    )
    assert len([part for part in text if part.choices[0].delta.content]) > 1


@pytest.mark.slow
def test_answers_are_greedy_unless_a_request_says_otherwise(client: Any) -> None:
    def answer(**more: Any) -> str:
        body = request(ROWS[0])
        reply = client.chat.completions.create(model="tiny", **body, tool_choice="none", max_tokens=24, **more)
        return str(reply.choices[0].message.content)

    assert answer() == answer() == answer(temperature=0)
    assert answer(temperature=2, seed=1) != answer()


MESSAGES = [{"role": "user", "content": "안녕"}]
NO_TYPE = {"name": "f", "parameters": {"type": "objekt"}}
BAD: dict[str, dict[str, Any]] = {
    "no messages": {},
    "messages are text": {"messages": "안녕"},
    "a turn without a role": {"messages": [{"content": "안녕"}]},
    "content is a number": {"messages": [{"role": "user", "content": 5}]},
    "tools are text": {"messages": MESSAGES, "tools": "all"},
    "a tool without a name": {"messages": MESSAGES, "tools": [{"type": "function", "function": {}}]},
    "a schema of no type": {"messages": MESSAGES, "tools": [{**ROWS[0].tools[0], "function": NO_TYPE}]},
    "unknown choice": {"messages": MESSAGES, "tools": ROWS[0].tools, "tool_choice": "perhaps"},
    "more turns than the context": {"messages": MESSAGES * 20_000},
    "more tools than the context": {"messages": MESSAGES, "tools": ROWS[0].tools * 2_000},
    "longer than the context": {"messages": [{"role": "user", "content": "가" * 333_333}]},
    "max_tokens is text": {"messages": MESSAGES, "max_tokens": "many"},
    "temperature is text": {"messages": MESSAGES, "temperature": "hot"},
}


@pytest.mark.slow
@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_and_the_server_goes_on(url: str, client: Any, body: dict[str, Any]) -> None:
    with pytest.raises(openai.APIStatusError) as error:
        client.post("/chat/completions", body={"model": "tiny", "max_tokens": 4, **body}, cast_to=object)
    assert error.value.message
    assert client.chat.completions.create(**asked(ROWS[0], ".")).choices


@pytest.mark.slow
def test_it_ends_by_ctrl_c_whatever_it_computes(run: Path) -> None:
    """A schema with so many choices keeps llama.cpp busy for hours."""
    schema = {"type": "object", "properties": {"a": {"enum": [str(i) for i in range(200_000)]}}}
    body = {"messages": MESSAGES, "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}
    with served(run) as address, pytest.raises(openai.APITimeoutError):
        openai.OpenAI(base_url=address, api_key="none", max_retries=0, timeout=5).post(
            "/chat/completions", body={"model": "tiny", **body}, cast_to=object
        )


@pytest.mark.slow
def test_what_is_no_json_is_refused(url: str) -> None:
    with pytest.raises(HTTPError):
        urlopen(Request(f"{url}/chat/completions", b"{", {"Content-Type": "application/json"}), timeout=60)


@pytest.mark.slow
def test_no_page_of_a_browser_reaches_it(url: str) -> None:
    """A page of anybody's could otherwise ask the model through its visitor's browser."""
    headers = {"Origin": "http://example.org", "Access-Control-Request-Method": "POST"}
    with urlopen(Request(f"{url}/chat/completions", method="OPTIONS", headers=headers), timeout=60) as reply:
        assert reply.headers.get("Access-Control-Allow-Origin", "") == ""


@pytest.mark.slow
def test_a_port_that_is_taken(url: str) -> None:
    with pytest.raises(InputError, match="cannot listen there"):
        check_free("127.0.0.1", int(url.split(":")[2].split("/")[0]))
    with pytest.raises(InputError, match="cannot listen there"):
        check_free("203.0.113.1", 0)  # an address of nobody's (RFC 5737)


@pytest.mark.slow
def test_what_cannot_be_served_is_told_before_the_file_is_made(run: Path, tmp_path: Path, url: str) -> None:
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("export"))
    taken = url.split(":")[2].split("/")[0]
    for port, context, said in (("0", "2049", "the model takes 2048 tokens"), (taken, "64", "cannot listen there")):
        done = CliRunner().invoke(app, ["serve", str(copy), "--port", port, "--context", context])
        assert done.exit_code == 2 and said in done.stderr and not (copy / "export").exists()


@pytest.mark.slow
def test_one_that_is_stopped_at_once_ends(run: Path) -> None:
    for _ in range(3):
        with serving(gguf_of(read_trained(run), "f16"), context=64):
            pass


def test_it_computes_with_the_threads_that_torch_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp's own count is the machine's, whatever `taskset`, a container or OMP_NUM_THREADS leave."""
    seen: list[Any] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(
        xllamacpp, "Server", lambda settings: seen.append(settings) or SimpleNamespace(listening_address="x")
    )
    monkeypatch.setattr("finetune.export.llama_cpp.post", lambda *_: {})
    with serving(Path("x.gguf"), context=64) as url:
        assert url == "x"
    assert (seen[0].cpuparams.n_threads, seen[0].cpuparams_batch.n_threads) == (3, 3)


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", "Only this machine"), ("0.0.0.0", "TOOLTUNE_API_KEY")])
def test_who_reaches_it_is_said(host: str, said: str) -> None:
    lines = started("http://x:1", Path("runs/mine"), host)
    assert said in str(lines[0]) and "http://x:1/v1" in lines[0].text("ko") and "vLLM" in str(lines[-1])
    assert any("need not be right" in str(line) for line in lines)
