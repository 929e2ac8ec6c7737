"""How good generated tool calls are: verdicts on samples, rates with intervals, paired comparison of runs."""

from eval.scoring.compare import compare
from eval.scoring.metrics import score, summarise
from eval.scoring.sample import Sample, SampleScore, score_sample

__all__ = ["Sample", "SampleScore", "compare", "score", "score_sample", "summarise"]
