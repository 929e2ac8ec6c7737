"""All rules, in order of importance within a level."""

from collections.abc import Callable

from finetune.diagnose import call_rules as calls
from finetune.diagnose import loss_rules as losses
from finetune.diagnose import machine_rules as machine
from finetune.diagnose import step_rules as steps
from finetune.diagnose.run_finding import RunFinding
from finetune.history import History

Rule = Callable[[History], RunFinding | None]

RULES: tuple[Rule, ...] = (
    steps.not_finite,
    losses.not_learning,
    steps.lr_off_schedule,
    steps.lr_too_high,
    steps.lr_too_low,
    losses.overfitting,
    losses.overfitting_by_loss,
    losses.best_epoch,
    calls.format_not_tool,
    calls.format_not_name,
    calls.calls_whatever,
    calls.never_calls,
    calls.truncated,
    machine.memory_near,
    machine.memory_recovered,
    steps.grad_unstable,
    steps.grad_stalled,
    steps.loss_spike,
    steps.grad_spike,
    losses.loss_high,
    machine.eval_slower,
    machine.gpu_idle,
    losses.too_few_epochs,
    losses.last_is_best,
    losses.one_evaluation,
    losses.well_learnt,
    losses.in_progress,
)

NORMAL: tuple[Rule, ...] = (steps.grad_normal, machine.gpu_busy, losses.mean_above_last)
"""What people ask about although it is as it should be."""

_ORDER = ("fault", "warning", "good", "note")


def findings(history: History, *, normal: bool = False) -> list[RunFinding]:
    """What the figures of a run mean, the most important first: faults, warnings, what is good, notes.

    Args:
        normal: say also what is as it should be.
    """
    found = [finding for rule in RULES + (NORMAL if normal else ()) if (finding := rule(history))]
    return sorted(found, key=lambda finding: _ORDER.index(finding.level))
