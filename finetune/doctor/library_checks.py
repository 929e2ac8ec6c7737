"""The libraries: there, of the tested versions, and really computing."""

from finetune.doctor.check_result import CheckResult, State, Text
from finetune.doctor.facts import Facts, Probe

NEEDED = ("torch", "unsloth", "transformers", "trl", "peft", "datasets", "bitsandbytes")
_COMMAND = "make setup (Windows: pip install -r requirements.txt)"
SETUP = Text(_COMMAND, _COMMAND)
KERNEL_ERROR = 0.02
"""Relative distance of a 4-bit product from the dense product of the same unpacked weights: rounding of 16-bit sums."""
NF4_ERROR = (0.05, 0.15)
"""Relative distance that NF4 leaves on normal weights: about 0.09. Outside, the packing itself is wrong."""


def check_libraries(facts: Facts) -> list[CheckResult]:
    """Versions, then each library that has something to prove."""
    return [
        _versions(facts),
        _torch(facts),
        _bitsandbytes(facts),
        _triton(facts),
        _xformers(facts),
    ]


def _find(check: str, state: State, says: Text, mend: Text | None = None) -> CheckResult:
    return CheckResult("libraries", check, state, says, mend or Text("", ""))


def _unusable(check: str, probe: Probe) -> CheckResult | None:
    """The fault of a library that is not there or did not come to an answer; None where it did."""
    if probe.missing:
        return _find(check, "fault", Text("not installed", "설치되어 있지 않습니다"), SETUP)
    if probe.failure:
        says = Text(f"does not work: {probe.failure}", f"동작하지 않습니다: {probe.failure}")
        return _find(check, "fault", says, SETUP)
    return None


def _versions(facts: Facts) -> CheckResult:
    missing = [name for name in NEEDED if name not in facts.packages]
    if missing:
        names = ", ".join(missing)
        return _find("versions", "fault", Text(f"not installed: {names}", f"설치되지 않음: {names}"), SETUP)
    differing = [
        f"{name} {facts.packages[name]} ({version})"
        for name, version in facts.pinned.items()
        if name in facts.packages and facts.packages[name].split("+")[0] != version
    ]
    if differing:
        names = ", ".join(differing)
        return _find(
            "versions",
            "warning",
            Text(f"other than the tested set (in brackets): {names}", f"검증한 버전(괄호 안)과 다름: {names}"),
            SETUP,
        )
    if not facts.pinned:
        says = Text("pyproject.toml is not here: nothing to compare with", "pyproject.toml이 없어 비교하지 못했습니다")
        return _find("versions", "note", says)
    count = len(facts.pinned)
    return _find("versions", "fine", Text(f"the {count} that are pinned", f"고정한 {count}개와 같습니다"))


def _torch(facts: Facts) -> CheckResult:
    probe = facts.probes["torch"]
    if fault := _unusable("torch", probe):
        return fault
    version, answer = facts.packages.get("torch", ""), probe.answer
    if not facts.card:
        return _find("torch", "fine", Text(f"{version}, on the processor", f"{version}, CPU에서 계산"))
    if not answer["cuda"]:
        return _find(
            "torch",
            "fault",
            Text(
                f"{version} is built without CUDA: the card is not used",
                f"CUDA 없이 빌드된 {version} 버전이라 카드를 쓰지 못합니다",
            ),
            Text(
                "pip uninstall torch, then install the CUDA build that pytorch.org names for this system.",
                "pip uninstall torch 후 pytorch.org가 안내하는 CUDA 빌드를 설치하십시오.",
            ),
        )
    if not answer["available"]:
        return _find(
            "torch",
            "fault",
            Text(
                f"{version} does not see the card, the driver does",
                f"드라이버는 카드를 인식하지만 torch {version}에서는 보이지 않습니다",
            ),
            Text(
                "Update the driver; see that CUDA_VISIBLE_DEVICES is not set to nothing.",
                "드라이버를 갱신하고, CUDA_VISIBLE_DEVICES가 비어 있지 않은지 확인하십시오.",
            ),
        )
    if answer["product"] != 64:
        got = f"{answer['product']:g}"
        says = Text(f"a product on the card is {got} instead of 64", f"카드의 행렬 곱이 64가 아니라 {got}입니다")
        return _find("torch", "fault", says, SETUP)
    return _find("torch", "fine", Text(f"{version}, computes on the card", f"{version}, 카드에서 계산이 맞습니다"))


