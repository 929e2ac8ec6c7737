"""All checks, in the order of the report."""

from finetune.doctor.card_checks import check_card
from finetune.doctor.check_result import CheckResult
from finetune.doctor.facts import Facts
from finetune.doctor.library_checks import check_libraries
from finetune.doctor.machine_checks import check_machine


def examine(facts: Facts) -> list[CheckResult]:
    return [*check_card(facts), *check_libraries(facts), *check_machine(facts)]
