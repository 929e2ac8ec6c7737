"""The token view in the terminal: colour says the role, marking how sure the model is."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.render import Role
from finetune.inspect.explained import Explained, Guess, TokenPart
from finetune.inspect.pieces import STYLES
from finetune.inspect.subject import Subject
from tooltune.page.text import short, visible

SURE, LIKELY = 0.9, 0.5
"""Probabilities of a part: above the first it is not marked, below the second it is marked strongly."""

PROMPT = 600  # characters of a masked stretch that are shown: its end
CELL = 24  # characters of a token in a table


def to_terminal(explained: Explained, subject: Subject, console: Console) -> None:
    """Print the row with its tokens marked, the sum by role, and the ten worst tokens."""
    console.rule(Text(f"{explained.id}: {explained.supervised} trained tokens"), align="left")
    console.print(_legend())
    console.print(_marked(explained.parts))
    console.print()
    console.print(_sum_line(explained, subject))
    console.print(_roles(explained))
    console.print(_worst(explained))


def _legend() -> Text:
    text = Text("Colours: ")
    for role, style in STYLES.items():
        text.append(role.name.lower() + (" (no loss)" if role is Role.MASKED else ""), style=style).append("  ")
    text.append(f"\nMarks:   p ≥ {SURE}  ").append("0.5 ≤ p < 0.9", style="underline").append("  ")
    return text.append("p < 0.5", style="reverse")


def _marked(parts: list[TokenPart]) -> Text:
    text, masked = Text(), ""
    for part in [*parts, TokenPart("", Role.NAME)]:  # the last one only closes a masked stretch
        if not part.guesses and part.role is Role.MASKED:
            masked += part.text
            continue
        if masked:
            cut = len(masked) - PROMPT
            lead = f"… {cut} characters …\n" if cut > 0 else ""
            text.append(lead + visible(masked[-PROMPT:]), style=STYLES[Role.MASKED])
            masked = ""
        mark = "" if part.p >= SURE else " underline" if part.p >= LIKELY else " reverse"
        text.append(visible(part.text), style=STYLES[part.role] + mark)
    return text


def _sum_line(explained: Explained, subject: Subject) -> Text:
    text = Text(
        f"Loss of this row: {explained.loss:.4f} = {explained.total:.3f} / {explained.supervised} tokens, each -ln p"
    )
    if subject.evaluation:
        whole, tokens = subject.evaluation["eval_loss"], subject.evaluation_tokens
        text.append(
            f"\nOf the run's eval_loss {whole:.4f} (epoch {subject.evaluation['epoch']:g}, {tokens:,} tokens) it makes "
            f"{explained.total:.3f} / {tokens:,} = {explained.total / tokens:.5f}"
        )
    return text


def _roles(explained: Explained) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for column in ("role", "tokens", "sum of losses", "mean", "adds to the row's loss"):
        table.add_column(column, justify="left" if column == "role" else "right")
    for part in explained.roles:
        share = part.adds / explained.loss if explained.loss else 0.0
        table.add_row(
            Text(part.role.name.lower(), style=STYLES[part.role]),
            str(part.tokens),
            f"{part.total:.3f}",
            f"{part.mean:.4f}",
            f"{part.adds:.4f} ({share:.0%})",
        )
    table.add_row("all", str(explained.supervised), f"{explained.total:.3f}", "", f"{explained.loss:.4f}", style="bold")
    return table


def _worst(explained: Explained) -> Table:
    table = Table(title="Worst tokens", title_justify="left", box=SIMPLE_HEAD)
    for column in ("token", "role"):
        table.add_column(column)
    for column in ("p", "loss", "rank"):
        table.add_column(column, justify="right")
    table.add_column("the model's first choice")
    for worst in explained.worst:
        token = Text(_one_line(worst.before), style="dim").append(_one_line(worst.part.text), style="bold")
        if len(worst.part.guesses) > 1:
            token.append(f"  (token {worst.number} of {len(worst.part.guesses)})", style="dim")
        guess = worst.guess
        role = worst.part.role
        table.add_row(
            token,
            Text(role.name.lower(), style=STYLES[role]),
            f"{guess.p:.4f}",
            f"{guess.loss:.3f}",
            str(guess.rank),
            Text(_choice(guess)),
        )
    return table


def _choice(guess: Guess) -> str:
    if guess.rank == 1:
        return "this one"
    return f"{_one_line(guess.choice) or '(part of a character)'}  p {guess.choice_p:.4f}"


def _one_line(text: str) -> str:
    return short(text, CELL).replace("\n", "⏎").replace("\t", "⇥")
