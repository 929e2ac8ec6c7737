"""What the model sees and what is trained, token by token: in the terminal and as a page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from data.files import atomic_write
from data.render import Example, Role

STYLES = {
    Role.MASKED: "dim",
    Role.NAME: "bold magenta",
    Role.ARGUMENTS: "cyan",
    Role.FORMAT: "yellow",
    Role.TEXT: "green",
}


@dataclass(frozen=True)
class Piece:
    """The shortest run of tokens that decodes to whole characters: one token, or several that share a character.

    Attributes:
        text: decoded, special tokens included.
        role: the role of its tokens.
        tokens: their ids.
    """

    text: str
    role: Role
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Shown:
    """A row to show."""

    id: str
    pieces: list[Piece]
    tokens: int
    supervised: int


def pieces(example: Example, tokenizer: Any) -> list[Piece]:
    """Cut a rendered row into pieces; a byte-level tokenizer splits a Hangul syllable over up to three tokens."""
    found: list[Piece] = []
    waiting: list[int] = []
    for token, role in zip(example.input_ids, example.roles, strict=True):
        waiting.append(token)
        text = tokenizer.decode(waiting, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if "\ufffd" not in text or len(waiting) > 8:
            found.append(Piece(text, Role(role), tuple(waiting)))
            waiting = []
    if waiting:
        found.append(Piece(tokenizer.decode(waiting), Role(example.roles[-1]), tuple(waiting)))
    return found


def show(example: Example, tokenizer: Any) -> Shown:
    """A rendered row, ready to show."""
    return Shown(example.id, pieces(example, tokenizer), len(example.input_ids), example.supervised)


def to_terminal(rows: list[Shown], facts: list[str], console: Console) -> None:
    """Print the facts, the legend, and each row with its tokens coloured by role."""
    for fact in facts:
        console.print(fact, markup=False)
    legend = Text("Colours: ")
    for role, style in STYLES.items():
        legend.append(role.name.lower() + ("  (no loss)" if role is Role.MASKED else ""), style=style)
        legend.append("  ")
    console.print(legend)
    for row in rows:
        console.rule(f"{row.id}: {row.tokens} tokens, {row.supervised} trained", align="left")
        text = Text()
        for piece in row.pieces:
            text.append(piece.text, style=STYLES[piece.role])
        console.print(text)


def to_html(rows: list[Shown], facts: list[str], path: Path) -> None:
    """Write the same as one self-contained page; every text of the data is escaped."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    page = environment.get_template("page.html").render(rows=rows, facts=facts, roles=list(STYLES))
    with atomic_write(path) as f:
        f.write(page)
