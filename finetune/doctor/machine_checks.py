"""Everything around the card: Python, compiler, memory, disk, network, and what is special on Windows."""

from functools import partial

from finetune.doctor.check_result import CheckResult, State, found
from finetune.doctor.facts import Facts
from finetune.memory.overheads import CPU_RUN, GIB

GPU_RUN = 8
"""GiB of main memory beside a GPU: 3 GiB of libraries and 4.6 to merge a 1.5B model later."""
RUN_DISK = 0.5
"""GiB without which a run is refused (finetune/runs.py)."""
ROOMY_DISK = 10
"""GiB: a 1.5B model to download (3 GB), checkpoints, and a merged copy."""

_found = partial(found, "machine")


def check_machine(facts: Facts) -> list[CheckResult]:
    """The lines about the rest of the machine; those about Windows only there."""
    found = [_python(facts), _compiler(facts), _memory(facts), _disk(facts), _cache(facts), _network(facts)]
    if facts.windows:
        found += [_long_paths(facts), _paths(facts), _encoding(facts)]
    return found


def _python(facts: Facts) -> CheckResult:
    version = ".".join(map(str, facts.python))
    if (3, 11) <= facts.python[:2] <= (3, 13):
        return _found("python", "fine", "as_it_is", it=version)
    return _found("python", "fault", "python.other", "fix.python", version=version)


def _compiler(facts: Facts) -> CheckResult:
    probe = facts.compiler
    if not probe.failure:
        return _found("compiler", "fine", "compiler.fine", path=probe.answer["path"])
    system = {"Windows": "windows", "Darwin": "darwin"}.get(facts.system, "linux")
    state: State = "note" if facts.card else "warning"
    if probe.missing:
        return _found("compiler", state, "compiler.none", f"fix.compiler_{system}", name=probe.failure)
    return _found("compiler", state, "compiler.broken", f"fix.compiler_{system}", failure=probe.failure)


def _memory(facts: Facts) -> CheckResult:
    free, total = facts.memory_free / GIB, facts.memory_total / GIB
    need = GPU_RUN if facts.card else CPU_RUN
    if free >= need:
        return _found("memory", "fine", "memory.fine", free=free, total=total)
    state: State = "fault" if free < 2 else "warning"
    return _found("memory", state, "memory.little", "fix.memory", free=free, total=total, need=need)


def _disk(facts: Facts) -> CheckResult:
    runs, models = facts.disks["runs"] / GIB, facts.disks["models"] / GIB
    if runs < RUN_DISK:
        state: State = "fault"
    else:
        state = "warning" if min(runs, models) < ROOMY_DISK else "fine"
    return _found("disk", state, "disk.free", "" if state == "fine" else "fix.disk", runs=runs, models=models)


def _cache(facts: Facts) -> CheckResult:
    if facts.cache_writable:
        return _found("compiled code", "fine", "as_it_is", it=facts.cache)
    return _found("compiled code", "fault", "cache.locked", "fix.cache", cache=facts.cache)


def _network(facts: Facts) -> CheckResult:
    probe = facts.probes["hub"]
    if facts.offline:
        return _found("network", "note", "network.offline")
    if probe.answer.get("reached"):
        return _found("network", "fine", "network.fine")
    return _found("network", "note", "network.none", "fix.network", why=probe.failure or probe.answer.get("why", ""))


def _long_paths(facts: Facts) -> CheckResult:
    if facts.long_paths:
        return _found("long paths", "fine", "long_paths.on")
    return _found("long paths", "warning", "long_paths.off", "fix.long_paths")


def _paths(facts: Facts) -> CheckResult:
    """Compilers on Windows read their arguments in the system's code page; a user's name in Hangul is in every path."""
    odd = [str(path) for path in facts.paths.values() if not str(path).isascii()]
    if not odd:
        return _found("paths", "fine", "paths.fine")
    return _found("paths", "warning", "paths.odd", "fix.paths", odd=", ".join(odd))


def _encoding(facts: Facts) -> CheckResult:
    """torch.compile reads its own templates in the system's code page: pytorch#189342, seen with cp949."""
    if facts.utf8:
        return _found("text encoding", "fine", "as_it_is", it="UTF-8")
    return _found("text encoding", "warning", "encoding.cp", "fix.encoding")
