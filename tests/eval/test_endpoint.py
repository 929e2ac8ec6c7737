"""A model behind a server: a small one on this machine answers as vLLM, a slow one, a broken one."""

import copy
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.load import load_records
from data.record import Record, tool_call
from eval.cli import app
from eval.endpoint.answers import read_message, request, wire
from eval.endpoint.client import KEY, Server
from eval.parsed import ToolCall
from tooltune.errors import JobFailed

TOOL = {
    "type": "function",
    "function": {
        "name": "add_load",
        "description": "",
        "parameters": {"type": "object", "properties": {"node": {"type": "integer"}}, "required": ["node"]},
    },
}
ROWS = 6


class Script:
    """What the server does: `reply(body)` gives (status, value), or bytes to send as they are."""

    def __init__(self):
        self.bodies, self.paths, self.headers = [], [], []
        self.reply = model_that_knows

    def answer(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.bodies.append(body)
        self.paths.append(handler.path)
        self.headers.append(handler.headers)
        status, value = self.reply(body)
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


def completion(message, finish="stop"):
    return 200, {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]}


def model_that_knows(body):
    """Right everywhere; its text under tool_choice none is right, and the parser of row 2 loses the call."""
    node = int(body["messages"][-1]["content"])
    if body.get("tool_choice") == "none":
        return completion(
            {"content": f'<tool_call>\n{{"name": "add_load", "arguments": {{"node": {node}}}}}\n</tool_call>'}
        )
    if node == 2:
        return completion({"content": "<tool_call>{…", "tool_calls": []})
    call = {"id": "x", "type": "function", "function": {"name": "add_load", "arguments": json.dumps({"node": node})}}
    return completion({"content": None, "tool_calls": [call]}, "tool_calls")


