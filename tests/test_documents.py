"""What the repository's texts refer to exists: files, sections, rules, names in code."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KINDS = (".py", ".md", ".yaml", ".jinja", ".html", ".toml", ".svg")
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
QUOTED = re.compile(r"`([\w.-]*/?[\w./-]+\.(?:py|md|yaml|yml|json|jsonl|jinja|html|css|js|toml|txt|svg))(?:: (\w+))?`")
FOLDER = re.compile(r"`((?:\.?[\w-]+/)+)`")
PAGE = re.compile(r"\bdocs/[\w./-]+\.md")
SECTION = re.compile(r'\b(docs/[\w./-]+\.md), "([^"]+)"')
RULE = re.compile(r"(?:parsing policy,|\()\s*rules?\s+(\d+(?:(?:, | and )\d+)*)", re.IGNORECASE)
GONE = re.compile(
    r"\b(?:METRICS|VRAM|SPEC|BENCHMARK|DESIGN|NOTES)(?:\.md|, \"|, section| in the README)|\bEMBEDDED\.md"
)
"""Documents that are not part of the repository."""


@cache
def tracked() -> list[str]:
    """Every file of the repository, as a path with `/`."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def texts(*kinds: str, under: tuple[str, ...] = ("",)) -> Iterator[tuple[str, str]]:
    """Path and text of each file of these kinds; a test's text is not the repository's word."""
    for name in tracked():
        if name.endswith(kinds) and name.startswith(under) and not name.startswith(("tests/", "CHANGELOG")):
            yield name, (ROOT / name).read_text(encoding="utf-8")


def prose(name: str, text: str) -> str:
    """What people read of a file: Markdown without code blocks, a module's docstrings, the rest whole."""
    if name.endswith(".md"):
        return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    if not name.endswith(".py"):
        return text
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return "\n".join(ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds))


@cache
def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.+)$", prose(".md", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_lead_somewhere() -> None:
    wrong = []
    for name, text in texts(".md"):
        for target, anchor in LINK.findall(prose(name, text)):
            path = (ROOT / name).parent / target if target else ROOT / name
            if not path.exists() or (anchor and anchor not in anchors(path)):
                wrong.append(f"{name}: {target}#{anchor}")
    assert not wrong


def test_files_that_are_named_exist() -> None:
    """A path with a folder of the repository in front must exist; `path.py: name` must hold the name."""
    tops = {name.split("/")[0] for name in tracked() if "/" in name}
    wrong = []
    for name, text in texts(*KINDS):
        for target, what in QUOTED.findall(prose(name, text)):
            near = [ROOT / target, (ROOT / name).parent / target]
            found = next((path for path in near if path.is_file()), None)
            example = re.search(r"[A-Z]{4,}", Path(target).stem)  # NAME.json stands for any name
            if target.split("/")[0] in tops and "/" in target and not found and not example:
                wrong.append(f"{name}: {target}")
            elif found and what and not re.search(rf"\b{what}\b", found.read_text(encoding="utf-8")):
                wrong.append(f"{name}: {target} has no {what}")
        for folder in FOLDER.findall(prose(name, text)):
            if folder.split("/")[0] in tops and not (ROOT / folder).is_dir():
                wrong.append(f"{name}: {folder}")
    assert not wrong


def test_documents_that_are_cited_exist() -> None:
    wrong = []
    for name, text in texts(*KINDS):
        flat = re.sub(r"\s*\n[#\s]*", " ", text)  # a citation may go over the end of a line
        wrong += [f"{name}: {page}" for page in PAGE.findall(flat) if not (ROOT / page).is_file()]
        wrong += [f"{name}: {found}" for found in GONE.findall(flat)]
        for page, section in SECTION.findall(flat):
            heads = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
            if section not in heads:
                wrong.append(f"{name}: {page} has no section {section!r}")
    assert not wrong


def test_rules_that_are_cited_exist() -> None:
    policy = (ROOT / "docs" / "parsing-policy.md").read_text(encoding="utf-8")
    rules = [int(number) for number in re.findall(r"^(\d+)\. \*\*", policy, re.MULTILINE)]
    assert rules == list(range(1, len(rules) + 1))
    cited = {
        (name, int(number))
        for name, text in texts(".py", under=("eval/",))
        for numbers in RULE.findall(text)
        for number in re.findall(r"\d+", numbers)
    }
    assert len({name for name, _ in cited}) >= 5, "the parsers cite the policy"
    assert {f"{name}: rule {number}" for name, number in cited if number not in rules} == set()


@pytest.mark.parametrize("page", ["README", "docs/metrics", "docs/results", "docs/guide"])
def test_both_languages_have_the_same_parts(page: str) -> None:
    """Headings, tables and code blocks stand in the same order in the English and the Korean page."""

    def shape(path: Path) -> list[str]:
        return re.findall(r"^(?:#+ |```|\|---|!\[)", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert shape(ROOT / f"{page}.md") == shape(ROOT / f"{page}.ko.md")
