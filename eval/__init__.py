"""How good it is: parse generated tool calls, score them, report."""

from eval.parse import parse_tool_calls
from eval.parsed import Parsed, ToolCall
from eval.scoring import Sample, SampleScore, compare, score, score_sample

__all__ = ["Parsed", "Sample", "SampleScore", "ToolCall", "compare", "parse_tool_calls", "score", "score_sample"]
