"""Constrained decoding: an answer is text, or calls of offered tools whose arguments their schemas allow.

xgrammar (arXiv 2411.15100) tells after every token which tokens may come next. Text is free until it begins a call as
the family writes it; from there on the tool's name and its arguments are held to a grammar, until the call ends.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from data.render import whole_numbers
from eval.formats import families
from eval.formats.render import json_text
from eval.parsed import ToolCall
from tooltune.errors import InputError
from tooltune.files import dump_json

CACHE = 2**29
"""Bytes of compiled grammars that are kept: rows that offer the same tools share one."""

_PLACE = re.compile(r"^\[[\d:]+\] \S+:\d+: ")
"""Time and line of the library's code, which its errors begin with."""
_ARGUMENTS = {"KEY": "VALUE"}
_WRITTEN = {"json": json_text(_ARGUMENTS), "qwen_xml": "<parameter=KEY>\nVALUE\n</parameter>"}
"""These arguments in each of xgrammar's styles that a family here writes."""


class Constraint:
    """Rules out, for the answers to a list of prompts, the tokens that would break a call.

    Args:
        tokenizer: a fast one, whose end token ends an answer.
        vocabulary: how many logits the model gives (`vocabulary_of`).
        family: of the calls.
        tools: those that each prompt offers.

    Raises:
        InputError: xgrammar is not installed, it has no grammar for a schema, or the family's calls are written in a
            form that is not known here.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, family: str, tools: Sequence[list[dict[str, Any]]]) -> None:
        check(family, [*{dump_json(tool): tool for offered in tools for tool in offered}.values()])
        kinds = {dump_json(offered): structural_tag(family, offered) for offered in tools}
        self._tags = [kinds[dump_json(offered)] for offered in tools]
        self._compiler = _compiler(tokenizer, vocabulary, tokenizer.eos_token_id)
        self._matchers: dict[int, tuple[Any, int]] = {}  # of the answers being written, with the tokens they have read

    def __call__(self, logits: Any, prompts: Sequence[int], answers: Sequence[list[int]]) -> None:
        """Set the logits of tokens that may not come next to minus infinity, in place.

        Args:
            logits: [answers, vocabulary].
            prompts: the number of each answer's prompt; an empty answer begins anew.
        """
        xgrammar = library()
        pairs = zip(prompts, answers, strict=True)
        self._matchers = {prompt: self._after(prompt, answer) for prompt, answer in pairs}
        mask = xgrammar.allocate_token_bitmask(len(prompts), logits.shape[-1])
        bound = [
            row
            for row, (matcher, _) in enumerate(self._matchers.values())
            if not matcher.is_terminated() and matcher.fill_next_token_bitmask(mask, row)
        ]
        if bound:
            xgrammar.apply_token_bitmask_inplace(logits, mask.to(logits.device), indices=bound)

    def _after(self, prompt: int, answer: list[int]) -> tuple[Any, int]:
        """The matcher that has read an answer, and its length; what stands behind the end token is padding."""
        if answer:
            matcher, read = self._matchers[prompt]
        else:
            matcher, read = library().GrammarMatcher(self._compiler.compile_structural_tag(self._tags[prompt])), 0
        for token in answer[read:]:
            if not matcher.is_terminated():
                matcher.accept_token(token)
        return matcher, len(answer)


@lru_cache(maxsize=1)
def _compiler(tokenizer: Any, vocabulary: int, end: int) -> Any:
    """Kept, with its grammars: reading a vocabulary of 262,144 takes seconds."""
    info = library().TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary, stop_token_ids=[end])
    return library().GrammarCompiler(info, cache_limit_bytes=CACHE)


def vocabulary_of(model: Any) -> int:
    """How many logits a model gives; often more than its tokenizer has tokens."""
    return int(model.config.get_text_config().vocab_size)


def library() -> Any:
    """The package xgrammar.

    Raises:
        InputError: it is not installed.
    """
    try:
        import xgrammar
    except ModuleNotFoundError:
        raise InputError(
            "xgrammar is not installed", where="--constrained", fix='pip install -e ".[constrained]"'
        ) from None
    return xgrammar


def check(family: str, tools: list[dict[str, Any]]) -> None:
    """See that every tool has a grammar.

    Raises:
        InputError: the first tool that has none, and why.
    """
    for tool in tools:
        try:
            library().Grammar.from_structural_tag(structural_tag(family, [tool]))
        except RuntimeError as e:
            raise InputError(
                f"the schema of {tool['function']['name']} has no grammar: {_PLACE.sub('', str(e))}",
                where="--constrained",
                fix="leave --constrained out, or write the schema in another way",
            ) from None


def structural_tag(family: str, tools: list[dict[str, Any]]) -> dict[str, Any]:
    """xgrammar's description of an answer: free text, and calls of these tools.

    Raises:
        InputError: the family's calls are written in a form that is not known here.
    """
    if not tools:
        return {"type": "structural_tag", "format": {"type": "any_text"}}
    tags, triggers = [], set()
    for tool in tools:
        function = tool["function"]
        begin, style, ends = _around(family, function["name"])
        schema = whole_numbers(function.get("parameters") or {"type": "object", "properties": {}})  # as it is trained
        content = {"type": "json_schema", "json_schema": schema, "style": style, "max_whitespace_cnt": 1}
        tags.append({"type": "tag", "begin": begin, "content": content, "end": ends})
        triggers.add(_trigger(family, begin, function["name"]))
    marks = [mark for mark in families()[family].openers if not any(mark in trigger for trigger in triggers)]
    free = {"type": "triggered_tags", "triggers": sorted(triggers), "tags": tags, "excludes": marks}
    return {"type": "structural_tag", "format": free}


def _around(family: str, name: str) -> tuple[str, str, list[str]]:
    """What a family writes before a call's arguments, their style, and what may stand behind them."""
    call = ToolCall(name, _ARGUMENTS)
    written = families()[family].render([call])
    style = next((style for style, text in _WRITTEN.items() if text in written), None)
    if style is None or not _one_by_one(family, call):
        raise _unknown(family)
    begin, _, end = written.partition(_WRITTEN[style])
    return begin, style, [end] if style == "json" else [end, end.lstrip()]  # tags of no parameter end a line earlier


def _one_by_one(family: str, call: ToolCall) -> bool:
    """Whether several calls are written one behind another, each as if it were alone; or a turn has one at most."""
    render = families()[family].render
    try:
        return render([call, call]).startswith(render([call]))
    except InputError:
        return True


def _trigger(family: str, begin: str, name: str) -> str:
    """What no text can hold, since it begins a call: the family's mark, else its first line up to the name."""
    mark = next((mark for mark in families()[family].openers if begin.startswith(mark)), None)
    trigger = mark or begin[: begin.index(name)].split("\n")[0]
    if not trigger:
        raise _unknown(family)
    return trigger


def _unknown(family: str) -> InputError:
    return InputError(
        f"there is no grammar for calls as {family} writes them",
        where="--constrained",
        fix="leave it out, or train with data.template=project",
    )
