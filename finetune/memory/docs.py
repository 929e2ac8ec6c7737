"""Writes docs/memory.md and the memory line of the GPU presets from the planner itself: `finetune plan --docs`."""

import inspect
import re
from dataclasses import replace
from pathlib import Path
from statistics import mean

from eval import memory
from finetune.memory import activations, head, inference, overheads, terms
from finetune.memory.fit import LONGEST, longest
from finetune.memory.overheads import GIB, MIB
from finetune.memory.plan import Plan, make_plan
from finetune.memory.published import Comparison, others, t4_rows
from finetune.memory.setup import ENGINES, Engine, Setup, setup_from
from finetune.memory.shapes import KNOWN, shape_of
from finetune.memory.stages import every_preset
from tooltune.config import PRESETS, load_config
from tooltune.files import atomic_write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "memory.md"
TEMPLATE = Path(__file__).with_name("memory.md.jinja")
WEIGHTS = ("quantised weights", "linear weights", "embeddings and LM head", "norms and biases")
ADAPTER = ("adapter", "gradients", "optimizer state")
CARDS = (4, 6, 8)
SCREEN = 0.7
"""GiB that a desktop takes of a card that also drives the screen; reports say 0.3 to 1."""
MODELS = ("Qwen2.5-0.5B", "Qwen2.5-1.5B", "Qwen2.5-3B", "Qwen2.5-7B", "Llama-3.2-1B", "Llama-3.2-3B")
LENGTHS = (512, 1024, 2048, 4096)
FORMULAS = (
    terms.nf4,
    terms.embeddings,
    terms.small_weights,
    terms.adapter_tensors,
    terms.gradients,
    terms.optimizer,
    activations.dequantised,
    activations.checkpoints,
    activations.masks,
    activations._unsloth_layer,
    activations._unsloth_kept,
    activations._transformers_layer,
    activations._transformers_kept,
    activations.packed_attention,
    activations.score_matrices,
    head.held,
    head.tiled,
    head.block_rows,
    head.own_block,
    head.loss,
    inference.forward,
    inference.evaluation,
    inference.kv_cache,
    inference.generation,
    inference.later_answers,
    memory.answering,
    memory.rows_that_fit,
    inference.loading,
    inference.merge_on_host,
    overheads.expected,
    overheads.gate,
    overheads.to_load,
)


def write_docs() -> list[Path]:
    """Write the page and renew the memory tables in the presets' headers; return what was written."""
    with atomic_write(PAGE) as f:
        f.write(page())
    written = [PAGE]
    for path in sorted(PRESETS.glob("*gb*.yaml")):
        text = with_table(path.read_text(encoding="utf-8"), path.stem)
        with atomic_write(path) as f:
            f.write(text)
        written.append(path)
    return written


def with_table(text: str, preset: str) -> str:
    """A preset's text with the table in its header renewed: from the line `Memory` to the line before `Change`."""
    return re.sub(r"^#   Memory.*?(?=^#   Change)", lambda _: preset_table(preset), text, flags=re.M | re.S)


def preset_table(name: str) -> str:
    """What a preset takes on both generations of cards, GiB, as comment lines."""
    config = load_config(name)
    budget = config.memory.card_gb or 6
    shape, _ = shape_of(config.model.name)
    plans = [make_plan(setup_from(config, shape, "unsloth", turing=turing, xformers=True)) for turing in (True, False)]
    size = {term.name: [p.terms[n].size for p in plans] for n, term in enumerate(plans[0].terms)}
    weights = [sum(s) for s in zip(*(size[n] for n in WEIGHTS if n in size), strict=True)]
    adapter = [sum(s) for s in zip(*(size[n] for n in ADAPTER), strict=True)]
    step = [max(p.phases["forward and loss"], p.phases["backward"]) for p in plans]
    rest = [s - w - a for s, w, a in zip(step, weights, adapter, strict=True)]
    phase = " / ".join(dict.fromkeys(p.peak for p in plans))
    verdicts = [p.verdict(budget * GIB) for p in plans]
    rows = [
        ("weights, embeddings", weights, ""),
        ("adapter, gradients, optimizer", adapter, ""),
        ("a step's activations and loss", rest, ""),
        ("generating, instead of a step", size["generation"], ""),
        ("tensors at the peak", [p.allocated for p in plans], f"   {phase}"),
        ("expected in use", [p.expected for p in plans], ""),
        ("must be free", [p.gate for p in plans], f"   of {budget:g}: " + " / ".join(dict.fromkeys(verdicts))),
    ]
    lines = [f"#   Memory {'(planned, GiB)':<32}{'GTX 16, RTX 20':>15}{'RTX 30 and on':>15}"]
    lines += [f"#          {what:<32}{gib(a):>15}{gib(b):>15}{note}" for what, (a, b), note in rows]
    return "\n".join(lines) + "\n"


def page() -> str:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    # Markdown of this project's own template and figures: nothing in it is HTML.
    template = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    t4_summary, t4 = _against_t4()
    return template.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        cards=_cards(),
        screen=SCREEN,
        presets=_presets(),
        largest=_largest(),
        longest=f"{LONGEST:,}",
        lengths=_lengths(),
        stretch=_stretch(),
        plans=_plans(),
        t4_summary=t4_summary,
        t4=t4,
        others=_others(),
        formulas=_formulas(),
    )


