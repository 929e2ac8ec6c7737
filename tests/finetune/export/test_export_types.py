"""The types of a GGUF's tensors, and llama.cpp's rounding to them; room on the disk and in memory."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, dequantize

from finetune.export import gguf_types
from finetune.export.gguf_types import kept_as, llama_cpp_quantiser, rounded
from finetune.export.room import check_memory
from tooltune.errors import InputError


@pytest.mark.parametrize(
    ("name", "columns", "kind", "tied", "wanted"),
    [
        ("blk.0.attn_q.weight", 1536, "q4_k_m", True, "Q4_K"),
        ("blk.0.attn_v.weight", 1536, "q4_k_m", True, "Q6_K"),  # the first eighth of the layers
        ("blk.3.ffn_down.weight", 1536, "q4_k_m", True, "Q4_K"),
        ("blk.5.ffn_down.weight", 1536, "q4_k_m", True, "Q6_K"),  # each third
        ("blk.27.ffn_down.weight", 1536, "q4_k_m", True, "Q6_K"),  # the last eighth
        ("token_embd.weight", 1536, "q4_k_m", True, "Q6_K"),
        ("token_embd.weight", 1536, "q4_k_m", False, "Q4_K"),
        ("output.weight", 1536, "q4_k_m", False, "Q6_K"),
        ("blk.0.attn_q.weight", 640, "q4_k_m", True, "Q5_0"),  # no row of whole blocks of 256
        ("token_embd.weight", 640, "q4_k_m", True, "Q8_0"),
        ("blk.0.attn_q.weight", 40, "q4_k_m", True, "F16"),
        ("blk.0.attn_q.weight", 40, "q8_0", True, "F16"),
        ("blk.0.attn_q.weight", 40, "bf16", True, "BF16"),
    ],
)
def test_a_matrix_gets_llama_cpps_type(name: str, columns: int, kind: str, tied: bool, wanted: str) -> None:
    assert kept_as(name, (8, columns), kind, layers=28, tied=tied).name == wanted
    assert kept_as(name, (columns,), kind, layers=28, tied=tied).name == "F32"


@pytest.mark.parametrize(("kind", "error"), [("Q4_K", 0.08), ("Q6_K", 0.02), ("Q8_0", 0.006), ("Q5_0", 0.05)])
def test_rounded_matrices_read_back(kind: str, error: float) -> None:
    pytest.importorskip("xllamacpp", reason="needs the extra `llama`")
    values = np.random.default_rng(0).normal(size=(6, 512)).astype(np.float32)
    wanted = GGMLQuantizationType[kind]
    found = dequantize(rounded(values, wanted), wanted)
    assert found.shape == values.shape
    assert 0 < np.sqrt(np.mean((found - values) ** 2)) < error


def test_an_xllamacpp_without_the_quantiser_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "other.so"
    other.write_bytes(b"no library")
    fake = SimpleNamespace(xllamacpp=SimpleNamespace(__file__=str(other)))
    monkeypatch.setattr(gguf_types, "library", lambda _: fake)
    llama_cpp_quantiser.cache_clear()
    with pytest.raises(InputError, match="does not hand out") as e:
        llama_cpp_quantiser()
    assert "--type q8_0" in e.value.fix


def test_too_little_memory_is_said_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    free: Any = SimpleNamespace(available=1_000_000_000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    check_memory(900_000_000)
    with pytest.raises(InputError, match=r"1\.0 GB of main memory are free, the export needs 1\.1 GB"):
        check_memory(1_000_000_000)
