"""The steps of the runbook: which commands, in which order, for how long.

The commands of a group run side by side, the groups one after another. Only what is not timed shares the card: the
longest length and the planner count bytes, which no neighbour changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Words = list[str]  # of a command, after `python -m`
Groups = list[list[Words]]

SMALL, MIDDLE, LARGE, LARGEST = (f"Qwen/Qwen2.5-{size}B-Instruct" for size in ("0.5", "1.5", "3", "7"))
PLAIN_AND_UNSLOTH = ("hf", "hf-trainer", "unsloth")
BATCH = ["train.micro_batch=4", "train.accumulation=1"]  # of the dataset's mix: 75 steps of 4 rows
BIG = ["train.micro_batch=8", "train.accumulation=1", "eval.generate_batch=64"]  # the preset's effective batch of 8
FEW = ["data.train=data/structural/validation.jsonl", "data.validation=null", "data.test=null", "data.limit=16"]
MINIATURE = [*FEW, "train.max_steps=2", "eval.generate=2", "eval.max_new_tokens=8", "train.compile=false"]


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        minutes: after which what still runs is ended; its finished parts stay.
        real: from the step's folder to its groups of commands.
        rehearsed: the same on any machine, as small as it goes.
    """

    what: str
    minutes: float
    real: Callable[[Path], Groups]
    rehearsed: Callable[[Path], Groups]


def _tests(out: Path) -> Groups:
    return [[["pytest", "-q", "-m", "gpu", "tests/gpu"]]]


def _speed(out: Path) -> Groups:
    def train(shapes: str, repeats: int) -> Words:
        words = ["benchmarks", "train", "6gb", f"model.name={MIDDLE}", "model.random_weights=true", *BATCH]
        return [*words, "--shapes", shapes, "--repeats", str(repeats), "--out", str(out)]

    # The shape of the aim first and whole; the others once, then again while there is time.
    return [[train("1x1024", 3)], [train("mix,1x512,2x1024,1x2048", 1)], [train("mix,1x512,2x1024,1x2048", 2)]]


def _speed_rehearsed(out: Path) -> Groups:
    words = ["benchmarks", "train", "cpu", "data.limit=16", "--shapes", "1x256", "--repeats", "1", "--steps", "21"]
    return [[[*words, "--out", str(out)]]]


def _length(out: Path) -> Groups:
    words = ["benchmarks", "length", "6gb", f"model.name={MIDDLE}", "model.random_weights=true", "--budget-gb", "6"]
    return [[[*words, "--arms", arm, "--out", str(out / arm)] for arm in PLAIN_AND_UNSLOTH]]


def _length_rehearsed(out: Path) -> Groups:
    words = ["benchmarks", "length", "cpu", "data.limit=16", "--budget-gb", "5", "--most", "512"]
    return [[[*words, "--arms", arm, "--out", str(out / arm)]] for arm in ("hf-trainer", "unsloth")]


def _planner(out: Path) -> Groups:
    def case(preset: str, model: str, *more: str) -> Words:
        name = model.rsplit("/", 1)[-1].lower() + ("-budget" if "--budget-gb" in more else "")
        return [
            "benchmarks",
            "planner",
            preset,
            "model.random_weights=true",
            "--models",
            model,
            *more,
            "--out",
            str(out / name),
        ]

    everything = [case("6gb", model) for model in (SMALL, MIDDLE, LARGE)]
    # The aims at 6 GB: 4 rows of 4,096 tokens with Unsloth where full logits run out at one of 2,048; and 7B.
    budget = [
        case("6gb", MIDDLE, "--shapes", "1x2048,4x4096", "--budget-gb", "6"),
        case("6gb-7b", LARGEST, "--shapes", "1x1024", "--arms", "unsloth", "--budget-gb", "6"),
    ]
    return [[*everything, *budget]]


def _planner_rehearsed(out: Path) -> Groups:
    # The comparison needs an allocator; that every model has a plan does not.
    return [[["finetune", "plan", "6gb", f"model.name={model}", "--json"]] for model in (SMALL, MIDDLE, LARGE, LARGEST)]


def _training(out: Path) -> Groups:
    reference = ["finetune", "train", "6gb", "model.name=embedded", "name=gpu-reference", *BIG]
    study = ["finetune", "train", "6gb-overfit-study", "model.name=embedded", "name=gpu-overfit-study", *BIG]
    return [[reference, study], [["eval", "run", "gpu-reference"], ["eval", "run", "gpu-overfit-study", "--no-base"]]]


def _training_rehearsed(out: Path) -> Groups:
    names = ("gpu-reference", "gpu-overfit-study")
    runs = [[["finetune", "train", "cpu", f"name={name}", *MINIATURE]] for name in names]
    return [*runs, [["eval", "run", names[0], "--limit", "2"]]]


STEPS = {
    "tests": Step("gpu-marked tests", 3, _tests, _tests),
    "speed": Step("plain Hugging Face against Unsloth, 1.5B, random weights", 8, _speed, _speed_rehearsed),
    "length": Step("the longest sequence in 6 GB, each arm", 3, _length, _length_rehearsed),
    "planner": Step("the memory plan against the allocator, 0.5B to 7B", 4, _planner, _planner_rehearsed),
    "training": Step("the dataset: reference recipe, ten epochs, evaluation", 7, _training, _training_rehearsed),
}
"""25 minutes together, in the order of what would be missed most if the time were cut."""
