"""The READMEs say what the files say: measured tables, links, presets."""

import re
from pathlib import Path

import pytest

from finetune.publish_results import MEASURED, READMES, filled

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("language", sorted(READMES))
def test_tables_are_those_of_the_measured_files(language: str) -> None:
    text = READMES[language].read_text(encoding="utf-8")
    assert list(MEASURED.glob("*.json"))
    for path in MEASURED.glob("*.json"):
        assert f"<!-- measured: {path.stem} -->" in text
    assert filled(text, language) == text, "run `python -m finetune record` again"


@pytest.mark.parametrize("language", sorted(READMES))
def test_links_lead_somewhere(language: str) -> None:
    text = READMES[language].read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for readme in READMES.values():
        for target in re.findall(r"\bmake ([a-z]+)\b", readme.read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
