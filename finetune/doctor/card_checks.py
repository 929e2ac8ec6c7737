"""The graphics card: driver, generation, precision, memory and who has it."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from finetune.doctor.check_result import CheckResult, State, Text
from finetune.doctor.facts import Facts
from finetune.memory.overheads import GIB

OLDEST = (7, 0)
"""Compute capability from which Unsloth's and Triton's 4-bit kernels run."""
GTX16 = re.compile(r"GTX 16\d\d", re.I)
SHARED = Text(
    'In the NVIDIA Control Panel, "Manage 3D settings", set "CUDA - Sysmem Fallback Policy" to "Prefer No Sysmem '
    'Fallback" for python.exe: a run then stops at once instead of crawling.',
    'NVIDIA 제어판의 "3D 설정 관리"에서 python.exe의 "CUDA - Sysmem Fallback Policy"를 "Prefer No Sysmem Fallback"으로 '
    "바꾸십시오. 메모리가 모자라면 느려지는 대신 바로 멈춥니다.",
)


def check_card(facts: Facts) -> list[CheckResult]:
    """Every line about the card; one line where there is none."""
    probe = facts.probes["card"]
    if probe.missing:
        says = Text("pynvml is not installed, so the card cannot be seen", "pynvml이 없어 그래픽 카드를 볼 수 없습니다")
        return [_find("card", "warning", says, Text("pip install nvidia-ml-py", "pip install nvidia-ml-py"))]
    if not facts.card:
        return [_no_card(probe.failure)]
    return [*_lines(facts, facts.card)]


def _lines(facts: Facts, card: dict[str, Any]) -> Iterator[CheckResult]:
    yield _driver(facts, card)
    yield _generation(card)
    yield _precision(card)
    yield _memory(card)
    yield _users(card)
    if facts.windows or facts.wsl:
        says = Text(
            "when the card is full, the driver moves memory to main memory without a word: 10 to 100 times slower; a "
            "run therefore takes at most 90 % of what is free when it begins",
            "그래픽 메모리가 가득 차면 드라이버가 말없이 시스템 메모리로 넘겨 10~100배 느려집니다. 그래서 시작할 때 "
            "비어 있는 메모리의 90 %까지만 씁니다",
        )
        yield _find("shared memory", "note", says, SHARED)


def _find(check: str, state: State, says: Text, mend: Text | None = None) -> CheckResult:
    return CheckResult("card", check, state, says, mend or Text("", ""))


def _no_card(failure: str) -> CheckResult:
    why = f" ({failure})" if failure else ""
    return _find(
        "card",
        "note",
        Text(
            f"no NVIDIA card or driver was found{why}: the cpu preset trains a small model on the processor",
            f"NVIDIA 카드나 드라이버가 없습니다{why}. cpu 프리셋이 작은 모델을 CPU에서 학습합니다",
        ),
        Text(
            "If there is a card in this machine, install its driver from nvidia.com.",
            "카드가 있는 컴퓨터라면 nvidia.com에서 드라이버를 설치하십시오.",
        ),
    )


def _driver(facts: Facts, card: dict[str, Any]) -> CheckResult:
    """A CUDA program runs on every driver of its major version and on later ones (NVIDIA, "CUDA compatibility")."""
    major, minor = card["cuda"] // 1000, card["cuda"] % 1000 // 10
    built = facts.probes["torch"].answer.get("cuda")
    has = f"{card['driver']} (CUDA {major}.{minor})"
    if built and int(built.split(".")[0]) > major:
        return _find(
            "driver",
            "fault",
            Text(
                f"driver {has} is too old for torch, which is built for CUDA {built}",
                f"드라이버 {has}가 오래되어 CUDA {built}용 torch를 쓸 수 없습니다",
            ),
            Text(
                "Install a current driver from nvidia.com and restart.",
                "nvidia.com에서 최신 드라이버를 설치하고 다시 시작하십시오.",
            ),
        )
    return _find("driver", "fine", Text(f"driver {has}", f"드라이버 {has}"))


def _generation(card: dict[str, Any]) -> CheckResult:
    capability = tuple(card["capability"])
    name = f"{card['name']}, compute capability {capability[0]}.{capability[1]}"
    if capability < OLDEST:
        return _find(
            "generation",
            "fault",
            Text(
                f"{name}: older than 7.0, for which torch and Unsloth have no kernels",
                f"{name}: 7.0보다 오래되어 torch와 Unsloth에 맞는 커널이 없습니다",
            ),
            Text("Train on the processor: make train ARGS=cpu", "CPU에서 학습하십시오: make train ARGS=cpu"),
        )
    if GTX16.search(card["name"]):
        return _find(
            "generation",
            "warning",
            Text(
                f"{name}: GTX 16xx cards are known for NaN in fp16, and 4-bit on them is doubtful",
                f"{name}: GTX 16xx는 fp16에서 NaN이 나는 것으로 알려져 있고 4비트 연산도 확실하지 않습니다",
            ),
            Text(
                "See the bitsandbytes line. If a run stops with NaN: model.dtype=float32 with a smaller model.",
                "아래 bitsandbytes 줄을 보십시오. NaN으로 멈추면 더 작은 모델로 model.dtype=float32를 쓰십시오.",
            ),
        )
    return _find("generation", "fine", Text(name, name))


def _precision(card: dict[str, Any]) -> CheckResult:
    if tuple(card["capability"]) >= (8, 0):
        return _find("precision", "fine", Text("bfloat16", "bfloat16"))
    return _find(
        "precision",
        "warning",
        Text(
            "float16: cards before RTX 30 have no bfloat16. Training works with loss scaling; a NaN stops the run",
            "float16: RTX 30 이전 카드에는 bfloat16이 없습니다. 손실 스케일링으로 학습하며, NaN이 나오면 멈춥니다",
        ),
        Text("If it stops: halve train.learning_rate.", "멈추면 train.learning_rate를 반으로 줄이십시오."),
    )


def _memory(card: dict[str, Any]) -> CheckResult:
    free, total = card["free"] / GIB, card["total"] / GIB
    presets = fitting_presets(card["free"], tuple(card["capability"]) < (8, 0))
    has = f"{free:.1f} / {total:.1f} GiB"
    if presets:
        names = ", ".join(presets)
        return _find("VRAM", "fine", Text(f"{has} free; fits: {names}", f"{has} 사용 가능, 들어가는 프리셋: {names}"))
    return _find(
        "VRAM",
        "fault" if free < 2 else "warning",
        Text(f"{has} free: too little for every preset", f"{has} 사용 가능: 어느 프리셋에도 모자랍니다"),
        Text(
            "Close what uses the card (next line), or plan a smaller model: make plan",
            "카드를 쓰는 프로그램(다음 줄)을 닫거나 더 작은 모델을 계획하십시오: make plan",
        ),
    )


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
    listed = ", ".join(names[:5]) + (f", +{len(names) - 5}" if len(names) > 5 else "")
    state: State = "warning" if used > 0.25 * card["total"] else "fine"
    if not names:
        return _find(
            "in use",
            state,
            Text(
                f"{used / GIB:.1f} GiB in use, by programs that the driver does not name",
                f"{used / GIB:.1f} GiB 사용 중, 드라이버가 프로그램 이름을 알려 주지 않습니다",
            ),
        )
    return _find(
        "in use",
        state,
        Text(f"{used / GIB:.1f} GiB in use: {listed}", f"{used / GIB:.1f} GiB 사용 중: {listed}"),
        Text("Close browsers and games while you train.", "학습하는 동안 브라우저와 게임을 닫으십시오.")
        if state == "warning"
        else None,
    )


def _user(user: dict[str, Any]) -> str:
    size = f" {user['bytes'] / GIB:.1f} GiB" if user["bytes"] else ""
    return f"{user['name']} ({user['pid']}){size}"
