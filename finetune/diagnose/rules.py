"""All rules, in order of importance within a level."""

from collections.abc import Callable

from finetune.diagnose import curves, machine, steps, tools
from finetune.diagnose.finding import Finding
from finetune.history import History

Rule = Callable[[History], Finding | None]

RULES: tuple[Rule, ...] = (
    steps.not_finite,
    curves.not_learning,
    steps.lr_off_schedule,
    steps.lr_too_high,
    steps.lr_too_low,
    curves.overfitting,
    curves.overfitting_by_loss,
    curves.best_epoch,
    tools.format_not_tool,
    tools.format_not_name,
    tools.calls_whatever,
    tools.never_calls,
    tools.truncated,
    machine.memory_near,
    machine.memory_recovered,
    steps.grad_unstable,
    steps.grad_stalled,
    steps.loss_spike,
    steps.grad_spike,
    curves.loss_high,
    machine.eval_slower,
    machine.gpu_idle,
    curves.too_few_epochs,
    curves.last_is_best,
    curves.one_evaluation,
    curves.well_learnt,
    curves.in_progress,
)

NORMAL: tuple[Rule, ...] = (steps.grad_normal, machine.gpu_busy, curves.mean_above_last)
"""What people ask about although it is as it should be."""

_ORDER = ("fault", "warning", "good", "note")


def findings(history: History, *, normal: bool = False) -> list[Finding]:
    """What the figures of a run mean, the most important first: faults, warnings, what is good, notes.

    Args:
        normal: say also what is as it should be.
    """
    found = [finding for rule in RULES + (NORMAL if normal else ()) if (finding := rule(history))]
    return sorted(found, key=lambda finding: _ORDER.index(finding.level))
