"""All checks, in the order of the report."""

from finetune.doctor.card import check_card
from finetune.doctor.facts import Facts
from finetune.doctor.finding import Finding
from finetune.doctor.libraries import check_libraries
from finetune.doctor.machine import check_machine


def examine(facts: Facts) -> list[Finding]:
    """Every finding about a machine."""
    return [*check_card(facts), *check_libraries(facts), *check_machine(facts)]
