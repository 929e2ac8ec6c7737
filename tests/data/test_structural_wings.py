"""The wings of the structural domain: imports run one way, and the rest of the house reaches it through its domain."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data" / "structural"
ORDER = ["engine", "language", "requests", "proof"]
BESIDE = {"build", "card", "frame_domain", "handwritten", "make_row"}
"""Modules that stand above the wings and use them all."""
BY_NAME = {
    "data/commands.py": "builds the dataset",
    "data/domain.py": "knows the bundled rows, which name no domain",
    "benchmarks/gpu/steps.py": "where the rows are",
    "benchmarks/one_prefix.py": "offers every tool of the dataset",
}
"""Files outside that import the package."""


def imported(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_there_are_these_wings_and_no_others():
    assert {p.name for p in FOLDER.iterdir() if p.is_dir() and p.name != "__pycache__"} == set(ORDER)
    assert {p.stem for p in FOLDER.glob("*.py")} == {*BESIDE, "__init__"}


@pytest.mark.parametrize("wing", ORDER)
def test_a_wing_imports_only_those_before_it(wing):
    allowed = tuple(f"data.structural.{name}" for name in ORDER[: ORDER.index(wing) + 1])
    for path in (FOLDER / wing).rglob("*.py"):
        own = {name for name in imported(path) if name.startswith("data.structural.")}
        assert not [name for name in own if not name.startswith(allowed)], path


def test_only_these_files_outside_know_the_package_by_name():
    files = [p for name in ("tooltune", "data", "eval", "finetune", "benchmarks") for p in (ROOT / name).rglob("*.py")]
    outside = {p for p in files if FOLDER not in p.parents}
    knowing = {p for p in outside if any(name.startswith("data.structural") for name in imported(p))}
    assert {str(p.relative_to(ROOT).as_posix()) for p in knowing} == set(BY_NAME)
