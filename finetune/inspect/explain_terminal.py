"""The token view in the terminal: colour says the role, marking how sure the model is."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.render import Role
from finetune.inspect.explained import Explained, Guess, TokenPart
from finetune.inspect.pieces import STYLES
from finetune.inspect.subject import Subject
from finetune.inspect.words import say
from tooltune.page.text import short, visible
from tooltune.words import Language, Phrase, joined

SURE, LIKELY = 0.9, 0.5
"""Probabilities of a part: above the first it is not marked, below the second it is marked strongly."""

PROMPT = 600  # characters of a masked stretch that are shown: its end
CELL = 24  # characters of a token in a table


def to_terminal(explained: Explained, subject: Subject, console: Console, lang: Language = "en") -> None:
    """Print the row with its tokens marked, the sum by role, and the ten worst tokens."""
    console.rule(Text(say("row.trained", row=explained.id, n=explained.supervised).text(lang)), align="left")
    console.print(_legend(lang))
    console.print(_marked(explained.parts, lang))
    console.print()
    console.print(_sum_line(explained, subject).text(lang))
    console.print(_roles(explained, lang))
    console.print(_worst(explained, lang))


def _legend(lang: Language) -> Text:
    text = Text(say("legend").text(lang))
    for role, style in STYLES.items():
        text.append(say(f"legend.{role.name.lower()}").text(lang), style=style).append("  ")
    text.append(f"\n{say('legend.marks').text(lang)}p ≥ {SURE}  ")
    text.append("0.5 ≤ p < 0.9", style="underline").append("  ")
    return text.append("p < 0.5", style="reverse")


def _marked(parts: list[TokenPart], lang: Language) -> Text:
    text, masked = Text(), ""
    for part in [*parts, TokenPart("", Role.NAME)]:  # the last one only closes a masked stretch
        if not part.guesses and part.role is Role.MASKED:
            masked += part.text
            continue
        if masked:
            cut = len(masked) - PROMPT
            lead = f"{say('row.cut', n=cut).text(lang)}\n" if cut > 0 else ""
            text.append(lead + visible(masked[-PROMPT:]), style=STYLES[Role.MASKED])
            masked = ""
        mark = "" if part.p >= SURE else " underline" if part.p >= LIKELY else " reverse"
        text.append(visible(part.text), style=STYLES[part.role] + mark)
    return text


def _sum_line(explained: Explained, subject: Subject) -> Phrase:
    line = say("row.sum", loss=explained.loss, total=explained.total, n=explained.supervised)
    share = subject.share(explained.total)
    return joined([line, share], "\n") if share else line


def _roles(explained: Explained, lang: Language) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for column in ("role", "tokens", "total", "mean", "adds"):
        table.add_column(say(f"roles.{column}").text(lang), justify="left" if column == "role" else "right")
    for part in explained.roles:
        share = part.adds / explained.loss if explained.loss else 0.0
        table.add_row(
            _role(part.role, lang),
            str(part.tokens),
            f"{part.total:.3f}",
            f"{part.mean:.4f}",
            f"{part.adds:.4f} ({share:.0%})",
        )
    whole = say("roles.all").text(lang)
    table.add_row(whole, str(explained.supervised), f"{explained.total:.3f}", "", f"{explained.loss:.4f}", style="bold")
    return table


def _role(role: Role, lang: Language) -> Text:
    return Text(say(f"role.{role.name.lower()}").text(lang), style=STYLES[role])


def _worst(explained: Explained, lang: Language) -> Table:
    title = say("worst.title", n=len(explained.worst)).text(lang)
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column(say("worst.token").text(lang))
    table.add_column(say("roles.role").text(lang))
    for column in ("p", "loss", "rank"):
        table.add_column(say(f"worst.{column}").text(lang), justify="right")
    table.add_column(say("worst.choice").text(lang))
    for worst in explained.worst:
        token = Text(_one_line(worst.before), style="dim").append(_one_line(worst.part.text), style="bold")
        if (of := len(worst.part.guesses)) > 1:
            token.append(f"  ({say('worst.nth', n=worst.number, of=of).text(lang)})", style="dim")
        guess = worst.guess
        table.add_row(
            token,
            _role(worst.part.role, lang),
            f"{guess.p:.4f}",
            f"{guess.loss:.3f}",
            str(guess.rank),
            Text(_choice(guess, lang)),
        )
    return table


def _choice(guess: Guess, lang: Language) -> str:
    if guess.rank == 1:
        return say("worst.this").text(lang)
    return f"{_one_line(guess.choice) or say('worst.partial').text(lang)}  p {guess.choice_p:.4f}"


def _one_line(text: str) -> str:
    return short(text, CELL).replace("\n", "⏎").replace("\t", "⇥")
