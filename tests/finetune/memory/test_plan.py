"""What `plan` says: verdicts, advice, fit, the budget's sources, and that page and presets say the same."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from finetune.cli import app
from finetune.memory import docs
from finetune.memory.advice import advise
from finetune.memory.fit import find_fit, longest
from finetune.memory.overheads import CPU_RUN, GIB
from finetune.memory.plan import make_plan
from finetune.memory.setup import Setup, setup_from
from finetune.memory.shapes import KNOWN, shape_of
from finetune.publish_results import MEASURED
from tooltune.config import PRESETS, load_config

ROOT = Path(__file__).parents[3]
SEVEN = "model.name=Qwen/Qwen2.5-7B-Instruct"


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("finetune.memory.installed_card.find_card", lambda: None)


def answer(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["plan", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    parsed: dict[str, Any] = json.loads(result.output)
    return parsed


def test_the_three_verdicts() -> None:
    plan = make_plan(Setup(KNOWN["Qwen2.5-1.5B"]))
    assert plan.verdict(plan.gate) == "fits"
    assert plan.verdict(plan.gate - 1) == plan.verdict(plan.expected) == "tight"
    assert plan.verdict(plan.expected - 1) == "does not fit"


def test_7b_needs_host_memory_on_6_gb_and_the_advice_says_how_to_get_it() -> None:
    found = answer("6gb", SEVEN, "data.max_length=1024", "eval.generate_batch=1")["plan"]
    assert found["verdict"] == "does not fit"
    swap = next(a for a in found["advice"] if "offload_layers" in a["how"])
    assert swap["verdict"] == "fits" and swap["saves"] > GIB
    followed = answer("6gb", SEVEN, "data.max_length=1024", "eval.generate_batch=1", *swap["how"].split())["plan"]
    assert followed["verdict"] == "fits"
    assert found["allocated"] - followed["allocated"] == swap["saves"]


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*gb*.yaml")))
@pytest.mark.parametrize("generation", [[], ["--turing"]], ids=["newer", "turing"])
def test_each_preset_trains_and_is_evaluated_and_exported_on_its_card(preset: str, generation: list[str]) -> None:
    found = answer(preset, *generation)
    training, evaluation, export = found["stages"]
    assert found["plan"]["verdict"] == training["verdict"] == evaluation["verdict"] == export["verdict"] == "fits"
    assert training["gate"] == found["plan"]["gate"]
    assert export["gate"] == 0 and export["host"] > export["disk"] > 0
    assert answer("--all", *generation)[preset]["stages"] == found["stages"]


def test_an_evaluation_that_does_not_fit_says_so() -> None:
    tiny = answer("6gb-7b", "--budget", "4")["stages"]
    assert [stage["verdict"] for stage in tiny[:2]] == ["does not fit", "does not fit"]
    assert tiny[2]["verdict"] == "fits"


def test_a_7b_is_evaluated_with_the_weights_in_main_memory_that_were_there_in_training() -> None:
    training, evaluation, _ = answer("6gb-7b")["stages"]
    host = answer("6gb-7b")["plan"]["host"]
    assert evaluation["host"] == host["input embedding"] + host["swapped layers"]
    assert training["host"] == sum(host.values()) > evaluation["host"]


def test_the_stages_and_the_presets_print() -> None:
    assert "for one prompt, up to 15" in CliRunner().invoke(app, ["plan"]).output
    lines = CliRunner().invoke(app, ["plan", "--all"]).output.splitlines()
    assert [line.split()[0] for line in lines if "fit" in line and "GiB" not in line] == sorted(
        path.stem for path in PRESETS.glob("*gb*.yaml")
    )


def test_the_configs_budget_goes_before_the_presets_and_the_option_before_both() -> None:
    assert answer("6gb")["plan"]["budget"] == 6 * GIB
    assert answer("6gb", "memory.budget_gb=5")["plan"]["budget"] == 5 * GIB
    assert answer("6gb", "memory.budget_gb=5", "--budget", "3")["plan"]["budget"] == 3 * GIB


def test_a_card_is_large_by_what_the_plan_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 6 GB plan made on a large card is that of a 6 GB card, and `act_small` makes any card a small one."""
    monkeypatch.delenv("UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS", raising=False)
    words = (
        "6gb",
        "model.name=Qwen/Qwen2.5-0.5B-Instruct",
        "data.max_length=512",
        "train.share_prefix=off",
        "--budget",
    )
    small, large = (answer(*words, budget)["plan"]["terms"]["logits and loss"] for budget in ("24", "80"))
    assert large > 2 * small
    monkeypatch.setenv("UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS", "0")
    assert answer(*words, "80")["plan"]["terms"]["logits and loss"] == small