def _bitsandbytes(facts: Facts) -> CheckResult:
    probe = facts.probes["bitsandbytes"]
    if fault := _unusable("bitsandbytes", probe):
        return fault
    answer = probe.answer
    kernel, loss = max(answer["kernel"], answer["gradient"]), answer["loss"]
    # Written so that NaN fails.
    if not kernel <= KERNEL_ERROR or not NF4_ERROR[0] <= loss <= NF4_ERROR[1]:
        return _find(
            "bitsandbytes",
            "fault",
            Text(
                f"4-bit products are wrong: {kernel:.2g} off (at most {KERNEL_ERROR:g}), NF4 {loss:.2g} (about 0.09)",
                f"4비트 곱이 틀립니다: 오차 {kernel:.2g}(한도 {KERNEL_ERROR:g}), NF4 {loss:.2g}(정상 약 0.09)",
            ),
            Text(
                "make setup; if it stays, train in 16 bit: model.load_in_4bit=false with a smaller model.",
                "make setup 후에도 같으면 더 작은 모델을 16비트로 학습하십시오: model.load_in_4bit=false",
            ),
        )
    where, ko = ("the card", "카드") if answer["device"] == "cuda" else ("the processor", "CPU")
    return _find(
        "bitsandbytes",
        "fine",
        Text(f"4-bit product and gradient are right on {where}", f"{ko}에서 4비트 곱과 기울기가 맞습니다"),
    )


def _triton(facts: Facts) -> CheckResult:
    if not facts.card:
        return _find("triton", "note", Text("not needed without a card", "카드가 없으면 필요하지 않습니다"))
    probe = facts.probes["triton"]
    mend = (
        Text(
            'pip install "triton-windows==3.6.*" (torch 2.10) and the Visual C++ redistributable, or train in WSL 2.',
            '"triton-windows==3.6.*"(torch 2.10용)와 Visual C++ 재배포 패키지를 설치하거나 WSL 2에서 학습하십시오.',
        )
        if facts.windows
        else SETUP
    )
    if probe.missing:
        return _find("triton", "fault", Text("not installed", "설치되어 있지 않습니다"), mend)
    if probe.failure:
        says = Text(f"no kernel can be compiled: {probe.failure}", f"커널을 컴파일할 수 없습니다: {probe.failure}")
        return _find("triton", "fault", says, mend)
    if probe.answer["sum"] != 1000:
        says = Text(
            f"a kernel gave {probe.answer['sum']:g} instead of 1000",
            f"커널 결과가 1000이 아니라 {probe.answer['sum']:g}입니다",
        )
        return _find("triton", "fault", says, mend)
    return _find("triton", "fine", Text("compiles and runs a kernel", "커널을 컴파일하고 실행했습니다"))


def _xformers(facts: Facts) -> CheckResult:
    """Not needed: torch's own attention takes its place. Before Ampere that is 8 to 21 % slower, says Unsloth."""
    probe = facts.probes["xformers"]
    why, ko = probe.failure or probe.answer.get("why", ""), ""
    if probe.missing:
        why, ko = "not installed", "설치되지 않음"
    elif not why and probe.answer.get("distance", 0.0) > KERNEL_ERROR:
        why, ko = "its attention is wrong", "결과가 틀림"
    if not why:
        if not facts.card:
            return _find(
                "xformers", "fine", Text("its kernels load with this torch", "이 torch와 함께 커널을 불러옵니다")
            )
        says = Text("its kernels load and agree with torch's", "커널이 동작하며 torch와 결과가 같습니다")
        return _find("xformers", "fine", says)
    if not facts.card:
        says = Text(f"not used without a card ({why})", f"카드가 없으면 쓰지 않습니다({ko or why})")
        return _find("xformers", "note", says)
    turing = tuple(facts.card["capability"]) < (8, 0)
    slower = Text("8 to 21 % slower on this card", "이 카드에서는 8~21 % 느립니다")
    same = Text("as fast on this card", "이 카드에서는 속도가 같습니다")
    speed = slower if turing else same
    return _find(
        "xformers",
        "warning" if turing else "note",
        Text(
            f"not used ({why}); torch's attention is, {speed.en}",
            f"쓰지 않고({ko or why}) torch의 attention을 씁니다. {speed.ko}",
        ),
        SETUP if turing else None,
    )