def gib(size: float) -> str:
    """Bytes as GiB with two decimals, without the unit."""
    return f"{size / GIB:.2f}"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; every column but the first is aligned right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cards() -> str:
    """For someone who looks at a card's box: the largest model, and how long its rows and those of smaller ones get."""
    rows = []
    for card in CARDS:
        for what, free in ((f"**{card} GB**", card), (f"{card} GB, drives the screen", card - SCREEN)):
            fitting = [n for n, shape in KNOWN.items() if _fits(Setup(shape, length=1024), free)]
            largest = max(fitting, key=lambda n: KNOWN[n].parameters)
            found = [longest(Setup(KNOWN[name]), free * GIB) for name in MODELS[:4]]
            rows.append([what, largest, _tokens(longest(Setup(KNOWN[largest]), free * GIB)), *map(_tokens, found)])
    return table(["card", "largest model", "its longest rows", *MODELS[:4]], rows)


def _presets() -> str:
    """Training, evaluation and export of each preset, for both generations of cards."""
    older, newer = every_preset(turing=True, xformers=True), every_preset(turing=False, xformers=True)
    rows = []
    for name, (budget, jobs) in newer.items():
        pairs = [(gib(stage.gate), stage.verdict) for stages in (older[name][1], jobs) for stage in stages[:2]]
        free, verdicts = [size for size, _ in pairs], {verdict for _, verdict in pairs}
        training, evaluation, export = jobs
        card = [f"{free[0]} / {free[2]}", f"{free[1]} / {free[3]}, {evaluation.batch} at a time"]
        host = [gib(training.host), f"{gib(export.host)}, {gib(export.disk)} of disk"]
        rows.append([f"`{name}`", f"{budget / GIB:g}", *card, ", ".join(sorted(verdicts)), *host])
    heads = ["preset", "card, GiB", "training", "evaluation", "", "training: main memory", "export: main memory"]
    return table(heads, rows)


def _tokens(length: int | None) -> str:
    return f"{length:,}{'+' if length == LONGEST else ''}" if length else "–"


def _largest() -> str:
    def best(card: int, engine: Engine) -> str:
        fitting = [n for n, shape in KNOWN.items() if _fits(Setup(shape, engine, length=2048), card)]
        return max(fitting, key=lambda n: KNOWN[n].parameters, default="none")

    rows = [[f"{card} GB", *[best(card, engine) for engine in ENGINES]] for card in CARDS]
    return table(["card, all of it free", *ENGINES.values()], rows)


def _fits(s: Setup, card: float) -> bool:
    return make_plan(s).verdict(card * GIB) == "fits"


def _lengths() -> str:
    rows = []
    for name, shape in KNOWN.items():
        found = [longest(Setup(shape), card * GIB) for card in CARDS]
        if any(found):
            rows.append([name, *map(_tokens, found)])
    return table(["model", *[f"{card} GB" for card in CARDS]], rows)


def _stretch() -> str:
    rows = []
    for length in LENGTHS:
        plain = Setup(KNOWN["Qwen2.5-7B"], length=length)
        offloaded = replace(plain, offload_embedding=True)
        swapped = next(s for k in range(28) if _fits(s := replace(offloaded, swapped=k), 6))
        plan = make_plan(swapped)
        cells = [*map(_cell, (make_plan(plain), make_plan(offloaded))), f"{swapped.swapped} of 28: {_cell(plan)}"]
        rows.append([f"{length:,}", *cells, gib(plan.in_host)])
    heads = ["tokens", "all on the card", "embedding in host memory", "and so many layers swapped", "host memory, GiB"]
    return table(heads, rows)


def _cell(plan: Plan, card: int = 6) -> str:
    mark = {"fits": "", "tight": " tight", "does not fit": " no"}[plan.verdict(card * GIB)]
    return f"{gib(plan.gate)} / {gib(plan.expected)}{mark}"


def _plans() -> str:
    rows = []
    for name in MODELS:
        for length in LENGTHS:
            plans = [make_plan(Setup(KNOWN[name], engine, length=length)) for engine in ENGINES]
            tensors = [f"{p.allocated / MIB:,.0f}" for p in plans]
            rows.append([f"{name}, 1 × {length:,}", *tensors, *[_cell(p) for p in plans]])
    heads = ["model, micro-batch × length", *[f"{n}: tensors, MiB" for n in ENGINES.values()]]
    return table([*heads, *[f"{n}: free / expected, GiB" for n in ENGINES.values()]], rows)


def _against_t4() -> tuple[str, str]:
    rows = t4_rows()
    lines = []
    for kind, note in (("sdpa", ""), ("eager", "; the two coefficients of eager attention were fitted to these rows")):
        errors = [c.error for row, c in rows if row["attention"] == kind]
        size = mean(map(abs, errors))
        lines.append(
            f"- {len(errors)} rows with {kind} attention: mean error {mean(errors):+.2%}, mean size {size:.2%}, "
            f"from {min(errors):+.2%} to {max(errors):+.2%}{note}."
        )
    cells = []
    for row, c in (pair for pair in rows if pair[0]["attention"] == "sdpa"):
        sizes = [f"{c.published / MIB:,.0f}", f"{c.planned / MIB:,.0f}", f"{c.error:+.2%}"]
        cells.append([c.what, *sizes, f"{row['peak_reserved_mib']:,}"])
    heads = ["run", "measured allocated, MiB", "planned, MiB", "error", "measured reserved, MiB"]
    return "\n".join(lines), table(heads, cells)


def _others() -> str:
    rows = [[c.what, *_quantities(c), f"{c.error:+.0%}", c.note] for c in others()]
    return table(["what", "published", "planned", "difference", "note"], rows)


def _quantities(c: Comparison) -> list[str]:
    if c.published < 1000:
        return [f"{c.published:g} B", f"{c.planned:.1f} B"]
    return [f"{gib(c.published)} GiB", f"{gib(c.planned)} GiB"]


def _formulas() -> str:
    entries = []
    for function in FORMULAS:
        module = function.__module__.rsplit(".", 1)[1]
        text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        entries.append(f"- `{module}.{function.__name__}`: {text}")
    return "\n".join(entries)
