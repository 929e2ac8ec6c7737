"""What the model sees and what is trained, token by token: in the terminal and as a page."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from data.render import Example
from finetune.inspect.pieces import STYLES, Piece, pieces
from finetune.inspect.words import say
from tooltune.files import atomic_write
from tooltune.page.text import visible
from tooltune.words import Language, Phrase, in_language


@dataclass(frozen=True)
class Shown:
    """A row to show."""

    id: str
    pieces: list[Piece]
    tokens: int
    supervised: int

    def shares(self) -> list[dict[str, Any]]:
        """The runs of tokens of one role, for a bar: role, where it starts and how wide it is, in percent."""
        runs: list[dict[str, Any]] = []
        at = 0
        for role, group in groupby(self.pieces, key=lambda piece: piece.role):
            count = sum(len(piece.tokens) for piece in group)
            place = {"x": round(100 * at / self.tokens, 3), "width": round(100 * count / self.tokens, 3)}
            runs.append({"role": role.name.lower(), **place})
            at += count
        return runs


def show(example: Example, tokenizer: Any) -> Shown:
    return Shown(example.id, pieces(example, tokenizer), len(example.input_ids), example.supervised)


def to_terminal(rows: list[Shown], facts: list[Any], console: Console, lang: Language = "en") -> None:
    """Print the facts (phrases, or lines in English), the legend, and each row with its tokens coloured by role."""
    for fact in facts:
        console.print(in_language(fact, lang))
    legend = Text(say("legend").text(lang))
    for role, style in STYLES.items():
        legend.append(say(f"legend.{role.name.lower()}").text(lang), style=style)
        legend.append("  ")
    console.print(legend)
    for row in rows:
        title = say("legend.row", row=row.id, tokens=row.tokens, trained=row.supervised)
        console.rule(Text(title.text(lang)), align="left")
        text = Text()
        for piece in row.pieces:
            text.append(piece.display_text(), style=STYLES[piece.role])
        console.print(text)


def to_html(rows: list[Shown], facts: list[Any], path: Path) -> None:
    """Write the same as one self-contained page; every text of the data is escaped."""
    from tooltune.page import render

    page = render(
        Path(__file__).parent,
        lang="ko",
        template="preview.html",
        styles=("preview.css",),
        script=None,
        say=say,
        rows=rows,
        facts=[fact if isinstance(fact, Phrase) else visible(fact) for fact in facts],
        roles=[role.name.lower() for role in STYLES],
    )
    with atomic_write(path) as f:
        f.write(page)
