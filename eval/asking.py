"""A tuned model inside a program: a conversation and its tools in, checked calls out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from data.formats.literals import unwritable
from data.load import to_stderr
from data.record import Record
from data.render import render_prompt
from eval.constrained import Constraint, vocabulary_of
from eval.cpu_decoding import decodes
from eval.generate import Output, begin, generate, say_shrunk, usual_batch
from eval.judged import Answer, judge
from eval.parsed import ToolCall
from eval.prefixes import Beginning, shared_tokens
from eval.trained import Trained, load_tuned, prepare, read_trained
from tooltune.errors import InputError
from tooltune.run import find_run
from tooltune.words import Say

Messages = list[dict[str, Any]]
"""OpenAI-style turns, as a record has them: the `arguments` of a call are an object."""
Tools = list[dict[str, Any]]
"""OpenAI function schemas."""


class Writer(Protocol):
    """What writes a model's answers: transformers (`Decoding`), or a runtime of another kind."""

    def read(self, tokens: list[int]) -> None:
        """Read what the next prompts begin with, so that their answers come sooner."""
        ...

    def write(self, prompts: Sequence[list[int]], tools: Tools) -> list[Output]:
        """The greedy answers to prompts (token ids), in their order.

        Raises:
            JobFailed: there is none, for memory or whatever it runs on.
        """
        ...


class Model:
    """A run's tuned model, loaded once and asked often.

    model = Model.load("runs/latest")
    for call in model(messages, tools):  # ToolCall(name, arguments)
        ...
    """

    def __init__(self, trained: Trained, writer: Writer) -> None:
        self.trained, self.writer = trained, writer

    @classmethod
    def load(cls, run: str | Path | None = None, say: Say = to_stderr) -> "Model":
        """The model of a run, by name or folder; None: the newest run. Takes minutes on a busy machine.

        Args:
            say: told where the base model has to be fetched first, and where memory runs short.

        Raises:
            InputError: there is no such run, it has no best adapter, or one of its files is broken.
            NoRoom: memory does not suffice.
        """
        trained = read_trained(find_run(None if run is None else str(run)))
        prepare(trained)
        return cls(trained, Decoding(trained, load_tuned(trained, say), say))

    def __call__(self, messages: Messages, tools: Tools) -> list[ToolCall]:
        """The calls that the model answers with, each of an offered tool and fitting its schema.

        Empty where the answer is text, and where a call of it is wrong: `answer` has the text, and what is wrong.
        """
        return self.answer(messages, tools).accepted

    def answer(self, messages: Messages, tools: Tools) -> Answer:
        """The model's answer to a conversation: calls with their faults, text, the output as written.

        Raises:
            InputError: a turn or a tool is wrong, or the chat template cannot write them.
            JobFailed: there is no answer: memory ran out, or the runtime failed.
        """
        return self.answers([messages], tools)[0]

    def answers(self, conversations: Sequence[Messages], tools: Tools) -> list[Answer]:
        """The answer to each conversation; they are asked side by side where the model is decoded on a CPU."""
        if not conversations:
            return []
        prompts = [prompt_of(self.trained, messages, tools) for messages in conversations]
        self.read(conversations[0][:1], tools)
        family = self.trained.template.family
        outputs = self.writer.write(prompts, tools)
        return [judge(o.text, tools, family, cut=o.tokens if o.truncated else None) for o in outputs]

    def read(self, messages: Messages, tools: Tools) -> None:
        """Read the system turn (the first of `messages`, if it is one) and the tools ahead of the conversations that
        have the same. The first answer does it where this has not."""
        system = [turn for turn in messages[:1] if turn.get("role") == "system"]
        first, second = (
            prompt_of(self.trained, [*system, {"role": "user", "content": text}], tools) for text in ("", "1")
        )
        self.writer.read(first[: shared_tokens(first, second)])


def prompt_of(trained: Trained, messages: Messages, tools: Tools) -> list[int]:
    """The token ids that a run's model is asked with: those that it was trained on before such an answer.

    Raises:
        InputError: a turn or a tool is wrong, or the chat template cannot write them.
    """
    answer = {"role": "assistant", "content": "."}  # which no prompt holds
    record = Record.from_dict({"id": "request", "messages": [*messages, answer], "tools": tools}, where="request")
    if why := unwritable([messages, tools]):
        raise InputError(f"it has {why}", where="request", fix="write it in UTF-8")
    record.meta["relevant_tools"] = [tool["function"]["name"] for tool in tools]  # none is left out
    return render_prompt(trained.view(record), trained.tokenizer, trained.template)


class Decoding:
    """transformers, or `eval.cpu_decoding` without a GPU.

    Args:
        constrained: hold calls to the tools' schemas while they are written (`eval.constrained`).
    """

    def __init__(self, trained: Trained, model: Any, say: Say, *, constrained: bool = False) -> None:
        self.model, self.tokenizer, self.say = model, trained.tokenizer, say
        self.family, self.constrained = trained.template.family, constrained
        self.limit = trained.config.eval.max_new_tokens
        self.begun: list[int] = []
        self.kept: Beginning | None = None

    def read(self, tokens: list[int]) -> None:
        """Keep what the model makes of these tokens, in place of those of the last time."""
        if tokens != self.begun:
            self.kept = begin(self.model, tokens)
            self.begun = tokens

    def write(self, prompts: Sequence[list[int]], tools: Tools) -> list[Output]:
        """The greedy answers, side by side on a CPU."""
        longest, most = max(map(len, prompts)), self.model.config.get_text_config().max_position_embeddings
        if longest >= most:
            raise InputError(f"{longest} tokens, and the model takes {most}", where="request", fix="make it shorter")
        # padding, which a GPU's batches have, would have to be checked first (`safe_batch`)
        batch = usual_batch(self.model, prompts, max_new_tokens=self.limit) if decodes(self.model) else 1
        return generate(
            self.model,
            self.tokenizer,
            prompts,
            max_new_tokens=self.limit,
            batch=batch,
            shrunk=say_shrunk(self.say),
            kept=self.kept,
            restrict=self._constraint([tools] * len(prompts)) if self.constrained else None,
        )

    def _constraint(self, tools: Sequence[Tools]) -> Constraint:
        return Constraint(self.tokenizer, vocabulary_of(self.model), self.family, tools)
