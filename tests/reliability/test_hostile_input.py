"""Two thousand damaged inputs, and what hypothesis makes: each gives a result or one clear error, and soon."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.check import check_files
from data.formats.reading import read_file
from data.template import signature
from data.validate import offered, schema_errors
from eval.endpoint.answers import read_message
from eval.formats import families
from eval.generation_cache import read_kept
from eval.outputs import read_outputs, read_tools
from eval.parse import parse_tool_calls
from eval.scoring import Sample, score
from tests.reliability.hostile import damaged, within
from tests.tiny import FIXTURES, ROOT, make_tokenizer
from tooltune.config import PRESETS, load_config
from tooltune.errors import InputError, JobFailed
from tooltune.pretrained import check_files as check_model
from tooltune.run import find_run, read_config, read_manifest

HERE = ROOT / "tests" / "data" / "formats"
DATASETS = [*sorted(HERE.glob("*.json*")), HERE / "bfcl" / "BFCL_v4_fixture.json", FIXTURES / "train.jsonl"]
FAMILIES = sorted({family.names[0] for family in families().values()})
TOOLS = [json.loads(line)["tools"] for line in (FIXTURES / "train.jsonl").read_text(encoding="utf-8").splitlines()]
DEEP = {
    "type": "object",
    "properties": {
        "a": {"$ref": "#/$defs/a"},
        "b": {"anyOf": [{"type": "string", "pattern": "^x+$"}, {"type": "null"}], "default": None},
        "c": {"type": "array", "items": {"enum": [1, "x", None]}, "uniqueItems": True},
        "d": {"allOf": [{"properties": {"e": {"type": "integer", "description": "d"}}}, {"$ref": "#/$defs/b"}]},
    },
    "required": ["a"],
    "patternProperties": {"^x_": {"type": "number"}},
    "additionalProperties": False,
    "$defs": {
        "a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}},
        "b": {"oneOf": [{"type": "object"}]},
    },
}
TOOLS.append([{"type": "function", "function": {"name": "f", "description": "d", "parameters": DEEP}}])
ARGUMENTS: dict[str, Any] = {"a": {"a": {}}, "b": "xx", "c": [1, "x"], "x_1": 2, "d": {"e": 1}, "node_id": 3}


def dataset(raw: bytes, folder: Path) -> None:
    path = folder / "rows.jsonl"
    path.write_bytes(raw)
    loaded = read_file(path, mend=len(raw) % 2 == 0)
    for entry in loaded.rejected:
        assert str(path) in entry.error.where
    check_files([path], tokenizer="none")


def config(raw: bytes, folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_bytes(raw)
    load_config(str(path), ["name=x", "train.epochs=1"])


def tools(raw: bytes, folder: Path) -> None:
    path = folder / "tools.json"
    path.write_bytes(raw)
    read = read_tools(path)
    for name, schema in offered(read).items():
        schema_errors(ARGUMENTS, schema)
        signature({"name": name, "description": "", "parameters": schema}, details=True)
        gold = [{"name": name, "arguments": ARGUMENTS}]
        said = json.dumps({"name": name, "arguments": {"a": {"b": 1}, "c": ["x", 1]}})
        xml = f"<tool_call>\n<function={name}>\n<parameter=a>\n{{}}\n</parameter>\n</function>\n</tool_call>"
        score([Sample("1", gold, read, f"<tool_call>\n{said}\n</tool_call>"), Sample("2", gold, read, xml)])
        parse_tool_calls(xml, "qwen3_coder", read)


def outputs(raw: bytes, folder: Path) -> None:
    path = folder / "outputs.jsonl"
    path.write_bytes(raw)
    samples = read_outputs(path, TOOLS[0])
    if len({sample.id for sample in samples}) == len(samples):
        score(samples)


def text(raw: bytes, folder: Path) -> None:
    said = raw.decode("utf-8", "replace")
    family = FAMILIES[len(raw) % len(FAMILIES)]
    parsed = parse_tool_calls(said, family, TOOLS[0])
    score([Sample("1", [{"name": c.name, "arguments": c.arguments} for c in parsed.calls], TOOLS[-1], said)], family)


def reply(raw: bytes, folder: Path) -> None:
    from eval.endpoint.client import _choice

    read_message(_choice(raw)["message"])


def kept(raw: bytes, folder: Path) -> None:
    path = folder / "generations.jsonl"
    path.write_bytes(raw)
    read_kept(path, {"model": "x"})


def run_files(raw: bytes, folder: Path) -> None:
    """The files by which a run is found and read."""
    from finetune.history import read_history
    from finetune.runs_table import list_runs

    run = folder / "run"
    run.mkdir(exist_ok=True)
    names = ["config.yaml", "manifest.json", "metrics.jsonl", "epochs.jsonl", "rows.json"]
    for name in names:
        (run / name).write_bytes(RUN[name])
    (run / names[len(raw) % len(names)]).write_bytes(raw)
    list_runs(folder, "changed")
    read_manifest(find_run(str(run)), ["device.kind", "best.sha256"])
    read_config(run)
    read_history(run, lambda line: None)


def template(raw: bytes, folder: Path) -> None:
    from eval.parse import detect_family

    detect_family(raw.decode("utf-8", "replace"))


def adapter(raw: bytes, model: Path) -> None:
    """The files of a model's or an adapter's folder `model`, which holds a tokenizer."""
    from tooltune.pretrained import load_tokenizer

    for name, content in ADAPTER.items():
        (model / name).write_bytes(content)
    kept = {name: (model / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")}
    names = [*ADAPTER, *kept]
    (model / names[len(raw) % len(names)]).write_bytes(raw)
    try:
        check_model(model)
        load_tokenizer(model)
    finally:
        for name, content in kept.items():
            (model / name).write_bytes(content)


HEADER = json.dumps({"a.lora_A.weight": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}).encode()
ADAPTER = {
    "adapter_config.json": json.dumps({"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}).encode(),
    "adapter_model.safetensors": len(HEADER).to_bytes(8, "little") + HEADER + bytes(8),
    "config.json": json.dumps({"model_type": "llama", "hidden_size": 8}).encode(),
    "model.safetensors.index.json": json.dumps({"weight_map": {"a": "adapter_model.safetensors"}}).encode(),
}
EVENT = {"step": 1, "epoch": 1.0, "loss": 2.0, "grad_norm": 1.0, "learning_rate": 1e-4, "samples_per_second": 3.0}
RUN = {
    "config.yaml": (PRESETS / "cpu.yaml").read_bytes(),
    "manifest.json": json.dumps(
        {"device": {"kind": "cpu", "name": "x"}, "best": {"sha256": "a"}, "rows": {"train": 4}, "steps": 2}
    ).encode(),
    "metrics.jsonl": "\n".join(json.dumps(EVENT | {"step": n}) for n in (1, 2)).encode(),
    "epochs.jsonl": json.dumps({"epoch": 1.0, "step": 1, "train_loss": 2.0, "eval_loss": 1.0, "best": True}).encode(),
    "rows.json": json.dumps([{"id": "a", "tokens": 3}]).encode(),
}
CALL = '{"name": "f", "arguments": {"a": {"a": {}}, "c": [1, "x"]}}'
OUTPUT = {"id": "1", "output": f"<tool_call>\n{CALL}\n</tool_call>", "gold": [json.loads(CALL)], "tools": TOOLS[-1]}
MESSAGE = {"content": "a", "tool_calls": [{"function": {"name": "f", "arguments": '{"a": {}}'}}]}
TEXTS = [OUTPUT["output"], f"<think>b</think>{CALL}", "[f(a=1, c=[1])]", "<function=f><parameter=a>1</parameter>"]
HERMES = (ROOT / "data" / "templates" / "hermes.jinja").read_bytes()

KINDS: dict[str, tuple[int, Callable[[bytes, Path], None], list[bytes]]] = {
    "dataset": (400, dataset, [path.read_bytes() for path in DATASETS]),
    "config": (250, config, [path.read_bytes() for path in sorted(PRESETS.glob("*.yaml"))]),
    "tools": (300, tools, [json.dumps(listed).encode() for listed in TOOLS[-4:]]),
    "outputs": (200, outputs, [json.dumps(OUTPUT).encode() + b"\n" + json.dumps(OUTPUT | {"id": 2}).encode()]),
    "text": (300, text, [said.encode() for said in TEXTS]),
    "reply": (60, reply, [json.dumps({"choices": [{"message": MESSAGE}]}).encode()]),
    "kept": (40, kept, [b'{"settings": {"model": "x"}}\n{"id": "1", "question": "a", "text": "b"}\n']),
    "run": (150, run_files, list(RUN.values())),
    "template": (150, template, [b'{%- set tools_style = "json" -%}' + HERMES]),
    "adapter": (150, adapter, list(ADAPTER.values())),
}
"""Kind → how many inputs, what reads them, whole ones."""


def test_there_are_two_thousand() -> None:
    assert sum(count for count, _, _ in KINDS.values()) == 2000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_input_gives_a_result_or_one_error(kind: str, tmp_path: Path) -> None:
    count, read, whole = KINDS[kind]
    if kind == "adapter":
        make_tokenizer(tmp_path)
    outcomes: Counter[str] = Counter()
    for n in range(count):
        rng = random.Random(f"{kind} {n}")
        raw = damaged(rng, whole[n % len(whole)])
        try:
            with within(seconds=30):
                read(raw, tmp_path)
        except (InputError, JobFailed) as e:
            assert str(e), (n, raw)
            outcomes["error"] += 1
        except BaseException as e:
            raise AssertionError(f"{kind} {n}: {type(e).__name__}: {e}\n{raw[:2000]!r}") from e
        else:
            outcomes["result"] += 1
    assert outcomes["result"], outcomes
    assert kind in ("text", "template") or outcomes["error"], outcomes


WORDS = """type properties required items anyOf allOf oneOf not $ref $defs enum const default pattern patternProperties
additionalProperties unevaluatedProperties uniqueItems prefixItems if then else format description a"""
keys = st.sampled_from(WORDS.split())
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.sampled_from(["#", "#/$defs/a", "string", "object"]),
)
schemas = st.recursive(leaves, lambda x: st.lists(x, max_size=3) | st.dictionaries(keys, x, max_size=4), max_leaves=25)
values = st.recursive(leaves, lambda x: st.lists(x, max_size=3) | st.dictionaries(keys, x, max_size=3), max_leaves=10)
arguments = st.dictionaries(keys, values)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    schema=st.dictionaries(keys, schemas, max_size=5),
    got=st.dictionaries(keys, values),
    want=st.dictionaries(keys, values),
)
def test_any_schema_is_checked_written_and_scored(schema: dict[str, Any], got: Any, want: Any) -> None:
    listed = [{"type": "function", "function": {"name": "f", "description": "", "parameters": schema}}]
    with within(seconds=30):
        assert all(isinstance(error, str) for error in schema_errors(got, schema))
        said = f"<tool_call>\n{json.dumps({'name': 'f', 'arguments': got})}\n</tool_call>"
        try:
            score([Sample("1", [{"name": "f", "arguments": want}], listed, said)])
        except InputError as e:  # properties that are no object
            assert "must be a JSON schema object" in str(e)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(["name", "lora.r", "model.name", "train.seed", "data.train", "x", ""]), value=st.text())
def test_any_override_is_taken_or_refused(key: str, value: str) -> None:
    try:
        load_config("cpu", [f"{key}={value}"])
    except InputError as e:
        assert str(e)
