"""The structural engine: tool calls carried out on a frame. Pynite is needed only where something is solved."""

from data.structural.engine.execute import execute
from data.structural.engine.model import EXAMPLE, ModelSpec
from data.structural.engine.result import CallResult, Refusal
from data.structural.engine.state import State, build, state_line
from data.structural.engine.state_comparison import Sameness, canonical_state, comparable, compare, same_state
from data.structural.engine.verify import Executed, Verification, engine_version, run_calls, verify

__all__ = [
    "EXAMPLE",
    "CallResult",
    "Executed",
    "ModelSpec",
    "Refusal",
    "Sameness",
    "State",
    "Verification",
    "build",
    "canonical_state",
    "comparable",
    "compare",
    "engine_version",
    "execute",
    "run_calls",
    "same_state",
    "state_line",
    "verify",
]
