"""The graphics card: driver, generation, precision, memory and who has it."""

import re
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from finetune.doctor.check_result import CheckResult, State, found
from finetune.doctor.facts import Facts
from finetune.memory.overheads import GIB

OLDEST = (7, 0)
"""Compute capability from which Unsloth's and Triton's 4-bit kernels run."""
GTX16 = re.compile(r"GTX 16\d\d", re.I)

_found = partial(found, "card")


def check_card(facts: Facts) -> list[CheckResult]:
    """Every line about the card; one line where there is none."""
    probe = facts.probes["card"]
    if probe.missing:
        return [_found("card", "warning", "card.no_pynvml", "fix.pynvml")]
    if not facts.card:
        return [_found("card", "note", "card.none", "fix.card", why=f" ({probe.failure})" if probe.failure else "")]
    return [*_lines(facts, facts.card)]


def _lines(facts: Facts, card: dict[str, Any]) -> Iterator[CheckResult]:
    yield _driver(facts, card)
    yield _generation(card)
    yield _precision(card)
    yield _memory(card)
    yield _users(card)
    if facts.windows or facts.wsl:
        yield _found("shared memory", "note", "shared_memory", "fix.shared_memory")


def _driver(facts: Facts, card: dict[str, Any]) -> CheckResult:
    """A CUDA program runs on every driver of its major version and on later ones (NVIDIA, "CUDA compatibility")."""
    major, minor = card["cuda"] // 1000, card["cuda"] % 1000 // 10
    built = facts.probes["torch"].answer.get("cuda")
    has = f"{card['driver']} (CUDA {major}.{minor})"
    if built and int(built.split(".")[0]) > major:
        return _found("driver", "fault", "driver.old", "fix.driver", has=has, built=built)
    return _found("driver", "fine", "driver.fine", has=has)


def _generation(card: dict[str, Any]) -> CheckResult:
    capability = tuple(card["capability"])
    name = f"{card['name']}, compute capability {capability[0]}.{capability[1]}"
    if capability < OLDEST:
        return _found("generation", "fault", "generation.old", "fix.generation", name=name)
    if GTX16.search(card["name"]):
        return _found("generation", "warning", "generation.gtx16", "fix.gtx16", name=name)
    return _found("generation", "fine", "as_it_is", it=name)


def _precision(card: dict[str, Any]) -> CheckResult:
    if tuple(card["capability"]) >= (8, 0):
        return _found("precision", "fine", "as_it_is", it="bfloat16")
    return _found("precision", "warning", "precision.float16", "fix.float16")


def _memory(card: dict[str, Any]) -> CheckResult:
    free, total = card["free"] / GIB, card["total"] / GIB
    if presets := fitting_presets(card["free"], tuple(card["capability"]) < (8, 0)):
        return _found("VRAM", "fine", "vram.fine", free=free, total=total, presets=", ".join(presets))
    return _found("VRAM", "fault" if free < 2 else "warning", "vram.little", "fix.vram", free=free, total=total)


def fitting_presets(free: float, turing: bool) -> list[str]:
    """The presets for a GPU whose plan fits in so many free bytes; a study takes what its model's preset takes."""
    return [name for name, gate in _gates(turing).items() if gate <= free]


@cache
def _gates(turing: bool) -> dict[str, int]:
    from finetune.memory.plan import make_plan
    from finetune.memory.setup import setup_from
    from finetune.memory.shapes import shape_of
    from tooltune.config import load_config, preset_names

    gates = {}
    for name in preset_names():
        if not name.startswith("cpu") and not name.endswith("study"):
            config = load_config(name)
            shape, _ = shape_of(config.model.name)
            gates[name] = make_plan(setup_from(config, shape, "unsloth", turing=turing)).gate
    return gates


def _users(card: dict[str, Any]) -> CheckResult:
    used = card["total"] - card["free"]
    names = [_user(user) for user in sorted(card["users"], key=lambda user: -(user["bytes"] or 0))]
    state: State = "warning" if used > 0.25 * card["total"] else "fine"
    if not names:
        return _found("in use", state, "users.unnamed", used=used / GIB)
    listed = ", ".join(names[:5]) + (f", +{len(names) - 5}" if len(names) > 5 else "")
    fix = "fix.users" if state == "warning" else ""
    return _found("in use", state, "users.named", fix, used=used / GIB, listed=listed)


def _user(user: dict[str, Any]) -> str:
    size = f" {user['bytes'] / GIB:.1f} GiB" if user["bytes"] else ""
    return f"{user['name']} ({user['pid']}){size}"
