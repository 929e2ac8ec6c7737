"""`tooltune COMMAND …`, the same as `python -m tooltune`: the commands of all packages under one name.

A package is imported when its command is called, so that help and a wrong name answer at once.
"""

import difflib
import sys
from importlib import import_module

from tooltune.cli import printable, start, with_default

GROUPS = {
    "eval": ("eval.cli", "run", "generate on a split, parse, score, report; also score, compare, endpoint"),
    "bench": ("benchmarks.cli", "train", "speed, memory and losses: plain Hugging Face against Unsloth"),
    "data": ("data.commands", "", "build the structural dataset; check or convert a file of your own"),
}
"""Command → module of its app, the subcommand that may be left out, what it does."""

FINETUNE = {
    "train": "fine-tune: the 6gb preset with a GPU, the cpu preset without",
    "preview": "what the model sees and what is trained, token by token",
    "plan": "whether a run fits the card, term by term",
    "doctor": "whether this machine can train, and what to change",
    "runs": "all runs in a table",
    "report": "a run's page and pictures",
    "ask": "type requests at a run's model, see its calls",
    "chat": "requests whose calls are carried out on the data's domain",
    "export": "a run for llama.cpp, Ollama, vLLM or transformers, with the proof of its prompts",
    "serve": "a run's model for programs, as an OpenAI-compatible server",
    "explain": "the probability of each right token of a row",
    "record": "put a run's figures into the documents",
}
"""Commands of `finetune.cli`, and what they do."""


def main(words: list[str] | None = None) -> None:
    """Call the command that the first word names, with the others.

    Args:
        words: None: those of the command line.
    """
    printable()
    name, *rest = (sys.argv[1:] if words is None else words) or ["--help"]
    if name in GROUPS:
        module, default, _ = GROUPS[name]
        app = import_module(module).app
        start(app, f"tooltune {name}", with_default(app, rest, default))
    elif name in FINETUNE:
        start(import_module("finetune.cli").app, "tooltune", [name, *rest])
    elif name in ("--help", "-h"):
        print(help_text())
    else:
        near = difflib.get_close_matches(name, [*FINETUNE, *GROUPS], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"error: no command {name!r}{hint}\n→ tooltune --help lists them", file=sys.stderr)
        sys.exit(2)


def help_text() -> str:
    lines = FINETUNE | {name: does for name, (_, _, does) in GROUPS.items()}
    width = max(map(len, lines))
    return "\n".join(
        [
            "Usage: tooltune COMMAND [ARGUMENTS]; tooltune COMMAND --help says what a command takes.\n",
            *(f"  {name:{width}}  {does}" for name, does in lines.items()),
        ]
    )


if __name__ == "__main__":
    main()
