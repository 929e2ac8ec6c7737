"""The shape of the house: imports run one way, and what should answer at once does."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app as eval_app
from finetune.cli import app as finetune_app
from tooltune.config import load_config, preset_names

ROOT = Path(__file__).parent.parent
ORDER = ["tooltune", "data", "eval", "finetune", "benchmarks"]
HEAVY = {"torch", "transformers", "trl", "peft", "unsloth", "datasets", "bitsandbytes"}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", ORDER)
def test_nothing_imports_upward(package: str) -> None:
    above = set(ORDER[ORDER.index(package) + 1 :])
    face = ROOT / "tooltune" / "__init__.py"  # names of higher packages, imported when they are asked for
    files = [p for p in (ROOT / package).rglob("*.py") if p != face]
    wrong = {str(p): imported(p) & above for p in files if imported(p) & above}
    assert not wrong


def test_unsloth_is_imported_by_the_loaders_alone() -> None:
    files = [p.relative_to(ROOT) for name in ORDER for p in (ROOT / name).rglob("*.py") if "unsloth" in imported(p)]
    assert files == [Path("eval/backend.py"), Path("finetune/models.py")]


def test_no_class_name_is_used_twice() -> None:
    places: dict[str, list[str]] = {}
    for package in ORDER:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not {name: found for name, found in places.items() if len(found) > 1}


@pytest.mark.parametrize("module", ["finetune.cli", "eval.cli", "data.commands", "benchmarks.cli"])
def test_help_needs_no_heavy_library(module: str) -> None:
    code = (
        f"import sys; from {module} import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        f"print('heavy:', sorted(set(sys.modules) & {HEAVY!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("app", "command"), [(eval_app, "run"), (finetune_app, "report"), (finetune_app, "explain")])
def test_a_language_that_no_page_has_is_refused(app: Any, command: str) -> None:
    done = CliRunner().invoke(app, [command, "--lang", "fr"])
    assert done.exit_code == 2 and all(word in done.stderr for word in ("--lang", "'fr'", "'ko'", "'en'"))


def test_presets_load() -> None:
    assert {"cpu", "6gb"} <= set(preset_names())
    for name in preset_names():
        config = load_config(name)
        assert config.lora.dropout == 0, "dropout turns Unsloth's fused kernels off"


def test_6gb_is_the_reference_recipe() -> None:
    config = load_config("6gb")
    assert (config.lora.r, config.lora.alpha, len(config.lora.target_modules)) == (8, 16, 7)
    assert (config.train.micro_batch, config.train.accumulation, config.train.epochs) == (1, 8, 3)
    assert (config.train.learning_rate, config.train.max_grad_norm, config.train.logging_steps) == (2e-4, 1.0, 10)
    assert config.model.name == "Qwen/Qwen2.5-1.5B-Instruct" and config.model.load_in_4bit


def test_every_preset_says_what_it_is_for() -> None:
    for path in (ROOT / "finetune" / "presets").glob("*.yaml"):
        head = path.read_text(encoding="utf-8").split("model:")[0]
        assert head.startswith(f"# {path.stem}:") and "For" in head and "Run" in head and "Change" in head
