"""What answering takes: the formula against the bytes that transformers' own generation keeps alive, and the batch."""

import gc
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eval import memory
from eval.generate import begin, usual_batch
from eval.load import _let_all_heads_be_written_out
from eval.memory import Decoder, answering, decoder_of, free_on_card, rows_that_fit
from tests.finetune.memory.live_bytes import LiveBytes

GIB = 2**30
SMALL = Decoder(hidden=1536, intermediate=8960, layers=28, q=1536, kv=256, vocab=151_936)  # Qwen2.5-1.5B
BF16: dict[str, Any] = {"element": 2, "four_bit": True}


def make(family: str, dtype: Any, **widths: int) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    usual = {
        "vocab_size": 2000,
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 32,
    }
    config = AutoConfig.for_model(family, eos_token_id=None, **usual | widths)
    return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa").eval()


def counted(model: Any, rows: int, prompt: int, new: int) -> int:
    """The most bytes alive at once in `model.generate`, weights left out; the prompts differ in length."""
    from transformers import GenerationConfig

    ids = torch.randint(1, 100, (rows, prompt))
    mask = torch.ones_like(ids)
    mask[1:, :3] = 0
    config = GenerationConfig(max_new_tokens=new, do_sample=False, use_cache=True, eos_token_id=None, pad_token_id=0)
    gc.collect()
    live = LiveBytes()
    for tensor in (*model.parameters(), *model.buffers(), ids, mask):
        live.add(tensor)
    resident = live.live
    with torch.no_grad(), live:
        model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return live.peak - resident


@pytest.mark.parametrize(
    ("family", "dtype", "rows", "prompt", "new", "widths", "over"),
    [
        ("llama", torch.bfloat16, 4, 256, 8, {}, 1.3),
        ("llama", torch.float32, 4, 256, 8, {}, 1.3),
        ("llama", torch.bfloat16, 1, 256, 8, {}, 1.3),
        ("qwen3", torch.bfloat16, 4, 512, 8, {}, 1.35),
        ("llama", torch.bfloat16, 4, 256, 8, {"vocab_size": 150_000}, 1.7),
        # The cache decides, and is planned as Unsloth's, which holds the prompts' twice and 513 columns more.
        ("llama", torch.bfloat16, 8, 64, 64, {}, 2.0),
        ("llama", torch.bfloat16, 8, 16, 200, {}, 3.0),
        ("llama", torch.bfloat16, 8, 128, 32, {"num_key_value_heads": 8, "intermediate_size": 512}, 5.0),
    ],
)
def test_plan_is_never_below_what_generation_holds(
    family: str, dtype: Any, rows: int, prompt: int, new: int, widths: dict[str, int], over: float
) -> None:
    model = make(family, dtype, **widths)
    plan = answering(decoder_of(model), rows, prompt, new, element=dtype.itemsize, four_bit=False)
    real = counted(model, rows, prompt, new)
    assert real <= plan <= over * real


def test_prompts_have_no_logits_but_of_their_last_token() -> None:
    """Else a vocabulary of 152,064 would cost 300 KiB a token; generation asks for one position alone."""
    large, small = (make("llama", torch.bfloat16, vocab_size=v) for v in (150_000, 2000))
    assert counted(large, 2, 64, 2) - counted(small, 2, 64, 2) < 2 * 150_000 * 6 * 1.1


