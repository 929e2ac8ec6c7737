"""Tokenizers, templates and model folders that people have: begin, padding and end tokens, templates that raise,
special tokens in rows, files that are cut off."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.record import Record, tool_call
from data.render import IGNORED, align_end_token, render, render_prompt
from data.template import Template, apply, begin_text, project_template
from data.tools import with_visible_tools
from eval.roundtrip import check_roundtrip, choose_template
from tests.tiny import make_tokenizer
from tooltune.errors import InputError
from tooltune.pretrained import check_files, load_tokenizer, resolve

ASK = {"role": "user", "content": "x"}
SAY = {"role": "assistant", "content": "네."}
PARAMETERS = {"type": "object", "properties": {"text": {"type": "string"}}}
WRITE = {"type": "function", "function": {"name": "write", "description": "Writes.", "parameters": PARAMETERS}}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


def call(text: str) -> Record:
    turn = {"role": "assistant", "content": "", "tool_calls": [tool_call("write", {"text": text})]}
    return Record("row-7", [ASK, turn], [WRITE])


@pytest.fixture
def tokenizer(tmp_path: Path) -> Any:
    return make_tokenizer(tmp_path / "tokenizer")


def with_prefix(tokenizer: Any, *prefix: str) -> Any:
    """The tokenizer, which now writes the tokens of `prefix` before a text, as Gemma, Llama and GLM do."""
    from tokenizers.processors import TemplateProcessing

    tokenizer.add_special_tokens({"extra_special_tokens": list(prefix)})
    ids = [(token, tokenizer.convert_tokens_to_ids(token)) for token in prefix]
    tokenizer._tokenizer.post_processor = TemplateProcessing(single=" ".join([*prefix, "$A"]), special_tokens=ids)
    return tokenizer


# begin tokens


@pytest.mark.parametrize("style", ["json", "signature"])
@pytest.mark.parametrize("prefix", [(), ("<bos>",), ("<|begin_of_text|>",), ("<|startoftext|>",), ("[gMASK]", "<sop>")])
def test_begin_tokens_are_written_once(tokenizer: Any, tmp_path: Path, prefix: tuple[str, ...], style: Any) -> None:
    """In training, in prompts, and by a server that has nothing but what is saved with the adapter."""
    from transformers import AutoTokenizer

    if prefix:
        tokenizer = with_prefix(tokenizer, *prefix)
    template = project_template(tokenizer, style)
    assert begin_text(tokenizer) == "".join(prefix)
    begin = tokenizer.convert_tokens_to_ids(list(prefix))
    example, prompt = render(call("hi"), tokenizer, template), render_prompt(call("hi"), tokenizer, template)
    tokenizer.chat_template = template.source
    tokenizer.save_pretrained(tmp_path)
    server = AutoTokenizer.from_pretrained(tmp_path)
    served = server.apply_chat_template([ASK], tools=[WRITE], add_generation_prompt=True)["input_ids"]
    assert served == prompt
    for ids in (example.input_ids, prompt):
        assert ids[: len(begin)] == begin and all(ids.count(i) == 1 for i in begin)
    assert all(example.labels[i] == IGNORED for i in range(len(begin)))


@pytest.mark.parametrize("writes", ["", "{{ bos_token }}", "<bos>"])
def test_own_template_begins_once_too(tokenizer: Any, writes: str) -> None:
    source = project_template(tokenizer, "json").source
    tokenizer.add_special_tokens({"bos_token": "<bos>"})
    tokenizer = with_prefix(tokenizer, "<bos>")
    tokenizer.chat_template = writes + source
    template = choose_template(tokenizer, "json")
    assert template.origin == "own"
    ids = render(call("hi"), tokenizer, template).input_ids
    assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1


# special tokens in rows


@pytest.mark.parametrize(
    "record",
    [
        call("<|im_start|>user\nhi<|im_end|>"),
        call("the end: <|im_end|>"),
        call("<|endoftext|>"),
        call("fill up with <pad>"),
        Record("row-7", [ASK, {"role": "assistant", "content": "It is <|im_end|>."}], []),
        Record("row-7", [ASK, {"role": "assistant", "content": "Once.<|im_end|>"}, ASK, SAY], []),
    ],
)
def test_special_token_in_an_answer_is_refused(tokenizer: Any, record: Record) -> None:
    with pytest.raises(InputError, match="special token") as raised:
        render(record, tokenizer, project_template(tokenizer, "json"))
    assert raised.value.where == "row-7" and raised.value.fix


@pytest.mark.parametrize("text", ["<|im_end", "im_end", "< |im_end|>", "</tool_call>", "<think>", "<|other|>", "끝"])
def test_what_only_looks_like_one_is_not(tokenizer: Any, text: str) -> None:
    tokenizer.add_special_tokens({"extra_special_tokens": ["<think>"]})
    assert render(call(text), tokenizer, project_template(tokenizer, "json")).supervised


def test_special_tokens_elsewhere_are_context(tokenizer: Any) -> None:
    asked = Record("row", [{"role": "user", "content": "What is <|im_end|>?"}, SAY], [])
    assert render(asked, tokenizer, project_template(tokenizer, "json")).supervised


def test_character_that_the_vocabulary_lacks_is_no_special_token() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {token: i for i, token in enumerate(["<unk>", "<|im_end|>", "<pad>", "a"])}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="<|im_end|>")
    template = project_template(tokenizer, "json")
    assert render(Record("row", [ASK, SAY], []), tokenizer, template).supervised
    with pytest.raises(InputError, match="<unk>"):
        render(Record("row", [ASK, {"role": "assistant", "content": "an <unk> a"}], []), tokenizer, template)


TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}END\n{% endfor %}"
TURNS += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


@pytest.mark.parametrize(
    ("end", "said"),
    [("", "is an ordinary one"), ("{{ eos_token }}{{ eos_token }}", "stands inside it too"), ("###", "ordinary")],
)
def test_template_after_whose_answers_nothing_stops(tokenizer: Any, end: str, said: str) -> None:
    own = Template(TURNS.replace("END", end), "hermes", "own")
    with pytest.raises(InputError, match=said) as raised:
        render(Record("row", [ASK, {"role": "assistant", "content": "yes"}], []), tokenizer, own)
    assert "data.template=project" in raised.value.fix


# padding and end tokens


def folder_of(path: Path, special: list[str], *, template: Any = None, **tokens: str | None) -> Path:
    """A tokenizer's folder with bytes as its vocabulary and these special tokens; `tokens`: eos_token and the like."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, **tokens)
    fast.chat_template = template
    fast.save_pretrained(path)
    return path


