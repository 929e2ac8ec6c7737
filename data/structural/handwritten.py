"""The hand-written requests as rows to score a model on: people wrote them, and the grammar never says them.

`utterances.jsonl` has each request with the calls that it means, or the reply where none is right; `concerns` names the
tools that such a request seems to be about. Here it gets the example frame of the engine, on which every one of those
calls can be carried out, and tools as the rows of the test split have them. These rows are in no split.

Run `python -m data.structural.handwritten` to write handwritten.jsonl beside this file.
"""

import random
from pathlib import Path
from typing import Any

from data.structural.build import line
from data.structural.engine import EXAMPLE, state_line
from data.structural.language.replies import OPENING
from data.structural.language.speaker import Speaker
from data.structural.make_row import SYSTEM
from data.structural.requests import toolsets
from data.structural.requests.multiturn import called, user
from data.structural.requests.request import Call
from tooltune.files import atomic_write, read_jsonl

HERE = Path(__file__).parent
Turn = dict[str, Any]


def build() -> str:
    """The text of handwritten.jsonl, the same on every machine."""
    return "".join(line(make_row(said)) for _, said in read_jsonl(HERE / "utterances.jsonl"))


def make_row(said: dict[str, Any]) -> dict[str, Any]:
    """One line of utterances.jsonl as a row; what it draws, the tools beside the needed ones, depends on its id."""
    speaker = Speaker(random.Random(f"handwritten:{said['id']}"), said["lang"])
    history, calls = said.get("history", []), _calls(said)
    about = [name for name, _ in calls] or said.get("concerns") or [c["name"] for c in said.get("rejected_calls", [])]
    earlier = [name for turn in history for name, _ in _calls(turn)]
    return {
        "id": said["id"],
        "messages": [
            {"role": "system", "content": SYSTEM.format(state=state_line(EXAMPLE))},
            *map(_turn, history),
            user(said["user"]),
            called(calls) if calls else _text(said["reply"]),
        ],
        "tools": toolsets.offer(toolsets.choose(speaker, [*about, *earlier]), said["lang"]),
        "meta": {
            "split": "handwritten",
            "lang": said["lang"],
            "phenomena": [said["phenomenon"]],
            "model_id": "example",
            "relevant_tools": list(dict.fromkeys(about)),
        },
    }


def _calls(turn: Turn) -> list[Call]:
    listed = turn.get("calls") or turn.get("tool_calls") or []
    return [(call["name"], call["arguments"]) for call in listed]


def _turn(turn: Turn) -> Turn:
    """An earlier turn as rows write it."""
    if turn["role"] != "assistant":
        return turn
    return called(_calls(turn)) if turn.get("tool_calls") else _text(turn["content"])


def _text(content: str) -> Turn:
    """An answer without a call, which begins as all of them do."""
    return {"role": "assistant", "content": OPENING + content}


def main() -> None:
    """Write handwritten.jsonl."""
    with atomic_write(HERE / "handwritten.jsonl") as file:
        file.write(build())


if __name__ == "__main__":
    main()
