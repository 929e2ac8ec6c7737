"""The token view as one self-contained page, in Korean and English."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data.render import Role
from finetune.inspect.explained import Explained, TokenPart
from finetune.inspect.subject import Subject
from finetune.inspect.words import WORDS, say
from tooltune.files import atomic_write
from tooltune.page import render
from tooltune.page.text import visible
from tooltune.words import read_words

HERE = Path(__file__).parent
HEAT = (0.9, 0.7, 0.5, 0.25, 0.05)
"""Probabilities of a part at which its ground becomes darker."""

LONG = 400
"""Characters of a stretch without loss from which it is folded."""

SCRIPT_WORDS = ("worst.", "role.")


def to_html(explained: Explained, subject: Subject, path: Path, *, lang: str = "ko") -> None:
    """Write the page; every text of the data and the model is escaped, and no script but the page's own can run."""
    data = {
        "parts": [_data(part) for part in explained.parts],
        "words": {key: both for key, both in read_words(WORDS).items() if key.startswith(SCRIPT_WORDS)},
    }
    page = render(
        HERE,
        lang=lang,
        template="explain.html",
        styles=("explain.css",),
        script=(HERE / "explain.js").read_text(encoding="utf-8"),
        data=data,
        filters={"line": _line, "probability": _probability},
        say=say,
        row=explained,
        subject=subject,
        share=subject.share(explained.total),
        stretches=_stretches(explained.parts),
    )
    with atomic_write(path) as f:
        f.write(page)


def _data(part: TokenPart) -> dict[str, Any]:
    guesses = [asdict(guess) | {"choice": visible(guess.choice)} for guess in part.guesses]
    return {"text": visible(part.text), "role": part.role.name.lower(), "guesses": guesses} if guesses else {}


def _stretches(parts: Sequence[TokenPart]) -> list[dict[str, Any]]:
    """Runs of parts with loss, and what stands between them as one text."""
    found: list[dict[str, Any]] = []
    for masked, run in itertools.groupby(enumerate(parts), key=lambda pair: pair[1].role is Role.MASKED):
        if masked:
            text = "".join(part.text for _, part in run)
            found.append({"masked": True, "text": text, "cut": len(text) > LONG})
        else:
            shown = [
                {"i": i, "text": part.text, "role": part.role.name.lower(), "heat": sum(part.p < p for p in HEAT)}
                for i, part in run
            ]
            found.append({"masked": False, "parts": shown})
    return found


def _line(text: Any) -> str:
    return visible(str(text)).replace("\n", "⏎").replace("\t", "⇥")


def _probability(p: float) -> str:
    return "< 0.01%" if p < 0.0001 else f"{p:.2%}"
