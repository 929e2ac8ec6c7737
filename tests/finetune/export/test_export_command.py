"""`python -m finetune export` on a tiny run: what it writes, and that a wrong template or a wrong folder is caught."""

import errno
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from data.record import Record
from data.render import render_prompt
from data.template import Template, project_template
from eval.trained import read_trained
from finetune.export.command import BY_LLAMA_CPP, Target, prove, write
from finetune.export.proof import prove_template
from finetune.export.room import new_folder
from finetune.export.weights import Adapter, Base
from tests.finetune.tiny_run import give_a_merge
from tests.tiny import TINY, finetune, make_tokenizer
from tooltune.errors import InputError, JobFailed


def test_the_first_difference_is_shown(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(tmp_path)
    template = project_template(tokenizer, "json")
    other = Template(template.source.replace("Tools:", "Tool:"), "hermes", "project")
    tool = {"type": "function", "function": {"name": "undo", "description": "", "parameters": {"type": "object"}}}
    answer = {"role": "assistant", "content": "x"}
    records = [Record(i, [{"role": "user", "content": i}, answer], tools) for i, tools in (("a", []), ("b", [tool]))]
    same = prove_template(records, tokenizer, template, lambda r: render_prompt(r, tokenizer, template))
    assert same.equal == same.rows and same.first is None
    wrong = prove_template(records, tokenizer, template, lambda r: render_prompt(r, tokenizer, other))
    assert (wrong.equal, wrong.rows) == (1, 2)
    assert wrong.first and wrong.first.row == "b" and "Tools:" in wrong.first.trained and "Tool:" in wrong.first.target
    short = prove_template(records, tokenizer, template, lambda r: render_prompt(r, tokenizer, template)[:-3])
    assert short.first and short.first.token == len(render_prompt(records[0], tokenizer, template)) - 3


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "export"
    with pytest.raises(JobFailed), new_folder(folder, 10) as making:
        (making / "model.gguf").write_bytes(b"half")
        raise JobFailed("the proof fails")
    assert not list(folder.parent.iterdir())
    with new_folder(folder, 10) as making:
        (making / "model.gguf").write_bytes(b"whole")
    assert [path.name for path in folder.iterdir()] == ["model.gguf"]
    with pytest.raises(InputError, match="exists already"), new_folder(folder, 10):
        pass
    with pytest.raises(InputError, match="the export needs"), new_folder(tmp_path / "large", 10**18):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


def test_a_folder_that_another_program_holds_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows renames no folder in which a file is open."""
    held, replace = [1] * 7, Path.replace

    def windows(path: Path, target: Path) -> Path:
        if held and held.pop():
            raise PermissionError(13, "Access is denied", str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", windows)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with (
        pytest.raises(JobFailed, match="is whole, but another program") as told,
        new_folder(tmp_path / "a", 1) as making,
    ):
        (making / "model.gguf").write_bytes(b"whole")
    assert told.value.fix.endswith("its name: a") and (making / "model.gguf").read_bytes() == b"whole"
    with new_folder(tmp_path / "b", 1):  # held for a moment
        pass
    assert (tmp_path / "b").is_dir()
    full = r"c: cannot be written: the disk is full; [\d,]+ MB are free there, the export needs 550 MB"
    with pytest.raises(JobFailed, match=full) as told, new_folder(tmp_path / "c", 500_000_000, "give --out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert told.value.fix == "give --out, and run the same command again"


def test_an_export_deletes_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    """`--out git` stood for `.git` while it was written."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").touch()
    with new_folder(tmp_path / "git", 10):
        with pytest.raises(InputError, match="another process is writing this export"), new_folder(tmp_path / "git", 1):
            pytest.fail("two write into one folder")
        assert (tmp_path / ".git" / "config").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {".git", "git"}


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny model, four steps long."""
    cwd = tmp_path_factory.mktemp("export")
    model = [f"model.name={tiny_model}", "model.backend=hf", "train.max_steps=4"]
    finetune(cwd, "train", "cpu", "name=tiny", *TINY, *model)
    return cwd / "runs" / "tiny"


@pytest.mark.slow
def test_merged_model_is_proven(run: Path) -> None:
    said = finetune(run.parent.parent, "export", "tiny", "--to", "merged", "--rows", "5")
    assert "for 5 of 5 rows" in said
    merged = run / "export" / "merged"
    assert json.loads((merged / "config.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"
    card = (merged / "README.md").read_text(encoding="utf-8")
    assert "transformers builds the trained prompt, token for token, for 5 of 5 rows" in card
    assert "The run was not evaluated." in card and "`train.jsonl`" in card and "Answers: not compared" in card
    assert "exists already" in finetune(run.parent.parent, "export", "tiny", "--to", "merged", expect=2)
    if not find_spec("xllamacpp"):
        said = finetune(run.parent.parent, "export", "tiny", expect=2)
        assert "llama.cpp is not installed" in said and "--no-proof" in said
        assert not (run / "export" / "gguf-bf16").exists()
    for words, wrong in (
        (["--type", "q3"], "unknown type 'q3'"),
        (["--to", "vllm", "--type", "f16"], "only a GGUF has a type"),
        (["--to", "merged", "--behaviour"], "the run was not evaluated on validation"),
        (["--to", "lora-gguf", "--behaviour"], "the adapter alone answers nothing"),
    ):
        assert wrong in finetune(run.parent.parent, "export", "tiny", *words, expect=2)


@pytest.mark.slow
def test_vllm_gets_its_command_line(run: Path) -> None:
    said = finetune(run.parent.parent, "export", "tiny", "--to", "vllm", "--rows", "5")
    line = "--enable-auto-tool-choice --tool-call-parser hermes --chat-template"
    assert "vLLM's chat template builds the trained prompt" in said and line in said
    card = (run / "export" / "vllm" / "README.md").read_text(encoding="utf-8")
    assert f"vllm serve . {line} chat_template.jinja" in card and str(run) not in card


@pytest.mark.slow
def test_the_adapter_alone_brings_its_template(run: Path) -> None:
    said = finetune(run.parent.parent, "export", "tiny", "--to", "lora-gguf")
    assert "--lora" in said and "--chat-template-file" in said
    files = {path.name for path in (run / "export" / "lora-gguf").iterdir()}
    assert files == {"adapter.gguf", "chat_template.jinja", "README.md"}


@pytest.mark.slow
@pytest.mark.parametrize("to", ["merged", "vllm", "gguf", "ollama"])
def test_a_wrong_template_is_caught(run: Path, tiny_model: Path, tmp_path: Path, to: Target) -> None:
    if to in BY_LLAMA_CPP:
        pytest.importorskip("xllamacpp", reason="needs the extra `llama`")
    adapter = tmp_path / "adapter"
    shutil.copytree(run / "best", adapter)
    give_a_merge(adapter)
    trained, said = read_trained(run), []
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for folder in (right, wrong):
        folder.mkdir()
        result = write(to, "f16", Base(tiny_model), Adapter(adapter), folder, "tiny", said.append)
        if folder == right:
            assert prove(trained, result, 5, said.append, to).endswith("for 5 of 5 rows")
            template = adapter / "chat_template.jinja"
            template.write_text(template.read_text(encoding="utf-8").replace("Tools:", "Tool list:"), encoding="utf-8")
        else:
            with pytest.raises(JobFailed, match="builds other prompts than were trained: 5 of 5 rows"):
                prove(trained, result, 5, said.append, to)
