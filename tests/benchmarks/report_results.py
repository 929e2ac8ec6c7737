"""Small hand-made results of every kind for the report's tests. None of their figures was measured."""

import copy
import math
from typing import Any

from benchmarks.results import summarise

HOSTILE = [
    '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">',
    "</script><script>window.hacked = 1</script>",
    "a | b\n# c [d](javascript:hacked) `e` $\\frac{1}{2}$ {{ 7 * 7 }} [red]x[/red] \u202eright to left\x07",
]

HEAD: dict[str, Any] = {
    "date": "2026-11-25",
    "device": {"kind": "cpu", "name": "Two-core processor (2 threads, AVX512)", "memory_gib": 24.0},
    "environment": {
        "python": "3.11.9",
        "platform": "Linux-6.1-x86_64",
        "packages": {"torch": "2.10.0", "transformers": "5.17.0", "trl": "1.15.0", "unsloth": "2026.10.9"},
        "cuda": None,
        "driver": None,
        "git_commit": "0123abc",
    },
    "config": {"model": {"name": "embedded", "load_in_4bit": True}, "lora": {"r": 16, "alpha": 32}},
    "settings": {"repeats": 3, "steps": 24, "warmup_steps": 4, "notes": ["torch.compile is off in both arms."]},
    "budget_gib": None,
    "emulated": False,
    "complete": True,
    "valid": True,
    "verdict": "made by hand",
}


def run_of(
    repeat: int, speed: float, memory: float, first: float, shift: float = 0.0, fused: Any = None
) -> dict[str, Any]:
    """One repeat: 4 rows a step, lengths that vary, losses that fall."""
    lengths = [300 + 37 * (i * 7 % 11) for i in range(24)]
    seconds = [4 / speed * length / 480 * (1 + 0.02 * math.sin(5 * i + repeat)) for i, length in enumerate(lengths)]
    seconds[0] = first
    seconds[1] *= 1.6
    steady = seconds[4:]
    tokens = [4 * length * 0.9 for length in lengths]
    losses = [0.25 + 2.0 * math.exp(-i / 6) + 0.08 * math.sin(3.1 * i) + shift * (i > 4) * i / 10 for i in range(24)]
    total = sum(steady)
    return {
        "repeat": repeat, "status": "ok", "reason": None, "losses": losses, "step_seconds": seconds,
        "step_tokens": tokens, "step_padded": [4 * n for n in lengths], "step_supervised": [0.18 * t for t in tokens],
        "train_samples_per_second": 96 / sum(seconds), "samples_per_second": 80 / total,
        "tokens_per_second": sum(tokens[4:]) / total, "supervised_tokens_per_second": 0.18 * sum(tokens[4:]) / total,
        "seconds_per_step": total / 20, "padding_share": 0.1,
        "mfu": 0.19 * speed, "matmul_gflops": 401.0 + repeat, "matmul_dtype": "bfloat16",
        "peak_allocated_gib": None, "peak_reserved_gib": None,
        "driver_used_gib": None, "peak_rss_gib": memory, "time_to_first_step_s": first + 3,
        "compile_seconds": first if fused else None, "fused": fused, "warnings": [],
    }  # fmt: skip


def arm_of(name: str, runs: list[dict[str, Any]], status: str = "ok", reason: str | None = None) -> dict[str, Any]:
    """An arm with the summary of its repeats."""
    summary = summarise(runs)  # type: ignore[arg-type]
    return {"arm": name, "status": status, "reason": reason, "different_batches": False, "runs": runs,
            "summary": summary}  # fmt: skip


def failed_run(repeat: int, status: str, reason: str) -> dict[str, Any]:
    """A repeat that came to nothing."""
    return {"repeat": repeat, "status": status, "reason": reason}


FUSED = {"qkv": [30, 30], "mlp": [30, 30], "o": [28, 30]}


