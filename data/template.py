"""Chat templates: the tokenizer's own, or the project's Hermes one.

Whichever is used is saved with the adapter, so a server that calls `apply_chat_template(messages, tools=…)` builds the
very prompt that was trained, begin token and signatures included. That is why signatures are written in Jinja
(templates/signature.jinja), for a server has nothing else; `signature` is the same text in Python.
"""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tooltune.errors import InputError
from tooltune.words import Phrase

TEMPLATES = Path(__file__).parent / "templates"
ToolsStyle = Literal["json", "signature"]
SECONDS = 10
"""Of processor time for one conversation; the longest take hundredths."""


@dataclass(frozen=True)
class Template:
    """A chat template with the family of tool-call syntax that it writes.

    Attributes:
        source: the Jinja text.
        family: the parser family (see `eval.formats`), for example "hermes".
        origin: "own" (the tokenizer's) or "project".
        reason: why this one was chosen, one sentence for the terminal.
    """

    source: str
    family: str
    origin: Literal["own", "project"]
    reason: Phrase | str = ""


def project_template(
    tokenizer: Any, style: ToolsStyle, reason: Phrase | str = "", *, details: bool = False
) -> Template:
    """The project's Hermes template in one of its two styles, with the tokenizer's own turn tokens.

    `signature` writes a tool as one typed line (`f(x: int, y?: num) # what it does`), `json` as its JSON schema. Turns
    are ChatML's, or Gemma's where the vocabulary has those: a marker of one token is read as one and learnt as one.
    Where the vocabulary has neither, a turn ends with the tokenizer's own end token.

    Args:
        details: signatures also have defaults (`n?: int = 5`) and, on lines of their own, the parameters' descriptions.

    Raises:
        InputError: no token can end a turn.
    """
    vocabulary = tokenizer.get_vocab()
    if "<start_of_turn>" in vocabulary:
        start, end, assistant = "<start_of_turn>", "<end_of_turn>", "model"
    else:
        end = "<|im_end|>" if "<|im_end|>" in vocabulary else tokenizer.eos_token
        start, assistant = "<|im_start|>", "assistant"
    if end is None:
        raise InputError(
            "the tokenizer has no end token: nothing could end an answer",
            where="model.name",
            fix='name it in tokenizer_config.json ("eos_token"), or take a model tuned to follow instructions',
        )
    marks = {
        "tools_style": style,
        "bos": begin_text(tokenizer),
        "turn_start": start,
        "turn_end": end,
        "assistant": assistant,
    }
    head = "".join(f'{{%- set {name} = "{mark}" -%}}' for name, mark in marks.items())
    head += f"{{%- set details = {json.dumps(details)} -%}}"
    parts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in ("signature.jinja", "hermes.jinja")]
    return Template("\n".join([head, *parts]), "hermes", "project", reason)


def signature(function: dict[str, Any], *, details: bool = False) -> str:
    """A function of a tool's schema (name, description, parameters) as the project's template writes it, one line.

    Enums, constants and unions are written as choices (`a|b|null`), references and `allOf` are followed, and a
    reference inside itself is written as its name.

    Args:
        details: with defaults, and a line more for each parameter that has a description.

    Raises:
        InputError: the schema is none.
    """
    try:
        with bounded():
            return str(_macros().signature(function, details))
    except raised() as e:
        raise InputError(f"the schema of {function.get('name')!r} cannot be written as a signature: {e}") from e


@cache
def _macros() -> Any:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # As transformers compiles a chat template; prompts are no HTML.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string((TEMPLATES / "signature.jinja").read_text(encoding="utf-8")).module


def begin_text(tokenizer: Any) -> str:
    """What the tokenizer itself puts before a text, for most nothing or its begin token: a prompt must begin with it,
    once."""
    bare = tokenizer(["x"], add_special_tokens=False)["input_ids"][0]
    whole = tokenizer(["x"])["input_ids"][0]
    before = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
    return "".join(tokenizer.convert_ids_to_tokens(whole[:before])) if before else ""


def apply(
    template: Template,
    tokenizer: Any,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    *,
    generation_prompt: bool,
    where: str = "",
) -> str:
    """The text of a conversation. Thinking is switched off where a template has the switch, in training and after.

    Args:
        where: whose conversation it is, for the error: a row's id.

    Raises:
        InputError: the template raises on it, or comes to no end.
    """
    try:
        with bounded():
            text: str = tokenizer.apply_chat_template(
                messages,
                tools=tools or None,
                chat_template=template.source,
                tokenize=False,
                add_generation_prompt=generation_prompt,
                enable_thinking=False,
            )
    except raised() as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise InputError(
            f"the {whose(template)} chat template cannot write this row: {reason}",
            where=where,
            fix=way_out(template),
        ) from e
    return text


def raised() -> tuple[type[Exception], ...]:
    """What a template raises. It is a program: what its author did not think of makes it raise whatever Python does."""
    from jinja2 import TemplateError

    python = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)
    return (TemplateError, *python, TimeoutError)


@contextmanager
def bounded() -> Iterator[None]:
    """Stop a template that takes `SECONDS` of processor time: jinja2's sandbox keeps it from files and commands, not
    from loops. Where signals cannot do that, on Windows and beside the main thread, nothing is stopped.

    Raises:
        TimeoutError: it took so long.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"it takes more than {SECONDS} seconds")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def whose(template: Template) -> str:
    """Whose template it is, for a message."""
    return "model's own" if template.origin == "own" else "project's"


def way_out(template: Template) -> str:
    """What to do about a row that a template cannot write."""
    if template.origin == "own":
        return "set data.template=project to use this project's template"
    return "correct the row: `python -m data check FILE` shows what is wrong with it"
