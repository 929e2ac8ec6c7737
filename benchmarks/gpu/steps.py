"""The steps of the runbook: which commands, in which order, for how long.

A step's commands run one after another, the steps of a wave side by side, the waves one after another. Only what is not
timed shares the card: a process's own peak is what it allocates itself, which no neighbour changes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import data.structural
from benchmarks.random_model import TINY, random_folder

Words = list[str]  # of a command, after `python -m`

MIDDLE, LARGE, LARGEST = (f"Qwen/Qwen2.5-{size}B-Instruct" for size in ("1.5", "3", "7"))
SMALL = ("Qwen/Qwen3-0.6B", "google/gemma-3-270m")
DATASET = Path(data.structural.__file__).parent
ROWS = [f"data.train={DATASET / 'validation.jsonl'}", "data.validation=null", "data.limit=64"]
BRIEF = ["train.micro_batch=2", "train.accumulation=1", "train.logging_steps=1", "eval.max_new_tokens=16"]
LONG_ROWS = ["data.tools_style=json", "train.micro_batch=1", "eval.generate=8", "eval.max_new_tokens=64"]
"""Tools as their JSON schemas: the rows that fit go up to 2,048 tokens; longer ones are dropped."""
TESTS = Path(__file__).parents[2] / "tests" / "gpu"


@dataclass(frozen=True)
class StepScene:
    """Where the commands of a step work.

    Attributes:
        out: of all steps.
        folder: of this one.
        rehearsal: in miniature: the same commands, smaller, on any machine.
    """

    out: Path
    folder: Path
    rehearsal: bool

    @property
    def middle(self) -> Words:
        """The reference recipe's model with random weights; the tiny one in a rehearsal."""
        name = random_folder("tiny") if self.rehearsal else MIDDLE
        return [f"model.name={name}", *([] if self.rehearsal else ["model.random_weights=true"])]


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        seconds: what it is given of the whole. A later wave may use what an earlier one left.
        wave: steps of the same wave run side by side.
        commands: of the scene, each after the last.
        needs: steps that go before it where their summaries are not in `--out` yet.
    """

    what: str
    seconds: int
    wave: int
    commands: Callable[[StepScene], list[Words]]
    needs: tuple[str, ...] = ("models",)


def _models(scene: StepScene) -> list[Words]:
    return [["benchmarks.random_model", *TINY, *([] if scene.rehearsal else [MIDDLE, *SMALL])]]


def _tiny(name: str, model: str, *words: str) -> Callable[[StepScene], list[Words]]:
    def commands(scene: StepScene) -> list[Words]:
        # Unsloth swaps layers to a card and nowhere else.
        given = [word for word in words if not (scene.rehearsal and word.startswith("memory.offload_layers"))]
        size = ["train.max_steps=3", "eval.generate=2"] if scene.rehearsal else ["train.max_steps=8", "eval.generate=4"]
        where = [f"name={name}", f"model.name={random_folder(model)}"]
        return [["finetune", "train", "6gb", *where, *ROWS, *BRIEF, *size, *given, "--debug"]]

    return commands


def _asked(run: Path) -> Words:
    return ["eval", "run", str(run), "--limit", "4", "--lang", "en", "--debug"]


def _evaluate(scene: StepScene) -> list[Words]:
    return [_asked(scene.out / "train" / "runs" / "tiny")]


def _budget(name: str, gib: float, *words: str) -> Callable[[StepScene], list[Words]]:
    def commands(scene: StepScene) -> list[Words]:
        model = random_folder("tiny" if scene.rehearsal else MIDDLE)
        size = ["train.max_steps=2", "eval.generate=2"] if scene.rehearsal else ["train.max_steps=6"]
        where = [f"name={name}", f"model.name={model}", f"memory.budget_gb={gib:g}"]
        return [["finetune", "train", "6gb", *where, *ROWS, *BRIEF, *LONG_ROWS, *words, *size, "--debug"]]

    return commands


def _speed(shapes: str, arms: str, *words: str) -> Callable[[StepScene], list[Words]]:
    def commands(scene: StepScene) -> list[Words]:
        # Full logits of whole rows take a CPU minutes, and TRL's head is no CPU's.
        left_out = ("hf", "hf-trainer") if shapes == "mix" else ("hf",)
        few = ",".join(arm for arm in arms.split(",") if arm not in left_out)
        chosen = few if scene.rehearsal else arms
        patience = "600" if scene.rehearsal else "150"  # seconds for one arm, of which Unsloth compiles one minute
        options = ["--arms", chosen, "--repeats", "1", "--steps", "21", "--timeout", patience]
        size = [*ROWS, "train.micro_batch=1"] if scene.rehearsal else []
        shape = "1x512" if scene.rehearsal and shapes != "mix" else shapes
        return [
            [
                "benchmarks",
                "train",
                "6gb",
                *scene.middle,
                *words,
                *size,
                "--shapes",
                shape,
                *options,
                "--out",
                str(scene.folder),
            ]
        ]

    return commands


def _planner(scene: StepScene, preset: str, models: str, *options: str) -> Words:
    words = ["benchmarks", "planner", preset, "model.random_weights=true", "--models", models]
    return [*words, *options, "--timeout", "120", "--out", str(scene.folder)]


def _tests(scene: StepScene) -> list[Words]:
    """But for what `speed` and `doctor` try."""
    return [["pytest", "-q", "-m", "gpu", "-k", "not arms and not doctor", "-p", "no:cacheprovider", str(TESTS)]]


def _doctor(scene: StepScene) -> list[Words]:
    return [["finetune", "doctor", "--lang", "en", "--debug"]]


STEPS = {
    "doctor": Step("driver, card, 4-bit kernels, libraries, disk", 45, 0, _doctor, ()),
    "models": Step("random weights: two tiny models, 1.5B, two small ones", 45, 0, _models, ()),
    "train": Step("tiny model, 6gb: probe, evaluation, generation, best, report", 95, 1, _tiny("tiny", "tiny")),
    "roles": Step("the same with loss.role_weights", 95, 1, _tiny("roles", "tiny", "loss.role_weights.name=4")),
    "offload": Step(
        "tiny untied model, embedding and a layer in main memory",
        95,
        1,
        _tiny("offload", "tiny-untied", "memory.offload_embedding=true", "memory.offload_layers=1"),
    ),
    "float16": Step("tiny model in float16", 95, 1, _tiny("float16", "tiny", "model.dtype=float16")),
    "memory": Step("1.5B in 6 GiB, rows up to 2,048 tokens: plan against allocator", 95, 1, _budget("memory", 6)),
    "recovery": Step(
        "1.5B in 2 GiB, too many rows at a time: out of memory, and on",
        95,
        1,
        _budget(
            "recovery", 2, "train.share_prefix=off", "train.micro_batch=4", "eval.generate=2", "memory.recoveries=6"
        ),
    ),
    "speed": Step(
        "1.5B at 1x1024: plain Hugging Face twice, Unsloth", 175, 2, _speed("1x1024", "hf,hf-trainer,unsloth")
    ),
    "prefix": Step(
        "1.5B, 8 rows behind one list of 30 tools: padded, behind one copy of it",
        160,
        3,
        _speed("one-prefix", "unsloth,unsloth+prefix", "train.micro_batch=8", "train.accumulation=1"),
    ),
    "evaluate": Step("the tiny run and its base model on the test split", 65, 4, _evaluate, ("train",)),
    "tests": Step("gpu-marked tests", 65, 4, _tests, ()),
}
"""Nine minutes together, in the order of what would be missed most if the time were cut."""

EIGHT_ROWS = ["train.micro_batch=8", "train.accumulation=1", "eval.generate_batch=64"]  # the preset's effective batch


def _length(scene: StepScene) -> list[Words]:
    words = ["benchmarks", "length", "6gb", *scene.middle, *(ROWS if scene.rehearsal else [])]
    most = ["--budget-gb", "5", "--most", "512"] if scene.rehearsal else ["--budget-gb", "6"]
    arms = "hf-trainer,unsloth" if scene.rehearsal else "hf,hf-trainer,unsloth"
    return [[*words, *most, "--arms", arms, "--out", str(scene.folder)]]


SMALL_CASE = ("6gb", ",".join(SMALL), "--shapes 1x2048 --arms unsloth --budget-gb 3")


def _plan(*cases: tuple[str, str, str]) -> Callable[[StepScene], list[Words]]:
    def commands(scene: StepScene) -> list[Words]:
        if scene.rehearsal:
            return [["finetune", "plan", preset, f"model.name={model}", "--json"] for preset, model, _ in cases]
        return [_planner(scene, preset, model, *options.split()) for preset, model, options in cases]

    return commands


def _gemma(scene: StepScene) -> list[Words]:
    where = ["name=gemma", f"model.name={random_folder('tiny' if scene.rehearsal else SMALL[1])}"]
    size = [f"train.max_steps={2 if scene.rehearsal else 20}", "eval.generate=4", "eval.select_by=eval_loss"]
    train = ["finetune", "train", "3gb-gemma3", *where, *ROWS, *BRIEF, *size, "--debug"]
    return [train, _asked(scene.folder / "runs" / "gemma")]


def _study(preset: str) -> Callable[[StepScene], list[Words]]:
    def commands(scene: StepScene) -> list[Words]:
        name = f"gpu-{preset}"
        if scene.rehearsal:
            tiny = [f"model.name={random_folder('tiny')}", *ROWS, *BRIEF, "train.max_steps=2", "eval.generate=2"]
            train = ["finetune", "train", preset, f"name={name}", *tiny, "eval.select_by=eval_loss"]
        else:
            train = ["finetune", "train", preset, "model.name=embedded", f"name={name}", *EIGHT_ROWS]
        evaluate = ["eval", "run", str(scene.folder / "runs" / name)]
        return [train, [*evaluate, *(["--limit", "2"] if scene.rehearsal else [])]]

    return commands


LONGER = {
    "models": STEPS["models"],
    "mix": Step(
        "1.5B on the dataset's lengths, 4 rows a step: plain, Unsloth",
        180,
        1,
        _speed("mix", "hf-trainer,unsloth", "train.micro_batch=4", "train.accumulation=1"),
    ),
    "wide": Step("1.5B at 8x1024: plain, Unsloth", 240, 2, _speed("8x1024", "hf-trainer,unsloth")),
    "length": Step("the longest sequence in 6 GiB, each arm", 420, 3, _length),
    "planner": Step(
        "the memory plan against the allocator: 1.5B, 3B, 7B, Gemma 3 270M, Qwen3-0.6B",
        540,
        3,
        _plan(
            ("6gb", f"{MIDDLE},{LARGE}", ""),
            ("6gb", MIDDLE, "--shapes 1x2048,4x4096 --budget-gb 6"),
            ("6gb-7b", LARGEST, "--shapes 1x1024 --arms unsloth --budget-gb 6"),
            SMALL_CASE,
        ),
    ),
    "study-6gb": Step("the embedded model on the whole dataset, and its evaluation", 900, 4, _study("6gb")),
    "study-6gb-overfit-study": Step("the same for ten epochs", 900, 4, _study("6gb-overfit-study")),
}
"""What a longer lease is for: `--longer`. Needs the embedded model's weights."""

OPEN = {
    "models": STEPS["models"],
    "prefix": replace(STEPS["prefix"], seconds=170, wave=1),
    "peaks": Step("the memory plan of Qwen3-0.6B and Gemma 3 270M against the allocator", 130, 2, _plan(SMALL_CASE)),
    "gemma": Step("Gemma 3 270M by Unsloth: probe, evaluation, generation, best, report; asked", 130, 2, _gemma),
    "wide": replace(LONGER["wide"], seconds=200, wave=3),
}
"""What no card has shown yet (docs/gpu.md, "Not measured"): `--open`, in nine minutes."""
