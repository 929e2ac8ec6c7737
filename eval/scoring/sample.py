"""One sample: what was asked, what was right, what came out; and the verdict on it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from data.record import Record
from data.validate import offered
from eval.parsed import Parsed, ToolCall
from eval.scoring.agreement import Leaves, count_arguments
from eval.scoring.faults import find_faults
from eval.scoring.gold import GoldCall, prune_call, read_gold, spelled_out
from eval.scoring.grounding import count_ungrounded, read_evidence
from eval.scoring.match import Pair, match_calls
from eval.scoring.schema import FREE, Place, parameters_place
from tooltune.files import dump_json

NONE, EXTRA, NEITHER = "(none)", "(extra)", "(neither)"
"""Stand for a tool's name in the confusion: no call, due or made; a call beyond those that were due; neither a call
that can be read nor an answer in words."""

SHAPE_PROBLEMS = frozenset(
    {
        "not_an_object",
        "ambiguous_key",
        "fused_calls",
        "no_name",
        "arguments_elsewhere",
        "arguments_not_object",
        "string_arguments",
    }
)
"""Words in `Parsed.problems` for payloads that may be strict JSON but have no string name or no object arguments."""


@dataclass
class Sample:
    """One prompt with its right answer and the output to score.

    Attributes:
        id: unique among the samples of one score.
        gold: the right calls, `[{"name", "arguments"}]`; empty when the right answer is text. `gold.py` tells how
            alternatives are written.
        tools: the OpenAI function schemas offered in the prompt.
        output: the raw text that the model generated.
        truncated: the generation ended without the end token.
        meta: what is known about the row: phenomena, bucket, lang, acceptable, …
        prompt: the text of the turns before the answer, for the check of ungrounded values; empty: not checked.
        parsed: the reading of `output` if there is one already; otherwise `score` parses it.
    """

    id: str
    gold: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    output: str = ""
    truncated: bool = False
    meta: dict[str, Any] = field(default_factory=dict)
    prompt: str = ""
    parsed: Parsed | None = None

    @classmethod
    def from_record(cls, record: Record, output: str, *, truncated: bool = False) -> "Sample":
        """The record's last assistant turn as gold, the turns before it as prompt."""
        return cls(record.id, record.gold, record.tools, output, truncated, record.meta, prompt_text(record.prompt))


@dataclass(frozen=True)
class SampleReading:
    """A sample under one reading of its output, strict or repaired.

    Attributes:
        tool_name: the multiset of names is gold's; without gold calls: the model answered in words, with no call and
            no attempt.
        exact_match: all calls equal gold's, nothing more; without gold calls: as above.
        name_hits: gold calls paired with a call of the same name.
        equal_calls: those of them whose parameters are all equal, none extra.
        leaves: agreement over (call, path, value); calls without a partner of their name included.
    """

    tool_name: bool
    exact_match: bool
    made: int
    name_hits: int
    equal_calls: int
    leaves: Leaves


@dataclass(frozen=True)
class SampleScore:
    """The verdict on one sample. Counts and lists are of the repaired reading unless said otherwise.

    Attributes:
        strict, repaired: the two readings.
        attempted: the output tried to call.
        silent: neither a call nor an attempt, and no words either.
        json_valid: there is a payload, and every one is strict JSON with a string name and object arguments.
        truncated, text_outside: the output was cut; text stands beside a call or an attempt.
        unknown_tools: names called that were not offered.
        unknown_arguments: paths, `tool: path`, that neither the called tool's schema knows nor a gold call of it has.
        enum_violation … coerced_integer: places in the arguments, see `faults.Faults`.
        ungrounded: leaves that nothing supports, see `grounding`; None without a prompt text or without a call.
        extra_calls, missed_calls: calls above and below gold's number, where gold has a call.
        order_differs: an exact match that calls its tools in another order than gold (not a fault).
        confusion: (gold name, called name) for each pair; NONE, EXTRA, NEITHER where one side is missing. A sample
            without gold calls has NONE as gold once.
        slices: the slices the sample belongs to: kind → names.
    """

    id: str
    gold: list[str]
    strict: SampleReading
    repaired: SampleReading
    attempted: bool
    silent: bool
    json_valid: bool
    truncated: bool
    text_outside: bool
    unknown_tools: list[str]
    unknown_arguments: list[str]
    enum_violation: int
    wrong_type: int
    missing_required: int
    coerced_integer: int
    ungrounded: int | None
    extra_calls: int
    missed_calls: int
    order_differs: bool
    confusion: list[list[str]]
    slices: dict[str, list[str]]

    @property
    def hallucinated(self) -> bool:
        """A tool that was not offered, or an argument that neither its tool's schema nor gold knows."""
        return bool(self.unknown_tools or self.unknown_arguments)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def score_sample(sample: Sample, parsed: Parsed) -> SampleScore:
    """Judge one output against its gold calls and the tools it was offered.

    Raises:
        InputError: the sample's gold, tools or `meta.acceptable` have not the documented shape. Whatever the model
            wrote raises nothing.
    """
    gold = read_gold(sample.gold, sample.meta.get("acceptable"), where=sample.id)
    schemas = {name: parameters_place(p) for name, p in offered(sample.tools, where=sample.id).items()}
    attempted = parsed.attempted or bool(parsed.calls)
    declined = not attempted and bool(parsed.text.strip())
    calls = [prune_call(call) for call in parsed.calls]
    pairs = match_calls(gold, calls, schemas)
    repaired = _read(gold, calls, pairs, declined, schemas)
    strict = repaired if parsed.strict_calls else _read(gold, [], match_calls(gold, [], schemas), declined, schemas)
    faults = [find_faults(call.arguments, schemas[call.name]) for call in calls if call.name in schemas]
    names = [call.name for call in calls if call.name in schemas]
    right = _unknown(gold, schemas) if any(f.unknown for f in faults) else set()
    surplus = len(calls) - len(gold)
    return SampleScore(
        id=sample.id,
        gold=[call.name for call in gold],
        strict=strict,
        repaired=repaired,
        attempted=attempted,
        silent=not attempted and not declined,
        json_valid=bool(calls) and parsed.json_valid and not SHAPE_PROBLEMS.intersection(parsed.problems),
        truncated=parsed.truncated or sample.truncated,
        text_outside=attempted and bool(parsed.text.strip()),
        unknown_tools=[writable_name(call.name) for call in calls if call.name not in schemas],
        unknown_arguments=[
            writable_name(f"{n}: {path}")
            for n, f in zip(names, faults, strict=True)
            for path in f.unknown
            if (n, path) not in right
        ],
        enum_violation=sum(f.enum_violation for f in faults),
        wrong_type=sum(f.wrong_type for f in faults),
        missing_required=sum(f.missing_required for f in faults),
        coerced_integer=sum(f.coerced_integer for f in faults),
        ungrounded=_ungrounded(sample, gold, calls, schemas),
        extra_calls=max(0, surplus) if gold else 0,
        missed_calls=max(0, -surplus),
        order_differs=repaired.exact_match and [c.name for c in calls] != [g.name for g in gold],
        confusion=_confusion(pairs, NONE if declined or calls else NEITHER),
        slices=_slices(sample, gold),
    )


