"""How good it is: parse generated tool calls, score them, report."""
