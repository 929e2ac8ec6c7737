"""The plan of one set-up: its terms, when in a step they meet, and what the card must have."""

from dataclasses import dataclass

from finetune.memory import activations, head, inference, terms
from finetune.memory.overheads import UNCALIBRATED, Calibration, Verdict, expected, gate, least, to_load
from finetune.memory.setup import Setup


@dataclass(frozen=True)
class Term:
    """One line of a plan.

    Attributes:
        name: what it is, as the table shows it.
        size: bytes.
        always: on the card between steps too; otherwise only in one phase.
    """

    name: str
    size: int
    always: bool = False


@dataclass(frozen=True)
class Plan:
    """A set-up's memory. All sizes in bytes.

    Attributes:
        terms: every term, the constant ones first.
        phases: the tensors alive in each phase of a run, in the order of a run.
        allocated: the highest of the phases after loading, what `torch.cuda.max_memory_allocated()` would say of them.
        host: what training holds in host memory because the card does not.
    """

    setup: Setup
    terms: list[Term]
    phases: dict[str, int]
    host: dict[str, int]
    calibration: Calibration = UNCALIBRATED

    @property
    def peak(self) -> str:
        """The phase that decides what must be free."""
        if to_load(self.phases["loading"]) > gate(self.allocated, self.calibration):
            return "loading"
        return max(self._training, key=lambda phase: self._training[phase])

    @property
    def allocated(self) -> int:
        """The highest phase after loading."""
        return max(self._training.values())

    @property
    def _training(self) -> dict[str, int]:
        return {phase: size for phase, size in self.phases.items() if phase != "loading"}

    @property
    def in_host(self) -> int:
        return sum(self.host.values())

    @property
    def expected(self) -> int:
        """What the process will probably take on the card."""
        return max(expected(self.allocated, self.calibration), to_load(self.phases["loading"]))

    @property
    def gate(self) -> int:
        """What must be free before the run may start."""
        return max(gate(self.allocated, self.calibration), to_load(self.phases["loading"]))

    @property
    def least(self) -> int:
        """The lower end of the band whose upper end is the gate."""
        return least(self.allocated)

    def verdict(self, budget: float) -> Verdict:
        """fits: the gate is within `budget` bytes. tight: only the expected figure is."""
        if self.gate <= budget:
            return "fits"
        return "tight" if self.expected <= budget else "does not fit"


def make_plan(s: Setup, calibration: Calibration = UNCALIBRATED) -> Plan:
    """Add up the terms of each phase.

    The gradients of a step's earlier micro-batches, or passes of packed rows, are there in every later forward pass.
    """
    resident = [
        Term("quantised weights" if s.four_bit else "linear weights", terms.linear_weights(s), True),
        Term("embeddings and LM head", terms.embeddings(s), True),
        Term("norms and biases", terms.small_weights(s), True),
        Term("adapter", terms.adapter(s), True),
        Term("optimizer state", terms.optimizer(s), True),
    ]
    base, gradients = sum(t.size for t in resident), terms.gradients(s)
    earlier = gradients if s.several else 0
    scratch = activations.dequantised(s) if s.engine == "unsloth" else 0
    passing = [
        Term("gradients", gradients),
        Term("kept for the backward", activations.kept(s)),
        Term("one layer's backward", activations.layer_hump(s)),
        Term("  of it dequantised", activations.dequantised(s) * (2 if activations.fused(s) else 1)),
        Term("logits and loss", head.loss(s)),
        Term("evaluation", inference.evaluation(s)),
        Term("generation", inference.generation(s)),
        Term("  of it the KV cache", inference.kv_cache(s) if s.new_tokens else 0),
    ]
    phases = {
        "loading": inference.loading(s),
        "forward and loss": base + earlier + head.held(s) + head.loss(s) + scratch,
        "backward": base + gradients + activations.kept(s) + activations.layer_hump(s),
        "optimizer step": base + gradients + scratch,
        "evaluation": base + inference.evaluation(s),
        "generation": base + inference.generation(s),
    }
    host = {
        "layer inputs (pinned)": activations.host_checkpoints(s),
        "input embedding": s.shape.embedding * s.element if s.offload_embedding and not s.shape.tied else 0,
        "swapped layers": s.swapped * terms.layer_weights(s),
    }
    return Plan(s, resident + passing, phases, {k: v for k, v in host.items() if v}, calibration)