@pytest.fixture
def served():
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            script.answer(self)

        def log_message(self, *args):
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *args):
            """A client that hangs up is part of the tests."""

    server = Quiet(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    yield script
    server.shutdown()
    server.server_close()


@pytest.fixture
def data(tmp_path):
    lines = []
    for i in range(ROWS):
        answer = {"role": "assistant", "tool_calls": [tool_call("add_load", {"node": i})]}
        messages = [{"role": "system", "content": "Call."}, {"role": "user", "content": str(i)}, answer]
        lines.append(json.dumps(Record(f"r{i}", messages, [TOOL]).to_dict()))
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(served, data, *more):
    out = data.parent / "out"
    arguments = [
        "endpoint",
        "--url",
        served.url,
        "--model",
        "m",
        "--data",
        str(data),
        "--out",
        str(out),
        *map(str, more),
    ]
    done = CliRunner().invoke(app, arguments)
    return done, out


def rates(path):
    return json.loads(path.read_text(encoding="utf-8"))["headline"]["exact_match"]["count"]


def test_the_servers_calls_and_the_raw_text_side_by_side(served, data):
    done, out = run(served, data, "--raw", "--parallel", 3)
    assert done.exit_code == 0, done.output
    assert rates(out / "server.json") == ROWS - 1, "the parser lost the call of one row"
    assert rates(out / "raw.json") == ROWS
    assert "server" in done.stdout and "raw" in done.stdout and "83.3%" in done.stdout
    body = next(b for b in served.bodies if b.get("tool_choice") != "none")
    assert body["tools"] == [TOOL] and body["temperature"] == 0 and body["model"] == "m"
    assert [m["role"] for m in body["messages"]] == ["system", "user"], "the answer is not given away"
    assert set(served.paths) == {"/v1/chat/completions"} and len(served.bodies) == 2 * ROWS
    compared = CliRunner().invoke(app, ["compare", str(out / "server.json"), str(out / "raw.json"), "--json"])
    assert json.loads(compared.stdout)["exact_match"]["only_b"] == 1


@pytest.mark.parametrize(
    ("content", "attempted"),
    [
        ('<tool_call>\n{"name": "add_load", "arguments": {"node": 1}}\n</tool_call>', True),
        ("[TOOL_CALLS] [", True),
        ('{"name": "add_load", "arguments": {"node": 1}}', True),
        ("<|tool_call_start|>[add_load(node=1)]<|tool_call_end|>", True),
        ("Which node?", False),
        ("The tag is `<tool_call>`.", False),
        (None, False),
    ],
)
def test_a_call_that_the_server_left_in_the_text_is_no_refusal(content, attempted):
    parsed = read_message({"content": content})
    assert (parsed.attempted, parsed.json_valid, parsed.format_ok) == (attempted, not attempted, not attempted)
    assert parsed.calls == [] and parsed.problems == (["call_as_text"] if attempted else [])


def test_calls_as_text_are_told_with_the_way_out(served, data):
    text = '<tool_call>{"name": "add_load", "arguments": {"node": 0}}</tool_call>'
    served.reply = lambda body: completion({"content": text})
    done, out = run(served, data, "--limit", 3)
    said = " ".join(done.stdout.split())
    assert done.exit_code == 0 and "3 answers hold a call as text" in said and "pass --raw" in said
    assert rates(out / "server.json") == 0


def test_without_raw_there_is_one_request_a_row_and_json_on_request(served, data):
    done, out = run(served, data, "--json", "--limit", 3)
    found = json.loads(done.stdout)
    assert list(found) == ["server"] and found["server"]["n"] == 3 == len(served.bodies)
    assert not (out / "raw.json").exists()


def test_a_domain_carries_the_calls_out(served, tmp_path):
    rows = Path(__file__).parents[2] / "examples" / "thermostat.jsonl"
    gold = {record.messages[-2]["content"]: record.gold for record in load_records(rows)}

    def in_fahrenheit(body):
        """Gold's calls, temperatures in another unit: another argument, the same state."""
        calls = copy.deepcopy(gold[body["messages"][-1]["content"]])
        for call in calls:
            if call["name"] == "set_temperature" and call["arguments"].get("unit", "C") == "C":
                call["arguments"] |= {"degrees": call["arguments"]["degrees"] * 1.8 + 32, "unit": "F"}
        made = [
            {"id": "x", "type": "function", "function": c | {"arguments": json.dumps(c["arguments"])}} for c in calls
        ]
        return completion({"content": None, "tool_calls": made}, "tool_calls")

    served.reply = in_fahrenheit
    options = ["--url", served.url, "--model", "m", "--data", str(rows), "--out", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, ["endpoint", *options, "--domain", "examples.thermostat:Thermostat"])
    found = json.loads(done.stdout)["server"]
    assert found["execution"]["strict"]["value"] == 1 > found["headline"]["exact_match"]["value"]


@pytest.mark.parametrize("name", ["nowhere", "no_such_module:Domain", "examples.thermostat:TOOLS"])
def test_a_domain_that_is_none_is_told_before_anything_is_asked(served, data, name):
    done, out = run(served, data, "--domain", name)
    assert done.exit_code == 2 and done.stderr.startswith("error: --domain: ") and repr(name) in done.stderr
    assert not served.bodies and not out.exists()


def test_a_killed_run_goes_on_where_it_stopped(served, data):
    done, out = run(served, data)
    kept = (out / "generations.jsonl").read_text(encoding="utf-8")
    lines = kept.splitlines(keepends=True)
    (out / "generations.jsonl").write_text("".join(lines[:4]) + lines[4][:20], encoding="utf-8")
    asked = len(served.bodies)
    done, out = run(served, data)
    assert done.exit_code == 0 and len(served.bodies) - asked == ROWS - 3
    assert sorted((out / "generations.jsonl").read_text(encoding="utf-8").splitlines()) == sorted(kept.splitlines())
    done, _ = run(served, data)
    assert len(served.bodies) - asked == ROWS - 3, "nothing is asked twice"
    done, _ = run(served, data, "--max-tokens", 7)
    assert done.exit_code == 2 and "with other settings: max_tokens" in done.stderr


def test_answers_until_a_failure_are_kept(served, data):
    def fails_later(body):
        return model_that_knows(body) if len(served.bodies) <= 3 else (404, {"error": {"message": "no such model"}})

    served.reply = fails_later
    done, out = run(served, data, "--parallel", 1)
    assert done.exit_code == 2 and "HTTP 404: no such model" in done.stderr and "Traceback" not in done.stderr
    assert len((out / "generations.jsonl").read_text(encoding="utf-8").splitlines()) == 1 + 3


def test_a_busy_server_is_asked_again(served):
    waits = []
    served.reply = lambda body: (503, {}) if len(served.bodies) < 4 else completion({"content": "hi"})
    found = Server(served.url, pause=waits.append).complete({"messages": []})
    assert found["message"]["content"] == "hi" and waits == [1.0, 2.0, 4.0]


def test_a_server_that_does_not_answer_in_time(served, data):
    def slow(body):
        time.sleep(0.5)
        return completion({"content": ""})

    served.reply = slow
    done, _ = run(served, data, "--timeout", 0.1, "--retries", 0, "--parallel", 1)
    assert done.exit_code == 1 and "after one try: timed out" in done.stderr


@pytest.mark.parametrize(
    ("reply", "code", "says"),
    [
        ((200, b"<html>"), 1, "not a chat completion: '<html>'"),
        ((200, {"choices": []}), 1, "not a chat completion"),
        ((200, [1]), 1, "not a chat completion"),
        ((200, b'{"choices": [{"message": {"content": NaN}}]}'), 1, "not a chat completion"),
        ((400, {"message": "maximum context length is 4096"}), 2, "row r0: the server refuses: HTTP 400: maximum"),
        ((400, b"tools are not supported"), 2, "HTTP 400: tools are not supported"),
        ((401, {"error": "who?"}), 2, f"set {KEY}"),
    ],
)
def test_what_is_no_answer(served, data, reply, code, says):
    served.reply = lambda body: reply
    done, _ = run(served, data, "--parallel", 1)
    assert done.exit_code == code and says in done.stderr and "Traceback" not in done.stderr


def test_nobody_listens(data, served):
    served.url = "http://127.0.0.1:9/v1"
    done, _ = run(served, data, "--retries", 0)
    assert done.exit_code == 1 and "refused" in done.stderr and "is the server running" in done.stderr
    served.url = "localhost:8000"
    assert run(served, data)[0].exit_code == 2


def test_the_key_goes_along_and_not_into_the_files(served, data, monkeypatch):
    for wrong in ("열쇠", "s3cret\r\nX: y"):
        monkeypatch.setenv(KEY, wrong)
        done, _ = run(served, data)
        assert done.exit_code == 2 and "a key is one line of ASCII" in done.stderr
    monkeypatch.setenv(KEY, "s3cret")
    _, out = run(served, data)
    assert served.headers[0]["Authorization"] == "Bearer s3cret"
    assert not [p for p in out.iterdir() if "s3cret" in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:1", "http://h:1/v1/chat/completions"),
        ("http://h:1/v1/", "http://h:1/v1/chat/completions"),
        ("https://h/openai/v1", "https://h/openai/v1/chat/completions"),
        ("http://h/v1/chat/completions", "http://h/v1/chat/completions"),
    ],
)
def test_addresses(url, expected):
    assert Server(url).endpoint == expected


