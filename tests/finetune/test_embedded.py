"""Adapters on an embedded model: the licence goes along; and a short real training on one, end to end."""

import json
from pathlib import Path

import pytest

from data.render import Rendered
from data.template import Template
from finetune.adapter import _save_adapter
from finetune.rows import Prepared
from tests import forked
from tests.tiny import ROOT, environment, finetune, losses, make_tokenizer
from tooltune.config import load_config
from tooltune.embedded import SMOLLM2, embedded_model
from tooltune.files import read_jsonl, write_jsonl

DATA = ROOT / "data" / "structural"


def test_licence_goes_along_with_an_adapter(tmp_path: Path) -> None:
    checkpoint, base = tmp_path / "checkpoint", tmp_path / "base"
    checkpoint.mkdir()
    (checkpoint / "adapter_model.safetensors").write_bytes(b"weights")
    (checkpoint / "adapter_config.json").write_text("{}", encoding="utf-8")
    tokenizer = make_tokenizer(base)
    (base / "NOTICE").write_text("under terms", encoding="utf-8")
    (base / "GEMMA_TERMS.html").write_text("terms", encoding="utf-8")
    template = Template("{{ messages }}", "hermes", "project")
    prepared = Prepared(base, tokenizer, template, Rendered([], []), Rendered([], []), [])
    _save_adapter(load_config("cpu", ["model.name=smollm2"]), checkpoint, tmp_path / "best", prepared)
    assert (tmp_path / "best" / "NOTICE").read_text(encoding="utf-8") == "under terms"
    assert (tmp_path / "best" / "GEMMA_TERMS.html").read_text(encoding="utf-8") == "terms"
    adapter = json.loads((tmp_path / "best" / "adapter_config.json").read_text(encoding="utf-8"))
    assert adapter["base_model_name_or_path"] == str(base), "to peft it is a folder, under any of its names"


GENERATE = """
import sys, torch
from pathlib import Path
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
import json
run, base = Path(sys.argv[1]), sys.argv[2]
tokenizer = AutoTokenizer.from_pretrained(run / "best")
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
model = PeftModel.from_pretrained(model, run / "best").eval()
row = json.loads(open(sys.argv[3], encoding="utf-8").readline())
prompt = row["messages"][:-1]
text = tokenizer.apply_chat_template(prompt, tools=row["tools"], tokenize=False, add_generation_prompt=True)
ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
out = model.generate(ids, max_new_tokens=40, do_sample=False, eos_token_id=tokenizer.eos_token_id)
assert "unsloth" not in sys.modules
print(tokenizer.decode(out[0, ids.shape[1]:]))
"""


@pytest.mark.slow
def test_a_few_dozen_steps_end_to_end(tmp_path: Path) -> None:
    """Loss falls; best/ loads in a process without unsloth and writes what the project's own loader writes."""
    model = embedded_model(SMOLLM2)
    short = [
        "data.limit=96",
        "data.max_length=420",
        "eval.generate=2",
        "eval.max_new_tokens=40",
        "train.compile=false",
    ]
    few = [row for _, row in read_jsonl(DATA / "validation.jsonl")][:8]
    write_jsonl(tmp_path / "validation.jsonl", few)
    finetune(
        tmp_path,
        "train",
        "cpu",
        "name=short",
        "model.name=smollm2",
        "data.max_tools=2",
        f"data.train={DATA / 'train.jsonl'}",
        f"data.validation={tmp_path / 'validation.jsonl'}",
        "data.test=null",
        *short,
        "train.micro_batch=2",
        "train.accumulation=1",
        "train.logging_steps=4",
        "model.load_in_4bit=false",
    )
    run = tmp_path / "runs" / "short"
    found = losses(run)
    late, early = [v for s, v in found.items() if s > max(found) - 12], [v for s, v in found.items() if s <= 8]
    assert sum(late) / len(late) < 0.6 * sum(early) / len(early)

    words = ["-c", GENERATE, str(run), str(model), str(tmp_path / "validation.jsonl")]
    plain = forked.run(words, cwd=tmp_path, env=environment(tmp_path), unsloth=False)
    assert plain.returncode == 0, plain.stderr[-2000:]
    assert plain.stdout.strip().startswith("<tool_call>")
