"""Figures that others measured on a GPU, and the plan of the same set-up. Nothing here was measured by this project."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.memory.head import loss
from finetune.memory.overheads import GIB, MIB, WORKSPACE
from finetune.memory.plan import make_plan
from finetune.memory.setup import Setup
from finetune.memory.shapes import KNOWN, LINEARS, Shape

T4_FILE = Path(__file__).with_name("t4_measured.json")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class Comparison:
    """One published figure beside the plan's.

    Attributes:
        what: the set-up, in words.
        published: bytes, as the source states them.
        planned: bytes of the same quantity.
        note: what differs, where something does.
    """

    what: str
    published: float
    planned: float
    note: str = ""

    @property
    def error(self) -> float:
        """planned / published - 1."""
        return self.planned / self.published - 1


def t4_setup(row: dict[str, Any], shapes: dict[str, Any]) -> Setup:
    """The set-up of a row of the T4 archive: full logits, AdamW in float32, adapter on the attention's linears.

    4-bit rows have no double quantisation and PEFT's k-bit preparation. The card is a Turing.
    """
    m = shapes[row["model"]]
    qwen = m["family"] == "q"
    shape = Shape(
        hidden=m["hidden"],
        intermediate=m["intermediate"],
        layers=m["layers"],
        heads=m["heads"],
        kv_heads=m["kv_heads"],
        head_dim=m["head_dim"],
        vocab=m["vocab"],
        tied=m["tied"],
        family="qwen2" if qwen else "llama",
        qkv_bias=qwen,
    )
    four_bit = row["quant"] == "nf4"
    return Setup(
        shape,
        "full",
        r=row["r"],
        targets=ATTENTION,
        micro_batch=row["micro_batch"],
        length=row["length"],
        accumulation=1,
        four_bit=four_bit,
        kbit=four_bit,
        double_quant=False,
        optimizer="adamw_torch",
        checkpointing="on",
        eager=row["attention"] == "eager",
        turing=True,
    )


def allocated_in_training(s: Setup) -> int:
    """What `max_memory_allocated` would be over training steps alone: the plan's two phases, and cuBLAS' workspace."""
    phases = make_plan(s).phases
    return max(phases["forward and loss"], phases["backward"]) + WORKSPACE


def t4_rows() -> list[tuple[dict[str, Any], Comparison]]:
    """The 33 rows of the T4 archive (Anassbzdd/fitcheck, MIT), peak allocated memory."""
    archive = json.loads(T4_FILE.read_text(encoding="utf-8"))
    rows = []
    for row in archive["rows"]:
        what = (
            f"{row['model']} r {row['r']}, {row['micro_batch']} × {row['length']}, {row['attention']}, {row['quant']}"
        )
        planned = allocated_in_training(t4_setup(row, archive["shapes"]))
        rows.append((row, Comparison(what, row["peak_allocated_mib"] * MIB, planned)))
    return rows


def others() -> list[Comparison]:
    return [*_unsloth_code(), *_parts(), *_notebooks(), *_rtx4080(), *_requirements(), *_context_table()]


def _unsloth_code() -> list[Comparison]:
    """Bytes for a token and a hidden unit: the slope between two lengths, so that what does not grow drops out."""
    short, long = (Setup(KNOWN["Llama-3.1-8B"], length=n, labelled=0.01, xformers=False) for n in (8192, 16384))
    more = make_plan(long).phases["backward"] - make_plan(short).phases["backward"]
    planned = more / ((long.tokens - short.tokens) * long.shape.hidden)
    what = "Llama-3.1-8B, Unsloth: bytes a token and hidden unit (the comment in unsloth_zoo/block_swap.py)"
    return [Comparison(what, 42, planned, "bytes, not GiB")]


def _parts() -> list[Comparison]:
    """Published sizes of one part: the weights of a 4-bit model, the loss of transformers."""
    shape = KNOWN["Qwen2.5-7B"]
    linears = shape.layers * sum(i * o for i, o in map(shape.linear, LINEARS))
    footprint = linears / 2 + 2 * (2 * shape.embedding + shape.small)
    thousand = loss(Setup(KNOWN["Qwen2.5-1.5B"], "full", length=1024))
    return [
        Comparison(
            "Qwen2.5-7B in 4 bit, `get_memory_footprint`", 5.443e9, footprint, "it leaves out the scales, so here too"
        ),
        Comparison(
            "Qwen2.5-1.5B, transformers' loss for 1,024 tokens",
            1.74 * GIB,
            thousand,
            "the source counts 12 bytes a logit; the T4 runs fit 14",
        ),
    ]


def _notebooks() -> list[Comparison]:
    setups = [("Llama-3.2-3B", 6.531), ("Qwen2.5-7B", 7.893)]
    found = []
    for model, gb in setups:
        s = Setup(KNOWN[model], r=16, micro_batch=2, turing=True, accumulation=4)
        what = f"{model}, Unsloth notebook, T4, 2 × up to 2048, r 16: peak reserved"
        found.append(Comparison(what, gb * GIB, make_plan(s).allocated, "an older build, whose loss built more logits"))
    return found


def _rtx4080() -> list[Comparison]:
    rows = [(1, 512, 2.91), (1, 1024, 4.36), (1, 2048, 7.10), (2, 1024, 6.88)]
    found = []
    for batch, length, gib in rows:
        s = Setup(
            KNOWN["Qwen2.5-1.5B"], "full", r=16, targets=ATTENTION, micro_batch=batch, length=length, kbit=True,
            checkpointing="on",
        )  # fmt: skip
        what = f"Qwen2.5-1.5B, plain transformers QLoRA, RTX 4080, {batch} × {length}, r 16, attention only"
        found.append(
            Comparison(
                what,
                gib * GIB,
                allocated_in_training(s),
                "taken as allocated memory after k-bit preparation; the source says neither",
            )
        )
    return found


def _requirements() -> list[Comparison]:
    rows = [("Qwen2.5-3B", 3.5), ("Qwen2.5-7B", 5.0), ("Llama-3.1-8B", 6.0), ("Qwen2.5-14B", 8.5)]
    note = "the least they name; here 1 × 512 and the embedding in host memory"
    return [
        Comparison(
            f"{model}, Unsloth's requirements page, QLoRA",
            gb * 1e9,
            make_plan(Setup(KNOWN[model], length=512, offload_embedding=True)).expected,
            note,
        )
        for model, gb in rows
    ]


def _context_table() -> list[Comparison]:
    llama = KNOWN["Llama-3.1-8B"]
    found = []
    for gb, tokens in ((8, 2_972), (80, 342_733)):
        what = f"Llama-3.1-8B r 32, Unsloth's context table: {tokens:,} tokens on a card of {gb} GB"
        planned = make_plan(Setup(llama, r=32, length=tokens, new_tokens=0)).expected
        found.append(Comparison(what, gb * GIB, planned, "an older build"))
    for gb, tokens in ((12, 932), (80, 28_454)):
        what = f"the same table, transformers with FlashAttention 2: {tokens:,} tokens on a card of {gb} GB"
        s = Setup(llama, "full", r=32, length=tokens, kbit=True, checkpointing="on", new_tokens=0)
        found.append(Comparison(what, gb * GIB, make_plan(s).expected, "k-bit prepared"))
    return found
