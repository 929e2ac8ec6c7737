"""What a recipe needs from its first step to a model that can be given away: training, evaluation, export."""

from dataclasses import dataclass

from eval.memory import ROOM, WASTE, answering
from finetune.memory import activations, inference, terms
from finetune.memory.overheads import CONTEXT, GIB, UNCALIBRATED, Calibration, Verdict, to_load
from finetune.memory.plan import Plan, make_plan
from finetune.memory.setup import Engine, setup_from
from finetune.memory.shapes import shape_of
from tooltune.config import load_config, preset_names


@dataclass(frozen=True)
class Stage:
    """One job of a recipe, in a process of its own.

    Attributes:
        gate: bytes of the card that must be free before it starts.
        verdict: for the budget.
        host: bytes of main memory that it takes because the card does not hold them.
        disk: bytes that it leaves on the disk; adapters and answers are not worth counting.
        batch: prompts that an evaluation answers at a time; 0 for the other jobs.
    """

    name: str
    gate: int
    verdict: Verdict
    host: int = 0
    disk: int = 0
    batch: int = 0


def stages(plan: Plan, budget: float) -> list[Stage]:
    """The three jobs of a plan's set-up on a card of `budget` bytes."""
    return [
        Stage("training", plan.gate, plan.verdict(budget), plan.in_host),
        _evaluation(plan, budget),
        Stage("export", 0, "fits", inference.merge_on_host(plan.setup), merged(plan)),
    ]


def merged(plan: Plan) -> int:
    """The adapter merged into 16-bit weights, as a checkpoint: 2 bytes a parameter."""
    return 2 * plan.setup.shape.parameters


def _evaluation(plan: Plan, budget: float) -> Stage:
    """`python -m eval run`: base model, adapter, and as many prompts as fit, each as long as the longest row.

    Weights wait in main memory as they did in training. Must be free: what one prompt takes, with the evaluation's own
    margin (`eval.memory.rows_that_fit`).
    """
    s = plan.setup
    answers = inference.later_answers(s, budget, plan.calibration)
    weights = terms.linear_weights(s) + terms.embeddings(s) + terms.small_weights(s) + terms.adapter(s)
    one = answering(s.shape, 1, s.length, s.answer, element=s.element, four_bit=s.four_bit)
    gate = int(CONTEXT + plan.calibration.ratio * weights + ROOM + WASTE * one)
    host = plan.in_host - activations.host_checkpoints(s)
    return Stage("evaluation", max(gate, to_load(inference.loading(s))), answers.verdict, host, batch=answers.rows)


def every_preset(
    *, turing: bool, xformers: bool | None = None, calibration: Calibration = UNCALIBRATED
) -> dict[str, tuple[float, list[Stage]]]:
    """For each preset of a GPU: the bytes of the card that it is made for, and its stages there, all tokens labelled.

    Args:
        xformers: None: as it is on this machine.
    """
    found = {}
    for name in preset_names():
        config = load_config(name)
        if gib := config.memory.card_gb:
            engine: Engine = "unsloth" if config.model.backend == "unsloth" else "trl"
            s = setup_from(config, shape_of(config.model.name)[0], engine, turing=turing, xformers=xformers)
            plan = make_plan(s, calibration)
            found[name] = (gib * GIB, stages(plan, gib * GIB))
    return found
