"""What an output is worth to a program: its calls, held to the schemas of the tools that were offered."""

from dataclasses import dataclass
from typing import Any

from data.formats.literals import unwritable
from data.validate import offered, schema_faults
from eval.parse import parse_tool_calls
from eval.parsed import ToolCall
from eval.words import phrase
from tooltune.files import dump_json
from tooltune.words import Language, Phrase, joined


@dataclass(frozen=True)
class CheckedCall(ToolCall):
    """One call, and how it breaks the schemas that were offered; `faults` is empty where it is valid."""

    faults: list[Phrase]

    @property
    def errors(self) -> list[str]:
        return list(map(str, self.faults))

    def line(self, lang: Language) -> str:
        """`name(arg=value, …)` with values as JSON, and the verdict."""
        values = ", ".join(f"{key}={dump_json(value)}" for key, value in self.arguments.items())
        verdict = f"✗ {joined(self.faults).text(lang)}" if self.faults else phrase("call.valid").text(lang)
        return f"{self.name}({values})  {verdict}"


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        calls: those that could be read, repairs included.
        text: what it wrote besides.
        why: why a strict client gets no call although there is an attempt; None where nothing is wrong.
        output: as the model wrote it, special tokens included.
    """

    calls: list[CheckedCall]
    text: str
    why: Phrase | None
    output: str

    @property
    def problem(self) -> str:
        """`why` in English; "" where nothing is wrong."""
        return str(self.why or "")

    @property
    def valid(self) -> bool:
        """Every call can be read strictly and fits its schema; an answer without a call is valid too."""
        return not self.why and not any(call.faults for call in self.calls)

    @property
    def accepted(self) -> list[ToolCall]:
        """The calls that may be carried out: all of a valid answer, else none."""
        return [ToolCall(call.name, call.arguments) for call in self.calls] if self.valid else []

    def lines(self, lang: Language = "en") -> list[str]:
        """The answer as people read it: a call a line, or the text."""
        text = [self.text] if self.text else []
        problem = [f"✗ {self.why.text(lang)}"] if self.why else []
        told = [*(call.line(lang) for call in self.calls), *text, *problem]
        return told or [phrase("answer.empty").text(lang)]

    def to_dict(self) -> dict[str, Any]:
        calls = [{"name": c.name, "arguments": c.arguments, "errors": c.errors} for c in self.calls]
        said = {"calls": calls, "text": self.text, "problem": self.problem, "output": self.output}
        return said | {"valid": self.valid}


def judge(output: str, tools: list[dict[str, Any]], family: str, *, cut: int | None = None) -> Answer:
    """Read an output and hold its calls to the JSON schemas of the tools that were offered.

    Args:
        cut: after how many tokens it was cut off; None: it ended by itself.
    """
    schemas = offered(tools)
    parsed = parse_tool_calls(output, family, tools, cut is not None)
    calls = [CheckedCall(call.name, call.arguments, _faults(call, schemas)) for call in parsed.calls]
    why: Phrase | None = None
    if cut is not None:
        why = phrase("answer.cut", n=cut)
    elif parsed.attempted and not parsed.strict_calls:
        why = phrase("answer.form", problems=", ".join(parsed.problems))
    return Answer(calls, parsed.text, why, output)


def _faults(call: ToolCall, schemas: dict[str, dict[str, Any]]) -> list[Phrase]:
    if call.name not in schemas:
        return [phrase("call.not_offered")]
    if why := unwritable(call.arguments):
        return [why]
    return schema_faults(call.arguments, schemas[call.name])
