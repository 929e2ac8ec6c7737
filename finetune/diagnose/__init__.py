"""What a run's figures mean: a word an epoch, and findings with the figures that led to them and what to do.

from finetune.diagnose import findings
for finding in findings(read_history(run)):
    print(finding.level, finding.text("en").title)
"""

from finetune.diagnose.rules import findings
from finetune.diagnose.run_finding import Level, RunFinding, Words, verdict_word
from finetune.diagnose.series import best_row
from finetune.diagnose.verdict import verdict, verdicts

__all__ = ["Level", "RunFinding", "Words", "best_row", "findings", "verdict", "verdict_word", "verdicts"]
