"""`python -m finetune chat`: reads requests and commands, shows answers, what they did, and what changed."""

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.words import phrase
from tooltune.cli import DEBUG, LANG, BaseModel, Debug, TerminalLang, errors_as_lines
from tooltune.console import input_lines
from tooltune.errors import InputError, JobFailed
from tooltune.files import dump_json
from tooltune.words import Language, Phrase, in_language

if TYPE_CHECKING:
    from finetune.chat.dialogue import Chat, ChatStep
    from finetune.chat.slash import View


def chat_command(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    row: Annotated[str | None, typer.Option(help="begin with the system turn, tools and state of this row")] = None,
    tools: Annotated[Path | None, typer.Option(help="offer the tools of this file, a JSON list of schemas")] = None,
    execute: Annotated[bool, typer.Option(help="carry the calls out, where the rows have a domain")] = True,
    llama: Annotated[
        bool | None, typer.Option(help="answer through llama.cpp [where it is installed and has the run's GGUF]")
    ] = None,
    model: BaseModel = None,
    constrained: Annotated[
        bool,
        typer.Option(help="hold calls to the tools' schemas as they are written (extra `constrained`; no llama.cpp)"),
    ] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Type requests at a run's model: its calls are checked, and carried out on the data's domain. /help in it."""
    with errors_as_lines(debug):
        from data.domain import load_domain
        from finetune.asked import asking
        from finetune.chat.dialogue import Chat, Habits, domain_for
        from finetune.chat.slash import View
        from finetune.llama_answers import has_gguf
        from tooltune.run import find_run

        if llama and constrained:
            raise InputError("llama.cpp writes without the schemas", where="--constrained", fix="leave --llama out")
        folder = find_run(run)
        llama = has_gguf(folder) and not constrained if llama is None else llama
        how = {"llama": llama, "constrained": constrained}
        with asking(folder, row, tools, base=model, lang=lang, **how) as asked:
            chosen = load_domain(asked.model.trained.config.data.domain)
            domain = domain_for(asked.context.row, chosen) if execute and not tools else None
            chat = Chat(asked.answer, asked.context.row, Habits.of(asked.splits["train"]), domain)
            asked.say(phrase("chat.executed" if domain else "chat.shown_only"))

            interactive = sys.stdin.isatty()
            if interactive:
                asked.say(phrase("chat.begin"))

            def show(text: str, end: str = "\n") -> None:
                asked.console.out(text, end=end, highlight=False)

            if state := chat.state_lines():
                show("\n".join(state))
            lines = typed(chat, asked.lang, show, interactive=interactive)
            talk(chat, View(lang=asked.lang), lines, show, interactive=interactive)


def talk(chat: "Chat", view: "View", lines: Iterator[str], show: Callable[[str], None], *, interactive: bool) -> None:
    """Answer every line, a request or a command, until there is none left or it says to quit. Ctrl-C stops an answer.

    Raises:
        InputError, JobFailed, KeyboardInterrupt: a command is wrong, a request has no answer or is stopped, and nobody
            is there to type another.
    """
    from finetune.chat.slash import QUIT, obey
    from tooltune.page.text import visible

    def tell(lines: Iterable[Phrase | str]) -> None:
        if text := "\n".join(in_language(line, view.lang) for line in lines):
            show(visible(text))

    for line in lines:
        before, requests = chat.state_lines(), len(chat.exchanges)
        if line == QUIT:
            return
        try:
            if line.startswith("/"):
                tell(obey(chat, view, line))
            else:
                for step in chat.request(line):
                    tell(_told(step, view))
        except (InputError, JobFailed) as e:
            if not interactive:
                raise
            tell(["error: " + "\n".join(e.lines())])
        except KeyboardInterrupt:
            if not interactive:
                raise
            tell([phrase("chat.stopped" if len(chat.exchanges) == requests else "chat.stopped_later")])
        tell(f"  {line}" for line in difflib.ndiff(before, chat.state_lines()) if line[0] in "+-")


def typed(chat: "Chat", lang: Language, show: Callable[..., None], *, interactive: bool) -> Iterator[str]:
    """The lines of standard input that hold something, with a prompt; those that nobody sees typed are shown.

    Ctrl-C at the prompt ends them; where requests are not saved, only the second one.
    """
    told = False
    piped = input_lines()
    while True:
        try:
            if interactive:
                show("> ", end="")
            line = sys.stdin.readline() if interactive else next(piped, "")
        except KeyboardInterrupt:
            if not interactive:
                raise
            show("")
            if told or not chat.unsaved:
                return
            show(phrase("chat.unsaved", n=chat.unsaved).text(lang))
            told = True
            continue
        told = False
        if not line:
            return
        if line := line.strip():
            if not interactive:
                show(f"> {line}")
            yield line


def _told(step: "ChatStep", view: "View") -> Iterator[Phrase | str]:
    answer = step.answer
    if view.raw:
        yield phrase("chat.raw", text=answer.output)
    yield from answer.lines(view.lang)
    yield from (f"  → {dump_json(result)}" for result in step.results)
    if not answer.valid:
        yield phrase("chat.refused")