@pytest.mark.parametrize(("rows", "own"), [(1, 8), (2, 8), (8, 8), (8, 120)])
def test_plan_counts_what_prompts_share_once(rows: int, own: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.generate import _run

    monkeypatch.setattr("eval.generate.decodes", lambda model: False)
    model = make("llama", torch.bfloat16)
    prompts = [[7] * 400 + [2] * (own - n % 5) for n in range(rows)]
    shape, alike = decoder_of(model), {"element": 2, "four_bit": False}
    whole, plan = (answering(shape, rows, 400 + own, 8, shared=n, **alike) for n in (0, 400))
    gc.collect()
    live = LiveBytes()
    for tensor in (*model.parameters(), *model.buffers()):
        live.add(tensor)
    resident = live.live
    tokenizer = SimpleNamespace(eos_token_id=None, pad_token_id=0)
    with live:
        _run(model, tokenizer, prompts, 8, scores=False, kept=None if rows > 1 else begin(model, prompts[0][:400]))
    assert live.peak - resident <= plan
    assert plan < whole or rows < 8


def test_batch_is_the_largest_that_fits_with_the_margin() -> None:
    assert rows_that_fit(SMALL, 1024, 256, 5 * GIB, **BF16) > rows_that_fit(SMALL, 2048, 256, 5 * GIB, **BF16) > 1
    for free in (1.2 * GIB, 2 * GIB, 4 * GIB):
        rows = rows_that_fit(SMALL, 1024, 256, free, **BF16)
        fits = [answering(SMALL, n, 1024, 256, **BF16) * memory.WASTE + memory.ROOM <= free for n in (rows, rows + 1)]
        assert fits == [True, False]
    assert rows_that_fit(SMALL, 1024, 256, 80 * GIB, **BF16) == memory.MOST
    assert rows_that_fit(SMALL, 1024, 256, 0.5 * GIB, **BF16) == rows_that_fit(SMALL, 1024, 256, -GIB, **BF16) == 0


def card(monkeypatch: pytest.MonkeyPatch, *, free: float, allocated: float, reserved: float, share: float) -> None:
    """A card of 8 GiB, as torch tells of it."""
    told = {
        "mem_get_info": (int(free * GIB), 8 * GIB),
        "memory_allocated": int(allocated * GIB),
        "memory_reserved": int(reserved * GIB),
        "get_per_process_memory_fraction": share,
    }
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda device=None, value=value: value)


def test_free_memory_is_the_cards_and_the_processs_share(monkeypatch: pytest.MonkeyPatch) -> None:
    card(monkeypatch, free=5, allocated=1, reserved=1.5, share=1.0)
    assert free_on_card("cuda:0") == 5.5 * GIB  # another program has 1.5
    card(monkeypatch, free=5, allocated=1, reserved=1.5, share=0.5)
    assert free_on_card("cuda:0") == 3 * GIB  # memory.budget_gb


def test_usual_batch_on_a_card_goes_by_its_memory_and_the_longest_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.generate.decodes", lambda model: False)
    monkeypatch.setattr("eval.load.compute_device", lambda model: torch.device("cuda", 0))
    monkeypatch.setattr("eval.generate.compute_device", lambda model: torch.device("cuda", 0))
    model = make("llama", torch.bfloat16)

    def batch(longest: int, new: int = 64, free: float = 1.5) -> int:
        card(monkeypatch, free=free, allocated=1, reserved=1, share=1.0)
        return usual_batch(model, [[1], [1] * longest], max_new_tokens=new)

    assert memory.MOST > batch(4096) > batch(8192) > 1
    alike = usual_batch(model, [[1] * 8192, [1] * 8191 + [2, 2]], max_new_tokens=64)
    assert memory.MOST >= alike > batch(8192)
    assert batch(1024) > batch(1024, new=32_768)
    assert batch(100, free=7) == memory.MOST and batch(4096, free=0.1) == 1


@pytest.mark.parametrize(
    ("capability", "flash", "dtype", "shared"),
    [
        ((8, 6), True, torch.bfloat16, True),
        ((7, 5), True, torch.float16, False),
        ((8, 6), False, torch.bfloat16, False),  # Windows
        ((8, 6), True, torch.float32, False),
    ],
)
def test_attention_is_asked_for_shared_heads_where_a_kernel_takes_them(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], flash: bool, dtype: torch.dtype, shared: bool
) -> None:
    from transformers.integrations import sdpa_attention

    key = torch.zeros(1, 2, 3, 32)
    monkeypatch.setattr(sdpa_attention, "use_gqa_in_sdpa", sdpa_attention.use_gqa_in_sdpa)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: flash)
    _let_all_heads_be_written_out(dtype)
    assert sdpa_attention.use_gqa_in_sdpa(None, key, key) is shared
    assert "if not use_gqa_in_sdpa(attention_mask, key, value)" in inspect.getsource(sdpa_attention)


def test_shape_of_a_loaded_model() -> None:
    assert decoder_of(make("qwen2", torch.bfloat16)) == Decoder(256, 1024, 6, q=256, kv=64, vocab=2000)
    multimodal = SimpleNamespace(
        config=SimpleNamespace(get_text_config=make("gemma3_text", torch.float32).config.get_text_config)
    )
    assert decoder_of(multimodal).kv == 64
