"""Chat templates: the tokenizer's own, or the project's ChatML/Hermes one.

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
    """The project's ChatML/Hermes template in one of its two styles.

    `signature` writes a tool as one typed line (`f(x: int, y?: num) # what it does`), `json` as its JSON schema.
    A turn ends with `<|im_end|>` where the vocabulary has it, else with the tokenizer's own end token.
    """
    turn_end = "<|im_end|>" if "<|im_end|>" in tokenizer.get_vocab() else tokenizer.eos_token
    head = f'{{%- set tools_style = "{style}" -%}}{{%- set turn_end = "{turn_end}" -%}}\n'
    body = (Path(__file__).parent / "templates" / "hermes.jinja").read_text(encoding="utf-8")
    return Template(head + body, "hermes", "project", reason)


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
