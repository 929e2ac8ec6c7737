"""What to change when a plan is too large, and what each change would save."""

from dataclasses import dataclass, replace

from finetune.memory import terms
from finetune.memory.fit import with_batch
from finetune.memory.overheads import MIB, Verdict
from finetune.memory.plan import Plan, make_plan
from finetune.memory.setup import Setup
from finetune.memory.shapes import KNOWN
from finetune.memory.words import said
from tooltune.words import Phrase

HUB = {
    "Qwen2.5": ("Qwen", "-Instruct"),
    "Qwen3": ("Qwen", ""),
    "Llama": ("meta-llama", "-Instruct"),
    "SmolLM2": ("HuggingFaceTB", "-Instruct"),
    "gemma": ("google", "-it"),
}
"""Owner and ending of the instruction-tuned models, by how their names begin."""
WORTH = 8 * MIB
"""Smaller savings are not worth a line."""


@dataclass(frozen=True)
class Advice:
    """One change.

    Attributes:
        what: in words.
        how: what to type; empty where the library does it by itself.
        saves: bytes of the peak.
        verdict: with this change alone.
    """

    what: Phrase
    how: str
    saves: int
    verdict: Verdict


def advise(plan: Plan, budget: float) -> list[Advice]:
    """Every single change that lowers the peak, those that cost nothing in quality first, then by what they save."""
    found = []
    for rank, what, how, changed in _changes(plan.setup, budget, plan):
        other = make_plan(changed, plan.calibration)
        saves = plan.allocated - other.allocated
        if saves >= WORTH:
            found.append((rank, Advice(what, how, saves, other.verdict(budget))))
    return [advice for _, advice in sorted(found, key=lambda pair: (pair[0], -pair[1].saves))]


def _changes(s: Setup, budget: float, plan: Plan) -> list[tuple[int, Phrase, str, Setup]]:
    """(rank, what, how, the changed set-up); rank 0 same result, 1 slower, 2 another result."""
    changes: list[tuple[int, Phrase, str, Setup]] = []
    if s.engine != "unsloth":
        changes.append((0, said("advice.unsloth"), "model.backend=unsloth", replace(s, engine="unsloth")))
    if s.engine == "full":
        changes.append((0, said("advice.trl"), "model.backend=hf", replace(s, engine="trl")))
    if s.optimizer == "adamw_torch":
        changes.append((0, said("advice.optimizer"), "train.optimizer=adamw_8bit", replace(s, optimizer="adamw_8bit")))
    if s.eager:
        changes.append((0, said("advice.attention"), "model.attention=sdpa", replace(s, eager=False)))
    if s.micro_batch > 1:
        one = with_batch(s, 1)
        how = f"train.micro_batch=1 train.accumulation={one.accumulation}"
        changes.append((0, said("advice.one_row"), how, one))
    if s.packed and s.tokens > s.length:
        fewer = max(s.length, s.tokens // 2)
        how = f"train.pass_tokens={fewer}"
        changes.append((0, said("advice.pass"), how, replace(s, pass_tokens=fewer)))
    if s.eval_batch > 1:
        changes.append((0, said("advice.eval_batch"), "eval.micro_batch=1", replace(s, eval_batch=1)))
    if s.generate_batch > 1 and s.new_tokens:
        change = replace(s, generate_batch=max(1, s.generate_batch // 4))
        how = f"eval.generate_batch={change.generate_batch}"
        changes.append((0, said("advice.generate_batch"), how, change))
    if s.checkpointing == "off":
        changes.append((1, said("advice.recompute"), "train.gradient_checkpointing=on", replace(s, checkpointing="on")))
    if s.checkpointing != "unsloth" and s.engine == "unsloth":
        how = "train.gradient_checkpointing=unsloth"
        changes.append((1, said("advice.layer_inputs"), how, replace(s, checkpointing="unsloth")))
    if s.engine == "unsloth" and not s.shape.tied and not s.offload_embedding:
        what = said("advice.embedding")
        changes.append((1, what, "memory.offload_embedding=true", replace(s, offload_embedding=True)))
    if s.engine == "unsloth":
        changes += _swaps(s, budget, plan)
    if not s.four_bit:
        changes.append((2, said("advice.four_bit"), "model.load_in_4bit=true", replace(s, four_bit=True)))
    for length in (s.length * 3 // 4, s.length // 2):
        changes.append(
            (2, said("advice.length", length=length), f"data.max_length={length}", replace(s, length=length))
        )
    if s.r > 4:
        changes.append(
            (2, said("advice.rank", r=s.r // 2), f"lora.r={s.r // 2} lora.alpha={s.r}", replace(s, r=s.r // 2))
        )
    return changes + _smaller(s)


def _swaps(s: Setup, budget: float, plan: Plan) -> list[tuple[int, Phrase, str, Setup]]:
    """Block swap, with the fewest layers that make the gate fit, or else all but one. Nothing when it fits already."""
    if plan.gate <= budget or s.shape.layers < 2:
        return []
    base = replace(s, offload_embedding=not s.shape.tied)
    for swapped in range(min(4, s.shape.layers - 1), s.shape.layers):
        changed = replace(base, swapped=swapped)
        if make_plan(changed, plan.calibration).gate <= budget:
            break
    what = said("advice.swap", swapped=changed.swapped, layers=s.shape.layers)
    embedding = "memory.offload_embedding=true " if changed.offload_embedding else ""
    return [(1, what, f"{embedding}memory.offload_layers={changed.swapped}", changed)]


def _hub_name(name: str) -> str:
    """A name of the table as the hub has it."""
    owner, ending = next(pair for start, pair in HUB.items() if name.startswith(start))
    return f"{owner}/{name}{ending}"


def _smaller(s: Setup) -> list[tuple[int, Phrase, str, Setup]]:
    """The next smaller model of the same family in the table."""
    own = terms.linear_weights(replace(s, swapped=0))
    smaller = [
        (name, shape)
        for name, shape in KNOWN.items()
        if shape.family.removesuffix("_text") == s.shape.family.removesuffix("_text")
        and terms.linear_weights(replace(s, shape=shape, swapped=0)) < own
    ]
    if not smaller:
        return []
    name, shape = max(smaller, key=lambda pair: pair[1].parameters)
    return [(2, said("advice.smaller", name=name), "model.name=" + _hub_name(name), replace(s, shape=shape))]