def train(shift: float = 0.0) -> dict[str, Any]:
    """Two arms, three repeats; `shift` pulls the second arm's losses away."""
    slow = [run_of(i, 1.5 + 0.06 * i, 5.1 + 0.05 * i, 31.0 - 4 * i) for i in range(3)]
    fast = [run_of(i, 2.4 + 0.05 * i, 3.5 + 0.08 * i, 17.0 + i, shift or 0.0006, FUSED) for i in range(3)]
    fast[0]["warnings"] = ["Unsloth: 2 of 30 output projections could not be fused"]
    difference = max(abs(a - b) for a, b in zip(slow[0]["losses"][:20], fast[0]["losses"][:20], strict=True))
    faster = {"arm": "unsloth", "against": "hf-trainer", "ratio": 1.57, "low": 1.48, "high": 1.67}
    shape = {
        "shape": "mix", "micro_batch": 4, "length": None,
        "arms": [arm_of("hf-trainer", slow), arm_of("unsloth", fast)],
        "parity": [
            {"arm": "unsloth", "against": "hf-trainer", "max_difference": difference, "steps": 20, "limit": 0.02,
             "passed": difference < 0.02}
        ],
        "speedup": [] if shift else [faster],
    }  # fmt: skip
    return {"kind": "train", **copy.deepcopy(HEAD), "valid": not shift, "shapes": [shape]}


def with_failures() -> dict[str, Any]:
    """A card, an emulated budget, two shapes: one arm out of memory, one crashed, one on other batches."""
    result = train()
    result |= {
        "device": {"kind": "cuda", "name": "NVIDIA A100", "memory_gib": 79.3},
        "budget_gib": 6,
        "emulated": True,
        "complete": False,
    }
    for i, shape in enumerate((result["shapes"][0], copy.deepcopy(result["shapes"][0]))):
        for arm in shape["arms"]:
            for run in arm["runs"]:
                memory = run["peak_rss_gib"]
                run |= {
                    "peak_allocated_gib": memory * 0.8,
                    "peak_reserved_gib": memory,
                    "driver_used_gib": memory + 0.4,
                }
            arm |= arm_of(arm["arm"], arm["runs"])
        shape |= {"shape": ("1x512", "1x2048")[i], "micro_batch": 1, "length": (512, 2048)[i]}
        if i == 0:
            packing = arm_of("unsloth+packing", [run_of(0, 3.4, 3.7, 18.0, 0.0, FUSED)])
            shape["arms"].append(packing | {"different_batches": True})
        else:
            reason = "CUDA out of memory: tried to allocate 1.74 GiB, 0.61 GiB of 6.00 GiB are free"
            oom = [failed_run(n, "out of memory", reason) for n in range(3)]
            shape["arms"][0] = arm_of("hf-trainer", oom, "out of memory", reason)
            crash = [failed_run(0, "crashed", "signal 11 after step 3")]
            shape["arms"].append(arm_of("hf", crash, "crashed", "signal 11 after step 3"))
            shape |= {"parity": [], "speedup": []}
            result["shapes"].append(shape)
    return result


def hostile() -> dict[str, Any]:
    """Strings that would be markup, script or formulas if they were not shown as text."""
    result = with_failures()
    result["device"]["name"], result["date"], result["verdict"] = HOSTILE[0], HOSTILE[1], HOSTILE[2]
    result["environment"]["packages"][HOSTILE[2]] = HOSTILE[0]
    result["settings"][HOSTILE[1]] = HOSTILE[2]
    result["config"]["model"]["name"] = HOSTILE[1]
    for shape in result["shapes"]:
        arm = shape["arms"][-1]
        arm["arm"], arm["reason"] = HOSTILE[2], HOSTILE[0]
        for run in arm["runs"]:
            run |= {"reason": HOSTILE[1], "warnings": [HOSTILE[0]]}
    return result


