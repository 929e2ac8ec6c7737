"""What data sets write into a system text on tools and the syntax of calls, which the chat template writes anew.

Only sentences that are known word for word are taken out: a date, an id or a rule beside them belongs to the request.
"""

import re

_SENTENCES = [
    # Hermes function calling and Qwen's template
    r"You are an? (helpful )?(deep thinking )?function[- ]calling (AI|LLM)( model| assistant)?",
    r"You are provided with function signatures within <tools>\s*</tools> (XML )?tags",
    r"You (may|can) call one or more functions to assist with the user query",
    r"Do(n't| not) make assumptions about what values to plug into functions",
    r"(Here (is|are) )?(the |a list of )?(available )?(functions|tools)( in JSON format)?( that you can invoke)?",
    r"Use the following pydantic model json schema for each tool call you will make",
    r"For each function call,? return a json object.*",
    r"Each function call should be enclosed within <tool_call>\s*</tool_call> (XML )?tags( as follows)?",
    r"#+ Tools",
    # ToolACE
    r"You are an expert in composing functions",
    r"You are given a question and a set of possible functions",
    r"Based on the question, you will need to make one or more function/tool calls to achieve the purpose",
    r"If none of the functions? can be used, point it out",
    r"If the given question lacks the parameters required by the function,? also point it out",
    r"You should only return the function calls? in (the )?tools? calls? sections?",
    r"Should you decide to return the function call\(s\)",
    r"Put it in the format of \[func1\(.*\)\]",
    r"NO other text MUST be included",
    # Glaive
    r"You are a helpful assistant with access to the following functions",
    r"Use them if required",
]
_KNOWN = re.compile("|".join(f"(?:{sentence})" for sentence in _SENTENCES), re.IGNORECASE)
_EXAMPLE = re.compile(r"<tool_call>\s*\n.*?</tool_call>", re.DOTALL)
_SCHEMA_NAME = re.compile(r"['\"]FunctionCall['\"]")
_SCHEMA_END = re.compile(r"\}(?=[ \t]*(?:For each|Each|$))")
_END = re.compile(r"(?<=[.!?])[ \t]+|(?<=:)[ \t]+(?=[A-Z])")
_MARKS = " \t.:-"


def own_words(text: str) -> str:
    """A system text without its sentences on the syntax of calls; empty where it has no others."""
    closed, mark, rest = text.rpartition("</tool_call>")  # an example without an end would be looked for to the end
    text = _EXAMPLE.sub("", closed + mark) + rest
    lines = [_kept(_without_schema(line)) for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _without_schema(line: str) -> str:
    """A line without the schema of a call that Hermes' system text has."""
    start, name = line.find("{"), _SCHEMA_NAME.search(line)
    if not name or not 0 <= start < name.start() or not (end := _SCHEMA_END.search(line, name.end())):
        return line
    return line[:start] + line[end.end() :]


def _kept(line: str) -> str:
    pieces = [piece for piece in _END.split(line) if piece.strip(_MARKS)]
    kept = [piece for piece in pieces if not _KNOWN.fullmatch(piece.strip(_MARKS))]
    return line if len(kept) == len(pieces) and pieces else " ".join(kept)
