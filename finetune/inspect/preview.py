"""What the model sees and what is trained, token by token: in the terminal and as a page."""

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from data.render import Example, Role
from finetune.inspect.pieces import STYLES, Piece, pieces
from tooltune.files import atomic_write
from tooltune.page.text import visible

ROLES = {
    Role.MASKED: ("읽기만 함", "read, not trained"),
    Role.NAME: ("도구 이름", "a tool's name"),
    Role.ARGUMENTS: ("매개변수와 값", "arguments"),
    Role.FORMAT: ("호출 형식과 끝 표시", "the form of a call, and the end"),
    Role.TEXT: ("말로 하는 답", "an answer in words"),
}

SPLITS = {"train": "학습", "validation": "검증"}
FACTS = (
    (r"Chat template: tokenizer \((.+?)\)(.*)", r"대화 템플릿: 모델의 것 (\1)\2"),
    (r"Chat template: project \((.+?)\)(.*)", r"대화 템플릿: 이 프로젝트의 것 (\1)\2"),
    (r"(\w+): (\d+) rows, median (\d+) tokens, longest (\d+)(.*)", r"\1: \2행, 토큰 수 중앙값 \3, 가장 긴 행 \4\5"),
    (r"(.*); (\d+) longer than (\d+) tokens were left out: (.*)", r"\1; \3토큰보다 긴 \2행은 뺐음: \4"),
)
"""What the command says of the rows, as patterns, and the same in Korean; anything else stays as it was said."""


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
    """A rendered row, ready to show."""
    return Shown(example.id, pieces(example, tokenizer), len(example.input_ids), example.supervised)


def to_terminal(rows: list[Shown], facts: list[str], console: Console) -> None:
    """Print the facts, the legend, and each row with its tokens coloured by role."""
    for fact in facts:
        console.print(fact)
    legend = Text("Colours: ")
    for role, style in STYLES.items():
        legend.append(role.name.lower() + ("  (no loss)" if role is Role.MASKED else ""), style=style)
        legend.append("  ")
    console.print(legend)
    for row in rows:
        console.rule(Text(f"{row.id}: {row.tokens} tokens, {row.supervised} trained"), align="left")
        text = Text()
        for piece in row.pieces:
            text.append(piece.shown(), style=STYLES[piece.role])
        console.print(text)


def in_korean(fact: str) -> str:
    """A line on the rows or the template in Korean, as far as it is known; a reason in it stays English."""
    for pattern, korean in FACTS:
        fact = re.sub(rf"^{pattern}$", korean, fact, flags=re.DOTALL)
    for name, korean in SPLITS.items():
        fact = fact.replace(f"{name}: ", f"{korean}: ", 1) if fact.startswith(f"{name}: ") else fact
    return fact


def to_html(rows: list[Shown], facts: list[str], path: Path) -> None:
    """Write the same as one self-contained page; every text of the data is escaped."""
    from tooltune.page import in_both, render

    page = render(
        Path(__file__).parent,
        lang="ko",
        template="preview.html",
        styles=("preview.css",),
        script=None,
        in_both=in_both,
        rows=rows,
        facts=[in_both(visible(in_korean(fact)), visible(fact)) for fact in facts],
        roles=[(role.name.lower(), *ROLES[role]) for role in STYLES],
    )
    with atomic_write(path) as f:
        f.write(page)
