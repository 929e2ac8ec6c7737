"""What a run's figures mean: a word an epoch, and findings with the figures that led to them and what to do.

from finetune.diagnose import findings
for finding in findings(read_history(run)):
    print(finding.level, finding.text("en").title)
"""

from finetune.diagnose.finding import Finding, Language, Level, Words, verdict_word
from finetune.diagnose.reading import best_row
from finetune.diagnose.rules import findings
from finetune.diagnose.verdict import verdict, verdicts

__all__ = ["Finding", "Language", "Level", "Words", "best_row", "findings", "verdict", "verdict_word", "verdicts"]
