"""The libraries: there, of the tested versions, and really computing."""

from functools import partial

from finetune.doctor.check_result import CheckResult, found, say
from finetune.doctor.facts import Facts, Probe

NEEDED = ("torch", "unsloth", "transformers", "trl", "peft", "datasets", "bitsandbytes")
KERNEL_ERROR = 0.02
"""Relative distance of a 4-bit product from the dense product of the same unpacked weights: rounding of 16-bit sums."""
NF4_ERROR = (0.05, 0.15)
"""Relative distance that NF4 leaves on normal weights: about 0.09. Outside, the packing itself is wrong."""
SETUP = "fix.setup"

_found = partial(found, "libraries")


def check_libraries(facts: Facts) -> list[CheckResult]:
    """Versions, then each library that has something to prove."""
    return [_versions(facts), _torch(facts), _bitsandbytes(facts), _triton(facts), _xformers(facts)]


def _unusable(check: str, probe: Probe) -> CheckResult | None:
    """The fault of a library that is not there or did not come to an answer; None where it did."""
    if probe.missing:
        return _found(check, "fault", "library.missing", SETUP)
    if probe.late:
        return _found(check, "fault", "library.late", "fix.late")
    return _found(check, "fault", "library.broken", SETUP, failure=probe.failure) if probe.failure else None


def _versions(facts: Facts) -> CheckResult:
    if missing := [name for name in NEEDED if name not in facts.packages]:
        return _found("versions", "fault", "versions.missing", SETUP, names=", ".join(missing))
    differing = [
        f"{name} {facts.packages[name]} ({version})"
        for name, version in facts.pinned.items()
        if name in facts.packages and facts.packages[name].split("+")[0] != version
    ]
    if differing:
        return _found("versions", "warning", "versions.other", SETUP, names=", ".join(differing))
    if not facts.pinned:
        return _found("versions", "note", "versions.unknown")
    return _found("versions", "fine", "versions.fine", count=len(facts.pinned))


def _torch(facts: Facts) -> CheckResult:
    probe = facts.probes["torch"]
    if fault := _unusable("torch", probe):
        return fault
    version, answer = facts.packages.get("torch", ""), probe.answer
    if not facts.card:
        return _found("torch", "fine", "torch.cpu", version=version)
    if not answer["cuda"]:
        return _found("torch", "fault", "torch.no_cuda", "fix.no_cuda", version=version)
    if not answer["available"]:
        return _found("torch", "fault", "torch.blind", "fix.blind", version=version)
    if answer["product"] != 64:
        return _found("torch", "fault", "torch.wrong", SETUP, product=answer["product"])
    return _found("torch", "fine", "torch.fine", version=version)


def _bitsandbytes(facts: Facts) -> CheckResult:
    probe = facts.probes["bitsandbytes"]
    if fault := _unusable("bitsandbytes", probe):
        return fault
    answer = probe.answer
    kernel, loss = max(answer["kernel"], answer["gradient"]), answer["loss"]
    # Written so that NaN fails.
    if not kernel <= KERNEL_ERROR or not NF4_ERROR[0] <= loss <= NF4_ERROR[1]:
        figures = {"kernel": kernel, "limit": KERNEL_ERROR, "loss": loss}
        return _found("bitsandbytes", "fault", "bitsandbytes.wrong", "fix.four_bit", **figures)
    return _found("bitsandbytes", "fine", f"bitsandbytes.fine_{answer['device']}")


def _triton(facts: Facts) -> CheckResult:
    if not facts.card:
        return _found("triton", "note", "triton.no_card")
    probe, fix = facts.probes["triton"], "fix.triton_windows" if facts.windows else SETUP
    if probe.missing:
        return _found("triton", "fault", "library.missing", fix)
    if probe.failure:
        return _found("triton", "fault", "triton.broken", fix, failure=probe.failure)
    if probe.answer["sum"] != 1000:
        return _found("triton", "fault", "triton.wrong", fix, sum=probe.answer["sum"])
    return _found("triton", "fine", "triton.fine")


def _xformers(facts: Facts) -> CheckResult:
    """Not needed: torch's own attention takes its place. Before Ampere that is 8 to 21 % slower, says Unsloth."""
    probe = facts.probes["xformers"]
    why = probe.failure or probe.answer.get("why", "")
    if probe.missing:
        why = say("xformers.missing")
    elif not why and probe.answer.get("distance", 0.0) > KERNEL_ERROR:
        why = say("xformers.wrong")
    if not why:
        return _found("xformers", "fine", "xformers.fine" if facts.card else "xformers.fine_cpu")
    if not facts.card:
        return _found("xformers", "note", "xformers.no_card", why=why)
    if tuple(facts.card["capability"]) < (8, 0):
        return _found("xformers", "warning", "xformers.slower", SETUP, why=why)
    return _found("xformers", "note", "xformers.same", why=why)
