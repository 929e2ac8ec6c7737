"""The closed formulas against the bytes that the real code keeps alive in a training step, counted on the meta device.

Transformers, PEFT, bitsandbytes and Unsloth's autograd functions run for real; only the numbers in the tensors are
missing.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.memory import terms
from finetune.memory.plan import make_plan
from finetune.memory.setup import Setup
from finetune.memory.shapes import KNOWN

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
WITHIN = 0.03  # of the peak
DYNAMIC_WITHIN = 0.05  # of what comes on top of the weights
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


def case(model: str, micro_batch: int, length: int, **more: Any) -> dict[str, Any]:
    return {"model": model, "micro_batch": micro_batch, "length": length, **more}


UNSLOTH = [
    case("Qwen2.5-0.5B", 1, 512),
    case("Qwen2.5-1.5B", 1, 1024),
    case("Qwen2.5-1.5B", 1, 4096),
    case("Qwen2.5-1.5B", 1, 2048, labelled=0.1),
    case("Qwen2.5-1.5B", 1, 1024, checkpointing="on"),
    case("Qwen2.5-1.5B", 1, 1024, checkpointing="off"),
    case("Qwen2.5-1.5B", 1, 1024, turing=True),
    case("Qwen2.5-1.5B", 1, 4096, xformers=False),
    case("Qwen2.5-1.5B", 4, 4096),
    case("Qwen2.5-0.5B", 1, 512, large_card=True),
    case("Qwen2.5-0.5B", 1, 2048, large_card=True, labelled=0.5),
    case("Qwen2.5-0.5B", 1, 4096, large_card=True),
    case("Qwen2.5-7B", 1, 1024),
    case("Llama-3.2-1B", 4, 2048),
    case("Llama-3.2-3B", 2, 1024),
    case("Qwen3-0.6B", 4, 2048),
    case("SmolLM2-135M", 8, 1024),
    case("SmolLM2-135M", 2, 1024, turing=True),
]
TRANSFORMERS = [
    case("Qwen2.5-0.5B", 4, 1024, head="fused"),
    case("Qwen2.5-0.5B", 1, 2048, head="fused"),
    case("Qwen2.5-1.5B", 1, 1024, head="fused"),
    case("Qwen2.5-1.5B", 1, 1024, head="full"),
    case("Qwen2.5-1.5B", 1, 1024, head="fused", checkpointing="off"),
    case("Qwen2.5-1.5B", 1, 1024, head="full", kbit=True, double_quant=False, targets=ATTENTION, r=16),
    case("Qwen2.5-7B", 1, 1024, head="fused"),
    case("Llama-3.2-1B", 4, 2048, head="fused"),
    case("Llama-3.2-1B", 1, 2048, head="full"),
    case("Qwen3-0.6B", 4, 2048, head="fused"),
    case("SmolLM2-135M", 8, 1024, head="fused", labelled=0.2),
    case("gemma-3-1b", 4, 1024, head="fused"),
]


def start(module: str, cases: list[dict[str, Any]], folder: Path) -> tuple["subprocess.Popen[bytes]", Path]:
    """One process counts all cases; its answers go to a file, so that both processes can run at once."""
    source, answers = folder / f"{module}.json", folder / f"{module}.jsonl"
    source.write_text(json.dumps(cases), encoding="utf-8")
    with source.open("rb") as read, answers.open("wb") as write, (folder / f"{module}.err").open("wb") as err:
        command = [sys.executable, "-m", f"tests.finetune.memory.{module}"]
        return subprocess.Popen(command, cwd=ROOT, stdin=read, stdout=write, stderr=err), answers


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("counts")
    started = {
        module: start(module, cases, folder)
        for module, cases in (("count_unsloth", UNSLOTH), ("count_hf", TRANSFORMERS))
    }
    results = {}
    for module, (process, answers) in started.items():
        assert process.wait() == 0, (folder / f"{module}.err").read_text(encoding="utf-8")[-3000:]
        lines = answers.read_text(encoding="utf-8").splitlines()
        results[module] = [json.loads(line) for line in lines if line.startswith("{")]
    return results


def name(c: dict[str, Any]) -> str:
    more = "-".join(f"{k}={v}" for k, v in c.items() if k not in ("model", "micro_batch", "length", "targets"))
    return f"{c['model']}-{c['micro_batch']}x{c['length']}-{more}"


def check(setup: Setup, counted: dict[str, Any]) -> None:
    plan = make_plan(setup)
    constant = sum(term.size for term in plan.terms if term.always) + terms.gradients(setup)
    peak = max(plan.phases["forward and loss"], plan.phases["backward"])
    assert constant == pytest.approx(counted["resident"], rel=0.001)
    assert peak == pytest.approx(counted["peak"], rel=WITHIN)
    assert peak - constant == pytest.approx(counted["peak"] - counted["resident"], rel=DYNAMIC_WITHIN)


@pytest.mark.parametrize("number", range(len(UNSLOTH)), ids=[name(c) for c in UNSLOTH])
def test_unsloth_step(number: int, counts: dict[str, list[dict[str, Any]]]) -> None:
    given = dict(UNSLOTH[number])
    check(Setup(KNOWN[given.pop("model")], "unsloth", **given), counts["count_unsloth"][number])


@pytest.mark.parametrize("number", range(len(TRANSFORMERS)), ids=[name(c) for c in TRANSFORMERS])
def test_transformers_step(number: int, counts: dict[str, list[dict[str, Any]]]) -> None:
    given = dict(TRANSFORMERS[number])
    shape, engine = KNOWN[given.pop("model")], "full" if given.pop("head") == "full" else "trl"
    given["targets"] = tuple(given.pop("targets", terms.LINEARS))
    # The count keeps the adapter in the stream's dtype, which it would have under autocast.
    adapter_bytes = 4 if given.get("kbit") else 2
    check(Setup(shape, engine, adapter_bytes=adapter_bytes, **given), counts["count_hf"][number])
