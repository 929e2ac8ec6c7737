"""Which card a process takes and what its allocator is told, on machines with cards that nobody has."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from tooltune import cuda

GIB = 2**30
ONE, TWO = "GPU-11111111-aaaa", "GPU-22222222-bbbb"


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The machine's cards as (UUID, GiB), in NVML's order; a handle is a UUID. Nothing is set in the environment."""
    present = [(ONE, 4), (TWO, 8)]

    def by_uuid(uuid: str) -> str:
        if uuid != "MIG-33333333-cccc":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    fakes: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: len(present),
        "nvmlDeviceGetHandleByIndex": lambda i: present[i][0],
        "nvmlDeviceGetUUID": lambda handle: handle,
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=dict(present)[handle] * GIB),
        "nvmlDeviceGetHandleByUUID": by_uuid,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(pynvml, name, fake)
    for name in ("CUDA_VISIBLE_DEVICES", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        del os.environ[name]
    monkeypatch.setattr(cuda, "lends_main_memory", lambda: False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return present


def test_of_several_cards_the_one_with_most_memory_is_pinned(cards: list[tuple[str, int]]) -> None:
    cuda.prepare_process()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == TWO
    assert cuda.open_card() == TWO


def test_a_single_card_needs_no_choice(cards: list[tuple[str, int]]) -> None:
    cards.pop()
    cuda.prepare_process()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert cuda.open_card() == ONE


@pytest.mark.parametrize(
    ("listed", "pinned", "handle"),
    [
        ("0,1", "0", ONE),
        ("1", "1", TWO),
        (f"{TWO},{ONE}", TWO, TWO),
        ("GPU-222", "GPU-222", TWO),
        ("MIG-33333333-cccc,MIG-4", "MIG-33333333-cccc", "MIG-33333333-cccc"),
    ],
)
def test_the_first_that_the_user_lists_is_taken(
    cards: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, listed: str, pinned: str, handle: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    cuda.prepare_process()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == pinned
    assert cuda.open_card() == handle


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_cards_stay_hidden(cards: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    from finetune.device import has_cuda
    from finetune.memory.installed_card import find_card

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    cuda.prepare_process()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == hidden
    assert not has_cuda() and find_card() is None


def test_a_uuid_of_torch_names_the_card_whatever_the_order(cards: list[tuple[str, int]]) -> None:
    assert cuda.open_card("11111111-aaaa") == ONE
    assert cuda.open_card("22222222-bbbb") == TWO
    assert cuda.open_card("33333333-cccc") == "MIG-33333333-cccc"
    with pytest.raises(pynvml.NVMLError):
        cuda.open_card("44444444-dddd")


def test_what_names_two_cards_is_no_card(cards: list[tuple[str, int]]) -> None:
    cards[1] = ("GPU-11112222-bbbb", 8)
    assert cuda.open_card("GPU-111122") == "GPU-11112222-bbbb"
    with pytest.raises(pynvml.NVMLError):
        cuda.open_card("GPU-1111")


def test_segments_grow_where_the_driver_can(cards: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    cuda.prepare_process()
    assert os.environ["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    monkeypatch.setattr(cuda, "lends_main_memory", lambda: True)
    del os.environ["PYTORCH_ALLOC_CONF"]
    cuda.prepare_process()
    assert "expandable" not in os.environ["PYTORCH_ALLOC_CONF"]


@pytest.mark.parametrize("name", ["PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"])
def test_what_the_user_tells_the_allocator_stays(
    cards: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "max_split_size_mb:64")
    cuda.prepare_process()
    set_now = {k: v for k, v in os.environ.items() if k.startswith("PYTORCH_") and k.endswith("ALLOC_CONF")}
    assert set_now == {name: "max_split_size_mb:64"}


@pytest.mark.parametrize(
    ("system", "release", "lends"),
    [
        ("Windows", "11", True),
        ("Linux", "6.6.87.2-microsoft-standard-WSL2", True),
        ("Linux", "6.8.0-45-generic", False),
    ],
)
def test_windows_and_wsl_lend_main_memory(
    monkeypatch: pytest.MonkeyPatch, system: str, release: str, lends: bool
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.release", lambda: release)
    assert cuda.lends_main_memory() is lends


def test_a_single_card_that_cannot_tell_its_memory_is_a_card(
    cards: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As boards do whose GPU shares the main memory."""

    def refuse(handle: str) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", refuse)
    cards.pop()
    cuda.prepare_process()
    assert cuda.open_card() == ONE


@pytest.mark.parametrize("listed", ["²", "garbage", "GPU-99999999", "MIG-99999999", "0x1", "GPU-", "MIG-"])
def test_what_names_no_card_is_no_card(
    cards: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    with pytest.raises(pynvml.NVMLError):
        cuda.open_card()


def test_no_usage_is_reported() -> None:
    """The hub's library reads the switch when it is imported, so nothing may import it before."""
    code = (
        "import finetune.cli, finetune.train, benchmarks.worker, eval.run; from tooltune.cuda import prepare_process\n"
        "prepare_process()\n"
        "from huggingface_hub import constants; print(constants.HF_HUB_DISABLE_TELEMETRY)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout == "True\n", done.stdout + done.stderr


@pytest.mark.parametrize(("listed", "pinned"), [(None, [ONE, TWO]), ("1,0", ["1", "0"]), ("1", ["1", "1"])])
def test_each_of_a_launchers_processes_takes_a_card_of_its_own(
    cards: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, listed: str | None, pinned: list[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        if listed is None:
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        for _ in range(2):  # once it is pinned, it stays
            cuda.prepare_process()
            assert os.environ["CUDA_VISIBLE_DEVICES"] == pinned[int(rank)]


def test_visible_cards_are_counted(cards: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cuda.visible_cards() == 2
    for listed, count in {"": 0, "-1": 0, "1": 1, "0,1": 2, "GPU-1, GPU-2,": 2}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        assert cuda.visible_cards() == count