def test_host_memory_is_for_unsloth_only() -> None:
    config = load_config("6gb-7b")
    shape, _ = shape_of(config.model.name)
    swapped, plain = setup_from(config, shape, "unsloth"), setup_from(config, shape, "trl")
    assert (swapped.offload_embedding, swapped.swapped) == (True, 8)
    assert (plain.offload_embedding, plain.swapped) == (False, 0)


def test_more_swapped_layers_take_less_of_the_card_and_more_of_the_host() -> None:
    few, many = (make_plan(Setup(KNOWN["Qwen2.5-7B"], swapped=n)) for n in (8, 16))
    assert many.allocated < few.allocated
    assert many.host["swapped layers"] == 2 * few.host["swapped layers"]


def test_fit_is_the_last_that_fits() -> None:
    s = Setup(KNOWN["Qwen2.5-1.5B"], micro_batch=2, accumulation=4)
    found = find_fit(s, 4 * GIB)
    assert found.longest and found.micro_batch and found.accumulation == 8 // found.micro_batch
    one = Setup(KNOWN["Qwen2.5-1.5B"], length=found.longest)
    assert make_plan(one).verdict(4 * GIB) == "fits"
    assert make_plan(Setup(KNOWN["Qwen2.5-1.5B"], length=found.longest + 64)).verdict(4 * GIB) != "fits"
    assert longest(Setup(KNOWN["Qwen2.5-7B"]), 2 * GIB) is None