def length() -> dict[str, Any]:
    """The longest sequence in 6 GiB; the last arm cannot run."""

    def arm(name: str, slope: float) -> dict[str, Any]:
        peaks = {n: 1.6 + slope * n / 1024 for n in (512, 1024, 1536, 2048, 3072, 4096, 6144)}
        tried = [
            {"length": n, "status": "ok" if peak < 6 else "out of memory", "reason": None,
             "peak_reserved_gib": peak if peak < 6 else None, "peak_rss_gib": 2.5}
            for n, peak in peaks.items()
        ]  # fmt: skip
        longest = max(n for n, peak in peaks.items() if peak < 6)
        return {"arm": name, "status": "ok", "reason": None, "longest": longest, "capped": longest == 6144,
                "tried": tried}  # fmt: skip

    arms = [arm(name, slope) for name, slope in (("hf-trainer", 2.9), ("hf", 1.5), ("unsloth", 0.7))]
    missing = {"arm": "hf+liger", "status": "skipped", "reason": "liger-kernel is not installed", "longest": None,
               "capped": False, "tried": []}  # fmt: skip
    head = {key: value for key, value in copy.deepcopy(HEAD).items() if key not in ("settings", "valid")}
    card = {"kind": "cuda", "name": "NVIDIA A100", "memory_gib": 79.3}
    return {"kind": "length", **head, "device": card, "budget_gib": 6, "emulated": True, "arms": [*arms, missing],
            "grain": 128, "random_weights": True}  # fmt: skip


def recipe() -> dict[str, Any]:
    """A preset that reaches the target in half the time."""
    arms = [
        {"arm": name, "status": "ok", "reason": None, "reached": True, "seconds_to_target": seconds,
         "seconds_with_setup": seconds + 40, "samples_to_target": 192, "samples_per_second": 192 / seconds,
         "tokens_per_sample": tokens, "tokens_per_second": 192 * tokens / seconds, "peak_memory_gib": memory,
         "curve": [[t * seconds / 8, 24 * t, 0.2 + 1.4 * math.exp(-t / 2.2)] for t in range(12)], "config": {}}
        for name, seconds, tokens, memory in (("plain-hf", 612.0, 610.0, 5.2), ("preset", 291.0, 343.0, 3.6))
    ]  # fmt: skip
    head = {key: value for key, value in copy.deepcopy(HEAD).items() if key != "config"}
    factors = {"samples": 1.0, "tokens_per_sample": 610 / 343, "tokens_per_second": 1.18}
    return {"kind": "recipe", **head, "arms": arms, "target_loss": 0.237, "ratio": 612 / 291, "at_least": False,
            "factors": factors}  # fmt: skip


def plans() -> dict[str, Any]:
    """Two models under a budget: one plan too low, one run out of memory that was planned to fit, one as planned."""

    def case(model: str, shape: str, arm: str, planned: float, allocated: float | None) -> dict[str, Any]:
        rows, length = shape.split("x")
        gate = planned * 1.25 + 0.6
        return {
            "arm": f"{model}, {rows} × {int(length):,}, {arm}", "model": f"Qwen/{model}", "engine": arm, "shape": shape,
            "micro_batch": int(rows), "length": int(length),
            "status": "ok" if allocated else "out of memory", "reason": None if allocated else "CUDA out of memory",
            "labelled": 0.2, "planned_gib": planned, "expected_gib": planned * 1.2 + 0.3, "gate_gib": gate,
            "phase": "backward", "verdict": "fits" if gate <= 6 else "does not fit", "allocated_gib": allocated,
            "reserved_gib": allocated and allocated + 0.3, "error": allocated and round(planned / allocated - 1, 4),
        }  # fmt: skip

    arms = [
        case("Qwen2.5-0.5B-Instruct", "1x512", "unsloth", 0.71, 0.7),
        case("Qwen2.5-0.5B-Instruct", "4x1024", "hf", 2.4, 2.39),
        case("Qwen2.5-1.5B-Instruct", "1x2048", "hf-trainer", 6.2, None),
        case("Qwen2.5-1.5B-Instruct", "1x1024", "hf", 3.0, 3.3),
        case("Qwen2.5-1.5B-Instruct", "1x2048", "unsloth", 2.9, None),
    ]
    head = copy.deepcopy(HEAD) | {"settings": {"steps": 3, "random_weights": ["Qwen/Qwen2.5-0.5B-Instruct"]}}
    card = {"kind": "cuda", "name": "NVIDIA A100", "memory_gib": 79.3}
    return {"kind": "planner", **head, "device": card, "budget_gib": 6, "emulated": True, "limit": 0.05, "arms": arms}


ALL = {
    "train": train,
    "invalid": lambda: train(0.4),
    "failures": with_failures,
    "hostile": hostile,
    "length": length,
    "recipe": recipe,
    "planner": plans,
}