@pytest.mark.parametrize(
    ("calls", "made", "valid"),
    [
        ([{"function": {"name": "f", "arguments": '{"a": 1}'}}], [ToolCall("f", {"a": 1})], True),
        ([{"function": {"name": "f", "arguments": {"a": 1}}}], [ToolCall("f", {"a": 1})], True),
        ([{"function": {"name": "f", "arguments": ""}}], [ToolCall("f", {})], True),
        ([{"function": {"name": "f", "arguments": None}}], [ToolCall("f", {})], True),
        ([{"function": {"name": "f", "arguments": "null"}}], [ToolCall("f", {})], True),
        ([{"function": {"name": "f"}}], [ToolCall("f", {})], True),
        ([{"function": {"name": "f", "arguments": []}}], [], False),
        ([{"function": {"name": "f", "arguments": False}}], [], False),
        ([{"function": {"name": "f", "arguments": '{"a": 1'}}], [], False),
        ([{"function": {"name": "f", "arguments": '{"a": NaN}'}}], [], False),
        ([{"function": {"name": "f", "arguments": "[1]"}}], [], False),
        ([{"function": {"arguments": "{}"}}], [], False),
        (["f"], [], False),
        (None, [], True),
    ],
)
def test_what_a_message_calls(calls, made, valid):
    parsed = read_message({"content": None, "tool_calls": calls})
    assert parsed.calls == made and parsed.json_valid is valid and parsed.attempted is bool(calls)
    assert parsed.strict_calls == (made if valid else [])


