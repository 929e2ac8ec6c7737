"""A rendered row in pieces that can be read: whole characters, each with its role and its tokens."""

from dataclasses import dataclass
from typing import Any

from data.render import Example, Role
from tooltune.page.text import visible

STYLES = {
    Role.MASKED: "dim",
    Role.NAME: "bold magenta",
    Role.ARGUMENTS: "cyan",
    Role.FORMAT: "yellow",
    Role.TEXT: "green",
}
"""How the terminal shows a role."""


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

    def display_text(self) -> str:
        """The text with nothing invisible in it: control characters by name, and the newlines that are trained."""
        text = visible(self.text)
        return text.replace("\n", "↵\n") if self.role else text


def pieces(example: Example, tokenizer: Any) -> list[Piece]:
    """Cut a rendered row into pieces; a byte-level tokenizer splits a Hangul syllable over up to three tokens."""
    found: list[Piece] = []
    waiting: list[int] = []
    for token, role in zip(map(int, example.input_ids), example.roles, strict=True):
        waiting.append(token)
        text = tokenizer.decode(waiting, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if "\ufffd" not in text or len(waiting) > 8:
            found.append(Piece(text, Role(role), tuple(waiting)))
            waiting = []
    if waiting:
        found.append(Piece(tokenizer.decode(waiting), Role(example.roles[-1]), tuple(waiting)))
    return found