def prompt_text(messages: Sequence[dict[str, Any]]) -> str:
    """The words of a conversation: contents, and the arguments of earlier calls."""
    parts: list[str] = []
    for message in messages:
        parts.append(str(message.get("content") or ""))
        parts += [dump_json(call["function"]["arguments"]) for call in message.get("tool_calls") or []]
    return "\n".join(parts)


def writable_name(name: str, limit: int = 80) -> str:
    """A model's word as it can be written to a file: cut to `limit`, lone surrogates escaped."""
    cut = name if len(name) <= limit else name[: limit - 1] + "…"
    return cut.encode("utf-8", "backslashreplace").decode("utf-8")


def _read(
    gold: list[GoldCall], calls: list[ToolCall], pairs: list[Pair], declined: bool, schemas: dict[str, Place]
) -> SampleReading:
    leaves = Leaves()
    for pair in pairs:
        if pair.same_name:
            leaves += pair.leaves
            continue
        if pair.got:
            leaves += Leaves(got=count_arguments(pair.got.arguments, schemas.get(pair.got.name, FREE)))
        if pair.gold:
            leaves += Leaves(wanted=count_arguments(pair.gold.arguments, schemas.get(pair.gold.name, FREE)))
    equal_calls = sum(pair.equal for pair in pairs)
    return SampleReading(
        tool_name=Counter(c.name for c in calls) == Counter(g.name for g in gold) if gold else declined,
        exact_match=equal_calls == len(gold) == len(calls) if gold else declined,
        made=len(calls),
        name_hits=sum(pair.same_name for pair in pairs),
        equal_calls=equal_calls,
        leaves=leaves,
    )


def _unknown(gold: list[GoldCall], schemas: dict[str, Place]) -> set[tuple[str, str]]:
    """What gold calls have that their tools' schemas do not know: a right call is no hallucination."""
    calls = [(call.name, given) for call in gold if call.name in schemas for given in spelled_out(call)]
    return {(name, path) for name, given in calls for path in find_faults(given, schemas[name]).unknown}


def _ungrounded(sample: Sample, gold: list[GoldCall], calls: list[ToolCall], schemas: dict[str, Place]) -> int | None:
    if not sample.prompt or not calls:
        return None
    unknown = parameters_place({})
    evidence = read_evidence(sample.prompt, [(g.arguments, schemas.get(g.name, unknown)) for g in gold])
    return sum(count_ungrounded(c.arguments, schemas.get(c.name, unknown), evidence) for c in calls)


def _confusion(pairs: list[Pair], nothing: str) -> list[list[str]]:
    named = [[p.gold.name if p.gold else EXTRA, writable_name(p.got.name) if p.got else nothing] for p in pairs]
    if not any(pair.gold for pair in pairs):
        named[:1] = [[NONE, named[0][1] if named else nothing]]
    return named


def _slices(sample: Sample, gold: list[GoldCall]) -> dict[str, list[str]]:
    """The slices of a sample; a kind that its meta does not tell is absent."""
    slices = {"tool": sorted({g.name for g in gold}) or [NONE]}
    phenomena = sample.meta.get("phenomena")
    if isinstance(phenomena, list) and phenomena:
        slices["phenomenon"] = sorted({str(p) for p in phenomena})
    for key in ("bucket", "lang"):
        if sample.meta.get(key) is not None:
            slices[key] = [str(sample.meta[key])]
    return slices
