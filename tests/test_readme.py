"""The READMEs and the pages they lead to say what the files say: measured tables, links, commands."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.cli import app as benchmarks_app
from data.commands import app as data_app
from eval.cli import app as eval_app
from finetune.cli import app as finetune_app
from finetune.publish_results import MEASURED, filled
from tooltune.blocks import PAGES, Language

ROOT = Path(__file__).parent.parent
EVERY = [(language, page) for language, pages in PAGES.items() for page in pages]
GUIDES = [ROOT / "docs" / "guide.md", ROOT / "docs" / "guide.ko.md"]
APPS = {"benchmarks": benchmarks_app, "data": data_app, "eval": eval_app, "finetune": finetune_app}


@pytest.mark.parametrize(("language", "page"), EVERY)
def test_tables_are_those_of_the_measured_files(language: Language, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text, language) == text, "run `python -m finetune record` again"


@pytest.mark.parametrize("language", sorted(PAGES))
def test_every_measured_file_is_shown(language: Language) -> None:
    readme, results = (page.read_text(encoding="utf-8") for page in PAGES[language])
    assert list(MEASURED.glob("*.json"))
    for path in MEASURED.glob("*.json"):
        assert f"<!-- measured: {path.stem} -->" in results
    assert "<!-- headline: cpu -->" in readme
    assert len(readme.splitlines()) <= 130


@pytest.mark.parametrize("language", sorted(PAGES))
def test_how_often_the_base_model_does_not_try_is_the_files(language: Language) -> None:
    measured = json.loads((MEASURED / "cpu.json").read_text(encoding="utf-8"))["evaluation"]
    assert f"{100 * measured['no_attempt']['base']['value']:g} %" in PAGES[language][0].read_text(encoding="utf-8")


@pytest.mark.parametrize(("language", "page"), EVERY)
def test_links_lead_somewhere(language: Language, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
        assert (page.parent / target).exists(), target


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in [*(page for _, page in EVERY), *GUIDES]:
        for target in re.findall(r"\bmake ([a-z]+)\b", page.read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_commands_of_the_readme_exist() -> None:
    for page in [*(page for _, page in EVERY), *GUIDES]:
        found = re.findall(r"python -m (\w+)(?: ([a-z]+)\b(?![=.]))?", page.read_text(encoding="utf-8"))
        assert found
        for file in re.findall(r"pip install [^`\n]*-[cr] ([\w.]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / file).is_file(), file
        for package, command in found:
            names = {c.name or c.callback.__name__ for c in APPS[package].registered_commands if c.callback}
            assert not command or command in names, f"{page.name}: python -m {package} {command}"