def test_the_last_runs_stand_beside_their_plans(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "6gb-monday"
    folder.mkdir(parents=True)
    manifest = {
        "device": {"name": "RTX 3060"},
        "planned_memory": {"tensors_gib": 2.0, "expected_gib": 2.6},
        "peak_memory": {"gpu_allocated_gib": 1.9, "gpu_reserved_gib": 2.1},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    text = CliRunner().invoke(app, ["plan"]).output
    assert "FITS in 6.00 GiB: must be free" in text and "; highest in: " in text
    korean = CliRunner().invoke(app, ["plan", "--lang", "ko"]).output
    assert "들어갑니다. 한도 6.00 GiB. 비어 있어야 하는 메모리" in korean and "가장 많이 쓰는 때: " in korean
    assert "최근 학습" in korean and not any(word in korean for word in ("fits", "free", "saves", "evaluation", "The "))
    line = next(line for line in text.splitlines() if "6gb-monday" in line)
    assert "2.00 GiB" in line and "1.90 GiB" in line and "+5.3%" in line
    assert answer()["plan"]["calibration"]["runs"] == 0, "no card here: a ratio of another machine does not count"


def test_the_table_and_the_fit_print() -> None:
    assert "8,192" in CliRunner().invoke(app, ["plan", "--table"]).output
    assert "train.micro_batch=" in CliRunner().invoke(app, ["plan", "--fit"]).output
    for option, word in (("--table", "마이크로배치"), ("--fit", "가장 긴 행"), ("--all", "모든 프리셋")):
        assert word in CliRunner().invoke(app, ["plan", option, "--lang", "ko"]).output


@pytest.mark.parametrize("free", [11, 9, 5])
def test_a_cpu_preset_is_held_to_main_memory(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Not to a card that is not there, but where a budget is named."""
    memory = SimpleNamespace(available=free * GIB, total=(free + 4) * GIB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    verdict = {11: "fits", 9: "tight", 5: "does not fit"}[free]
    for path in MEASURED.glob("cpu*.json"):
        text = CliRunner().invoke(app, ["plan", path.stem, "--lang", "en"]).output
        assert f"{free}.00 GiB free of {free + 4}.00 GiB: {verdict}.\n" in text and "FIT" not in text
        assert answer(path.stem)["main_memory"] == verdict
        assert json.loads(path.read_text(encoding="utf-8"))["peak_memory"]["rss_gib"] < CPU_RUN
    assert "FIT in 6.00 GiB" in CliRunner().invoke(app, ["plan", "cpu", "--budget", "6"]).output


def test_a_plan_needs_no_heavy_library() -> None:
    code = (
        "import sys; from finetune.cli import app\n"
        "try: app(['plan'])\nexcept SystemExit: pass\n"
        "print('heavy:', sorted(set(sys.modules) & {'torch', 'transformers', 'unsloth', 'bitsandbytes', 'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr


def test_the_page_is_what_the_command_writes() -> None:
    assert docs.PAGE.read_text(encoding="utf-8") == docs.page(), "run: python -m finetune plan --docs"


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*gb*.yaml")), ids=lambda path: path.stem)
def test_the_presets_tables_are_what_the_command_writes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert docs.preset_table(path.stem) in text, "run: python -m finetune plan --docs"


@pytest.mark.parametrize(("rows", "length", "dtype"), [(1, 2048, 2), (4, 1024, 2), (2, 512, 4)])
def test_gemma_3_holds_two_masks_in_unsloth_and_nobody_else_does(rows: int, length: int, dtype: int) -> None:
    """Known to the byte: [rows, 1, length, length] each, whichever phase it is."""
    s = Setup(KNOWN["gemma-3-270m"], micro_batch=rows, length=length, element=dtype, labelled=0.1)
    other = replace(s, shape=replace(s.shape, family="qwen2"))
    with_masks, without = make_plan(s).phases, make_plan(other).phases
    for phase in ("forward and loss", "backward"):
        assert with_masks[phase] - without[phase] == 2 * rows * length * length * dtype
    assert make_plan(replace(s, engine="trl")).phases == make_plan(replace(other, engine="trl")).phases


def test_every_family_is_known_by_its_hub_name() -> None:
    for name in (
        "Qwen/Qwen2.5-0.5B-Instruct",
        "Qwen/Qwen3-1.7B",
        "meta-llama/Llama-3.2-1B-Instruct",
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        "google/gemma-3-1b-it",
    ):
        assert shape_of(name)[1] == "built-in table"


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_a_model_of_few_layers_gets_advice_too(layers: int) -> None:
    plan = make_plan(Setup(replace(KNOWN["Qwen2.5-0.5B"], layers=layers)))
    assert all(advice.saves > 0 for advice in advise(plan, GIB / 2))


def test_an_effective_batch_of_billions_takes_no_longer() -> None:
    found = find_fit(Setup(KNOWN["Qwen2.5-0.5B"], micro_batch=10**5, accumulation=10**5), 6 * GIB)
    assert found.micro_batch and found.accumulation == 10**10 // found.micro_batch


@pytest.mark.parametrize("words", [["--budget", "inf"], ["--budget", "6144"], ["memory.budget_gb=6144"]])
def test_a_budget_in_mib_is_refused(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["plan", "6gb", *words]).exit_code == 2


def test_no_more_layers_wait_in_main_memory_than_there_are() -> None:
    config = load_config("6gb", ["memory.offload_layers=1000"])
    assert setup_from(config, KNOWN["Qwen2.5-1.5B"], "unsloth").swapped == 28
