"""Chat templates: the tokenizer's own, or the project's Hermes one.

Whichever is used is saved with the adapter, so a server that calls `apply_chat_template(messages, tools=…)` builds the
very prompt that was trained, signatures included.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ToolsStyle = Literal["json", "signature"]


@dataclass(frozen=True)
class Template:
    """A chat template with the family of tool-call syntax that it writes.

    Attributes:
        source: the Jinja text.
        family: the parser family (see `eval.formats`), for example "hermes".
        origin: "own" (the tokenizer's) or "project".
        reason: why this one was chosen, one sentence for the terminal and the manifest.
    """

    source: str
    family: str
    origin: Literal["own", "project"]
    reason: str = ""


def project_template(tokenizer: Any, style: ToolsStyle, reason: str = "") -> Template:
    """The project's Hermes template in one of its two styles, with the tokenizer's own turn tokens.

    `signature` writes a tool as one typed line (`f(x: int, y?: num) # what it does`), `json` as its JSON schema. Turns
    are ChatML's, or Gemma's where the vocabulary has those: a marker of one token is read as one and learnt as one.
    Where the vocabulary has neither, a turn ends with the tokenizer's own end token.
    """
    vocabulary = tokenizer.get_vocab()
    if "<start_of_turn>" in vocabulary:
        start, end, assistant = "<start_of_turn>", "<end_of_turn>", "model"
    else:
        end = "<|im_end|>" if "<|im_end|>" in vocabulary else tokenizer.eos_token
        start, assistant = "<|im_start|>", "assistant"
    marks = {
        "tools_style": style,
        "bos": tokenizer.bos_token if writes_bos(tokenizer) else "",
        "turn_start": start,
        "turn_end": end,
        "assistant": assistant,
    }
    head = "".join(f'{{%- set {name} = "{mark}" -%}}' for name, mark in marks.items())
    body = (Path(__file__).parent / "templates" / "hermes.jinja").read_text(encoding="utf-8")
    return Template(head + "\n" + body, "hermes", "project", reason)


def writes_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts its begin token before a text: then a prompt must begin with it, once."""
    return tokenizer.bos_token_id is not None and tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id]


def apply(
    template: Template,
    tokenizer: Any,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    *,
    generation_prompt: bool,
) -> str:
    """The text of a conversation. Thinking is switched off where a template has the switch, in training and after."""
    return tokenizer.apply_chat_template(
        messages,
        tools=tools or None,
        chat_template=template.source,
        tokenize=False,
        add_generation_prompt=generation_prompt,
        enable_thinking=False,
    )