def test_arguments_encoded_twice_are_read_and_not_strict():
    parsed = read_message({"tool_calls": [{"function": {"name": "f", "arguments": json.dumps('{"a": 1}')}}]})
    assert parsed.calls == [ToolCall("f", {"a": 1})] and parsed.json_valid and not parsed.format_ok
    assert parsed.strict_calls == []


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_content_in_parts_thoughts_and_lost_characters(served, data, key):
    """llama.cpp and vLLM write thoughts beside the content; content may be null, text or parts."""
    parts = [{"type": "text", "text": "노드가 "}, {"type": "text", "text": "없습니다 \ud83d"}]
    served.reply = lambda body: completion({"content": parts, key: "음…", "tool_calls": None})
    done, out = run(served, data)
    assert done.exit_code == 0, done.stderr
    rows = [json.loads(line) for line in (out / "generations.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[1]["server"]["message"][key] == "음…"
    assert served.bodies[0]["stream"] is False
    scores = json.loads((out / "server.json").read_text(encoding="utf-8"))
    assert scores["apart"]["no_attempt"]["count"] == ROWS and scores["apart"]["text_outside"]["count"] == 0


def test_a_server_that_parses_under_tool_choice_none(served, data):
    """Ollama does not know `tool_choice`: its second answer is the first."""
    served.reply = lambda body: model_that_knows(body | {"tool_choice": "auto"})
    done, _ = run(served, data, "--raw", "--parallel", 1)
    assert done.exit_code == 2 and "reads calls although tool_choice is none" in done.stderr


def test_a_template_that_fails_is_no_server_that_is_gone(served):
    """llama.cpp answers 500 for a request that its chat template refuses."""
    served.reply = lambda body: (500, {"error": {"code": 500, "message": "tools param requires --jinja flag"}})
    with pytest.raises(JobFailed, match="requires --jinja flag") as error:
        Server(served.url, retries=1, pause=lambda seconds: None).complete({"messages": []})
    assert "own log" in error.value.fix


def test_earlier_calls_and_results_are_tied_by_ids():
    turns = [
        {"role": "user", "content": "…"},
        {"role": "assistant", "tool_calls": [tool_call("f", {"이름": 1}), tool_call("g", {})]},
        {"role": "tool", "name": "f", "content": "1"},
        {"role": "tool", "name": "g", "content": "2"},
    ]
    sent = wire(turns)
    ids = [call["id"] for call in sent[1]["tool_calls"]]
    assert len(set(ids)) == 2 and all(len(i) == 9 and i.isalnum() for i in ids)
    assert [m["tool_call_id"] for m in sent[2:]] == ids
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == '{"이름": 1}'
    assert "tool_call_id" not in turns[2] and "id" not in turns[1]["tool_calls"][0], "the record is left as it was"


def test_whole_numbers_are_sent_as_they_were_trained() -> None:
    """A server in Python writes 1.0 into its prompt where it is sent 1.0; training has 1."""
    schema = {"type": "object", "properties": {"factor": {"type": "number", "enum": [1.0, 1.5]}}}
    tools = [{"type": "function", "function": {"name": "scale", "description": "", "parameters": schema}}]
    turns = [
        {"role": "user", "content": "1.0"},
        {"role": "assistant", "tool_calls": [tool_call("scale", {"factor": 1.0})]},
        {"role": "user", "content": "again"},
        {"role": "assistant", "content": "ok"},
    ]
    sent = request(Record("row", turns, tools))
    assert json.dumps(sent["tools"]).count("[1, 1.5]") == 1
    assert sent["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"factor": 1}'
    assert sent["messages"][0]["content"] == "1.0" and "tools" not in request(Record("row", turns[:2], []))