END = "<|endoftext|>"
SMOLLM2 = [END, "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>"]
LLAMA3 = ["<|begin_of_text|>", "<|eot_id|>", "<|reserved_special_token_1|>", "<|reserved_special_token_0|>"]


@pytest.mark.parametrize(
    ("special", "tokens", "pad"),
    [
        (SMOLLM2, {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "unk_token": END}, END),
        (SMOLLM2, {"eos_token": END, "pad_token": "<|im_end|>"}, "<file_sep>"),
        (SMOLLM2, {"eos_token": END, "pad_token": "<repo_name>"}, "<repo_name>"),
        (LLAMA3, {"eos_token": "<|eot_id|>", "bos_token": LLAMA3[0]}, "<|reserved_special_token_0|>"),
        ([*LLAMA3, "<|finetune_right_pad_id|>"], {"eos_token": "<|eot_id|>"}, "<|finetune_right_pad_id|>"),
        (["<unk>", "<s>", "</s>"], {"eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}, "<unk>"),
        (["<s>", "</s>", "[PAD]", "<|image_pad|>"], {"eos_token": "</s>", "pad_token": "</s>"}, "[PAD]"),
        ([END, "<|im_end|>", "<|vision_pad|>"], {"eos_token": END, "pad_token": END}, "<|vision_pad|>"),
        ([END, "<|placeholder1|>", "<|assistant|>"], {"eos_token": END, "pad_token": END}, "<|placeholder1|>"),
    ],
)
def test_padding_token(tmp_path: Path, special: list[str], tokens: dict[str, str], pad: str) -> None:
    said: list[Any] = []
    tokenizer = load_tokenizer(folder_of(tmp_path, special, **tokens), said.append)
    assert tokenizer.pad_token == pad and tokenizer.pad_token_id != tokenizer.eos_token_id
    assert said == [] if tokens.get("pad_token") == pad else (len(said) == 1 and pad in str(said[0]))


def test_padding_token_is_none_that_the_chat_template_writes(tmp_path: Path) -> None:
    template = "{{ '<|assistant|>' }}"
    tokenizer = load_tokenizer(folder_of(tmp_path, [END, "<|assistant|>", "<|x|>"], eos_token=END, template=template))
    assert tokenizer.pad_token == "<|x|>"


@pytest.mark.parametrize("special", [[END], [END, "<|im_start|>", "<|im_end|>"], [END, "<start_of_turn>"]])
def test_nothing_to_pad_with(tmp_path: Path, special: list[str]) -> None:
    with pytest.raises(InputError, match="no token to pad with") as raised:
        load_tokenizer(folder_of(tmp_path, special, eos_token=END))
    assert '"pad_token"' in raised.value.fix


def test_end_token(tmp_path: Path) -> None:
    none = load_tokenizer(folder_of(tmp_path / "none", ["<pad>"]))
    with pytest.raises(InputError, match="no end token") as raised:
        choose_template(none, "signature")
    assert '"eos_token"' in raised.value.fix
    turns = load_tokenizer(folder_of(tmp_path / "turns", ["<pad>", "<|im_start|>", "<|im_end|>"]))
    example = render(call("a"), turns, choose_template(turns, "signature"))
    align_end_token(turns, [example])
    assert turns.eos_token == "<|im_end|>"


def test_end_token_that_pads(tokenizer: Any) -> None:
    example = render(call("a"), tokenizer, project_template(tokenizer, "json"))
    tokenizer.pad_token = "<|im_end|>"
    with pytest.raises(InputError, match="never learn to stop") as raised:
        align_end_token(tokenizer, [example])
    assert '"pad_token"' in raised.value.fix


# chat templates


@pytest.mark.parametrize("other", [{}, {"default": "{{ 1 }}"}, {"default": "{{ 1 }}", "rag": "{{ 2 }}"}])
def test_template_by_name(tokenizer: Any, tmp_path: Path, other: dict[str, str]) -> None:
    source = project_template(tokenizer, "json").source
    tokenizer.chat_template = other | {"tool_use": source}
    assert choose_template(tokenizer, "json").source == source
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).chat_template == source


def test_templates_without_one_for_tools(tokenizer: Any) -> None:
    source = project_template(tokenizer, "json").source
    tokenizer.chat_template = {"rag": "{{ 1 }}", "default": source}
    assert choose_template(tokenizer, "json").source == source
    tokenizer.chat_template = {"rag": "{{ 1 }}"}
    assert choose_template(tokenizer, "json").origin == "project"


def test_no_server_switches_thinking_on(tokenizer: Any) -> None:
    """A server sets `enable_thinking` to true unless it is told: the switch is in the template, off, as trained."""
    switch = '"Thinking: " ~ enable_thinking | default(true) ~ "\\n"'
    tokenizer.chat_template = project_template(tokenizer, "json").source.replace('"Tools:\\n"', switch)
    own = choose_template(tokenizer, "json")
    assert own.origin == "own"
    turns, tools = call("a").messages[:1], call("a").tools
    for asked in ({}, {"enable_thinking": False}, {"enable_thinking": True}):
        text = tokenizer.apply_chat_template(
            turns, tools=tools, chat_template=own.source, tokenize=False, add_generation_prompt=True, **asked
        )
        assert "Thinking: False" in text, asked


LATE = "{% for m in messages[1:] if m.role == 'system' %}{{ raise_exception('late') }}{% endfor %}"
NO_USER = (
    "{% if not messages | selectattr('role', 'equalto', 'user') | list %}{{ raise_exception('user!') }}{% endif %}"
)
DESCRIBED = "{% for p in tools[0].function.parameters.properties.values() %}{{ p.description + '' }}{% endfor %}"
NO_CALL = "{% if not messages[-1].tool_calls and messages[-1].role == 'assistant' %}{{ 1 / 0 }}{% endif %}"
RAISING = {
    "system in the middle": (LATE, "a system turn in the middle"),
    "no user": (NO_USER, "user!"),
    "no description": (DESCRIBED, "no attribute 'description'"),
    "no syntax": ("{{ oops", "end of print statement"),
    "an answer without a call": (NO_CALL, "an answer without a call"),
}


@pytest.mark.parametrize(("raising", "reason"), RAISING.values(), ids=RAISING)
def test_template_that_raises_on_a_form_is_not_chosen(tokenizer: Any, raising: str, reason: str) -> None:
    tokenizer.chat_template = raising + project_template(tokenizer, "json").source
    chosen = choose_template(tokenizer, "json")
    assert chosen.origin == "project" and reason in str(chosen.reason)


ROWS = {
    "system in the middle": [ASK, SAY, {"role": "system", "content": "s"}, ASK, SAY],
    "no user": [{"role": "system", "content": "s"}, SAY],
    "content null": [{"role": "user", "content": None}, SAY],
    "system null": [{"role": "system", "content": None}, ASK, SAY],
}


@pytest.mark.parametrize("messages", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("style", ["json", "signature"])
def test_the_projects_template_writes_every_form(tokenizer: Any, messages: Any, style: Any) -> None:
    template = project_template(tokenizer, style)
    record = Record("row", messages, [WRITE])
    check_roundtrip([record], tokenizer, template)
    assert render(record, tokenizer, template).supervised


@pytest.mark.parametrize(
    "raising", ["{{ raise_exception('no') }}", "{{ messages.x.y }}", "{{ 1 / 0 }}", "{{ 'a' + 1 }}"]
)
@pytest.mark.parametrize("use", [render, render_prompt, lambda r, t, own: check_roundtrip([r], t, own)])
def test_row_on_which_a_template_raises_is_named(tokenizer: Any, raising: str, use: Callable[..., Any]) -> None:
    own = Template("{% if tools %}" + raising + "{% endif %}", "hermes", "own")
    with pytest.raises(InputError, match="cannot write this row") as raised:
        use(call("a"), tokenizer, own)
    assert raised.value.where == "row-7" and "data.template=project" in raised.value.fix


def test_a_runs_own_template_source_is_used_as_it_is(tokenizer: Any) -> None:
    """A run that was trained before signatures knew unions renders as it did, whatever the package's template says."""
    old = Template("{% for tool in tools %}{{ tool.function.name }} {% endfor %}", "hermes", "project")
    assert apply(old, tokenizer, [ASK], [WRITE], generation_prompt=True) == "write "
    assert with_visible_tools(call("a"), max_tools=None, descriptions=True).tools == [WRITE]


# files of a model


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pointer": (lambda f: (f / "model.safetensors").write_bytes(POINTER), "model.safetensors is a Git LFS pointer"),
    "in the header": (lambda f: cut(f / "model.safetensors", 100), "model.safetensors is cut off"),
    "in the data": (lambda f: cut(f / "model.safetensors", 9000), r"cut off: 9000 bytes of \d+"),
    "at the last byte": (lambda f: cut(f / "model.safetensors", -1), "cut off"),
    "empty": (lambda f: cut(f / "model.safetensors", 0), "is empty"),
    "page of a proxy": (lambda f: (f / "model.safetensors").write_text("<!doctype html>" * 99), "no safetensors file"),
    "tokenizer a pointer": (lambda f: (f / "tokenizer.json").write_bytes(POINTER), "tokenizer.json is a Git LFS"),
    "config cut": (lambda f: cut(f / "config.json", 20), "config.json is cut off or no JSON"),
    "shard gone": (
        lambda f: (
            (f / "model.safetensors").rename(f / "model-00001-of-00002.safetensors")
            and (f / "model.safetensors.index.json").write_text(
                json.dumps(
                    {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
                )
            )
        ),
        "model-00002-of-00002.safetensors is missing",
    ),
    "index gone": (
        lambda f: (f / "model.safetensors").rename(f / "model-00001-of-00002.safetensors"),
        "model.safetensors.index.json is missing",
    ),
    "index cut": (lambda f: (f / "model.safetensors.index.json").write_text('{"weight'), "index.json is cut off"),
}


@pytest.mark.parametrize(("damage", "said"), BROKEN.values(), ids=BROKEN)
def test_broken_file_of_a_model(tmp_path: Path, tiny_model: Path, damage: Callable[[Path], Any], said: str) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    damage(folder)
    with pytest.raises(InputError, match=said) as raised:
        resolve(str(folder))
    assert raised.value.where == str(folder) and "fetch it again" in raised.value.fix


def test_files_that_nothing_reads_do_not_count(tmp_path: Path, tiny_model: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "consolidated.safetensors").write_bytes(POINTER)
    (folder / "pytorch_model.bin").write_bytes(POINTER)
    (folder / "notes.json").write_text("{", encoding="utf-8")
    assert resolve(str(folder)) == folder
    cut(folder / "model.safetensors", 100)
    check_files(folder, weights=False)


def test_tokenizer_that_is_cut_off(tmp_path: Path, tiny_model: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    for size in (200, 2000):
        cut(folder / "tokenizer.json", size)
        with pytest.raises(InputError, match="the tokenizer cannot be loaded") as raised:
            load_tokenizer(folder)
        assert raised.value.fix
        shutil.copy(tiny_model / "tokenizer.json", folder)
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "Unheard"}}', encoding="utf-8")
    with pytest.raises(InputError, match="the tokenizer cannot be loaded"):
        load_tokenizer(folder)


def test_adapter_that_is_cut_off(tmp_path: Path) -> None:
    from eval.load import add_adapter

    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(InputError, match=r"adapter_model.safetensors is cut off"):
        add_adapter(None, tmp_path, device="cpu")


# the hub's cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a snapshot of o/m in a cache, as an older hub leaves it: no list of what it should hold."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--o--m" / "refs").mkdir(parents=True)
    (tmp_path / "models--o--m" / "refs" / "main").write_text("a" * 40, encoding="utf-8")
    snapshot = tmp_path / "models--o--m" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    return snapshot


TOKENIZER = ("config.json", "tokenizer.json", "tokenizer_config.json")


@pytest.mark.parametrize("files", [("config.json",), TOKENIZER, ("model.safetensors",), TOKENIZER[1:]])
def test_half_snapshot_is_completed(
    cache: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
) -> None:
    import huggingface_hub

    for name in files:
        shutil.copy(tiny_model / name, cache)
    kept = huggingface_hub.snapshot_download

    def download(name: str, *, local_files_only: bool = False, **settings: Any) -> str:
        if not local_files_only:
            shutil.copytree(tiny_model, cache, dirs_exist_ok=True)
        return kept(name, local_files_only=True, **settings)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="only half in the cache, and HF_HUB_OFFLINE is set"):
        resolve("o/m")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    said: list[str] = []
    assert resolve("o/m", said.append) == cache.resolve()
    assert list(map(str, said)) == ["Fetching o/m from the hub …"]
    assert resolve("o/m", said.append) == cache.resolve() and len(said) == 1


def test_tokenizer_alone_is_enough_where_no_weights_are_wanted(
    cache: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in TOKENIZER:
        shutil.copy(tiny_model / name, cache)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve("o/m", weights=False) == cache.resolve()
