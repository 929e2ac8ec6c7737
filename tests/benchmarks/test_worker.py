"""The worker on the tiny model: real arms in real processes, among them one that differs and must fail the gate."""

import json
import os
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import arms, worker
from benchmarks.arms import ArmSetup
from benchmarks.orchestrate import WorkerJob, base_of, measure_all, read_examples, worker_command, write_shapes
from benchmarks.results import TrainResult
from benchmarks.shapes import MIX, BatchShape, choose, config_for, fixed, placed, rows_for, shuffle
from data.render import IGNORED, Example
from tests import forked
from tests.tiny import TINY, environment
from tooltune.config import Config, load_config
from tooltune.errors import JobFailed

STEPS, WARMUP = 21, 7


def faster_rate(base: Config, device: str) -> ArmSetup:
    """`hf-trainer` with half as high a rate again: other work, so no comparison of speeds."""
    setup = arms.hf_trainer(base, device)
    rate = {"learning_rate": base.train.learning_rate * 1.5}
    return ArmSetup(setup.config.model_copy(update={"train": setup.config.train.model_copy(update=rate)}), trl=False)


def packed(base: Config, device: str) -> ArmSetup:
    """`unsloth+prefix` without compiling, which takes longer than the tiny model's training."""
    setup = arms.unsloth_prefix(base, device)
    return replace(setup, config=setup.config.changed({"train.compile": False}))


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> Config:
    """At the rate that the tiny model learns with in 20 steps."""
    return base_of(load_config("cpu", TINY), tiny_model).changed({"train.learning_rate": 1e-3})


@pytest.fixture(scope="module")
def result(base: Config, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    work = tmp_path_factory.mktemp("bench")
    for key, value in environment(work).items():
        os.environ.setdefault(key, value)
    wanted = choose("mix", base, "cpu")
    ordered = base.changed({"train.share_prefix": "auto"})
    write_shapes(wanted, read_examples(base, lambda _: None), ordered, warmup=WARMUP, steps=STEPS, work=work)
    job = WorkerJob(base, "cpu", STEPS, WARMUP, 900, None, work, worker_command)
    device = {"kind": "cpu", "name": "Processor", "memory_gib": 1.0}
    found: Any = {"kind": "train", "device": device, "complete": False, "shapes": [], "valid": True, "verdict": ""}
    measure_all(
        job,
        {"hf-trainer": arms.hf_trainer, "unsloth": arms.unsloth, "unsloth+prefix": packed, "other": faster_rate},
        wanted,
        1,
        found,
        work / "result.json",
        Console(quiet=True),
    )
    measured: TrainResult = found
    return measured


def run_of(result: TrainResult, arm: str) -> dict[str, Any]:
    row = next(row for row in result["shapes"][0]["arms"] if row["arm"] == arm)
    assert row["status"] == "ok", row["reason"]
    return dict(row["runs"][0])


def test_the_rate_is_no_higher_than_the_reference_recipes() -> None:
    """At the cpu preset's the rounding of bfloat16 alone breaks the parity gate within 20 steps."""
    assert arms.base_config(load_config("cpu")).train.learning_rate == 2e-4
    assert arms.base_config(load_config("6gb", ["train.learning_rate=1e-5"])).train.learning_rate == 1e-5


@pytest.mark.slow
def test_unsloth_and_plain_compute_the_same_losses(result: TrainResult) -> None:
    one, other = run_of(result, "unsloth"), run_of(result, "hf-trainer")
    assert one["adapter_sha256"] == other["adapter_sha256"] and one["batches_sha256"] == other["batches_sha256"]
    assert len(one["losses"]) == STEPS and one["losses"][-1] < one["losses"][0]
    parity = {(p["arm"], p["against"]): p for p in result["shapes"][0]["parity"]}
    assert parity["unsloth", "hf-trainer"]["passed"] and parity["unsloth", "hf-trainer"]["steps"] == 20
    assert [s["arm"] for s in result["shapes"][0]["speedup"]] == ["unsloth"] + ["unsloth+prefix"] * 2


@pytest.mark.slow
def test_sharing_prefixes_is_the_same_rows_and_losses_in_fewer_tokens(result: TrainResult) -> None:
    one, other = run_of(result, "unsloth+prefix"), run_of(result, "unsloth")
    assert one["batches_sha256"] == other["batches_sha256"] and one["adapter_sha256"] == other["adapter_sha256"]
    assert one["losses"] == pytest.approx(other["losses"], abs=1e-4)
    assert one["step_tokens"] == other["step_tokens"] and one["step_supervised"] == other["step_supervised"]
    assert sum(one["step_padded"]) < 0.7 * sum(one["step_tokens"]) < 0.7 * sum(other["step_padded"])
    assert one["padding_share"] == 0
    saved = one["tokens_per_second"] / one["computed_tokens_per_second"]
    timed = slice(WARMUP, STEPS)
    assert saved == pytest.approx(sum(one["step_tokens"][timed]) / sum(one["step_padded"][timed]), rel=1e-3)


@pytest.mark.slow
def test_an_arm_that_differs_fails_the_gate(result: TrainResult) -> None:
    parity = {(p["arm"], p["against"]): p for p in result["shapes"][0]["parity"]}
    assert not parity["other", "hf-trainer"]["passed"] and parity["other", "hf-trainer"]["max_difference"] > 0.02
    assert not result["valid"] and result["verdict"].startswith("Invalid: the losses differ")


@pytest.mark.slow
def test_figures_follow_from_the_steps(result: TrainResult, base: Config) -> None:
    for name in ("hf-trainer", "unsloth"):
        run = run_of(result, name)
        timed = slice(WARMUP, STEPS)
        seconds = sum(run["step_seconds"][timed])
        rows = (STEPS - WARMUP) * base.train.micro_batch
        assert run["samples_per_second"] == pytest.approx(rows / seconds, rel=1e-3)
        assert run["tokens_per_second"] == pytest.approx(sum(run["step_tokens"][timed]) / seconds, rel=1e-3)
        assert run["padding_share"] == pytest.approx(
            1 - sum(run["step_tokens"][timed]) / sum(run["step_padded"][timed]), abs=1e-4
        )
        assert run["step_tokens"][:WARMUP] == run["step_tokens"][WARMUP : 2 * WARMUP], "timed batches were seen before"
        assert all(
            0 < s < t <= p
            for s, t, p in zip(*(run[f"step_{k}"] for k in ("supervised", "tokens", "padded")), strict=True)
        )
        assert run["time_to_first_step_s"] > run["step_seconds"][0] and run["peak_rss_gib"] > 0.1
        assert run["compile_seconds"] == 0 and run["fused"] is None and run["peak_allocated_gib"] is None


@pytest.mark.slow
def test_nothing_is_evaluated_or_saved(result: TrainResult, tmp_path_factory: pytest.TempPathFactory) -> None:
    work = next(tmp_path_factory.getbasetemp().glob("bench*"))
    assert not list((work / "worker" / "scratch").glob("checkpoint-*"))
    assert "eval_loss" not in (work / "worker" / "log.txt").read_text(encoding="utf-8")


def test_a_plain_arm_refuses_unsloth(base: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, other = arms.hf_trainer(base, "cpu").config, arms.unsloth(base, "cpu").config
    worker.refuse_unsloth(plain)
    monkeypatch.setitem(sys.modules, "unsloth", types.ModuleType("unsloth"))
    worker.refuse_unsloth(other)
    with pytest.raises(JobFailed, match="not plain"):
        worker.refuse_unsloth(plain)


@pytest.mark.slow
def test_the_worker_fails_when_unsloth_is_imported(base: Config, tmp_path: Path) -> None:
    spec = {"arm": "hf-trainer", "config": arms.hf_trainer(base, "cpu").config.model_dump(mode="json")}
    (tmp_path / "spec.json").write_text(json.dumps(spec | {"result": str(tmp_path / "result.json")}))
    code = (
        "import sys, types; sys.modules['unsloth'] = types.ModuleType('unsloth')\n"
        f"from benchmarks.worker import main; main({str(tmp_path / 'spec.json')!r})"
    )
    assert not forked.run(["-c", code], cwd=tmp_path, env=environment(tmp_path), unsloth=False).returncode
    run = json.loads((tmp_path / "result.json").read_text())
    assert run["status"] == "failed" and "unsloth is imported" in run["reason"]


def test_memory_errors_are_out_of_memory_and_others_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    spec: Any = {}
    for error, status in (
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory"),
        (RuntimeError("size mismatch\nlong story"), "failed"),
        (JobFailed("the loss is nan", "lower the rate"), "failed"),
    ):

        def fail(_: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(worker, "measure", fail)
        run = worker.outcome(spec)
        assert run["status"] == status and run["reason"]
        assert "\n" not in run["reason"]


def examples(lengths: list[int]) -> list[Example]:
    """Rows whose ids name their row, trained on their last token."""
    return [
        Example(str(row), [row] * n, [IGNORED] * (n - 1) + [row], [0] * (n - 1) + [2]) for row, n in enumerate(lengths)
    ]


def test_mix_has_the_order_of_the_trainer_and_repeats_its_warm_up(base: Config) -> None:
    from finetune.batching import EpochOrder

    lengths = [5 + 7 * i % 13 for i in range(40)]
    shape = choose(MIX, base, "cpu")[0]
    rows = rows_for(shape, examples(lengths), seed=7, group=True, warmup=3, steps=9)
    wanted = EpochOrder(lengths, 4, seed=7, group=True).order()[:12]
    assert [int(row.id) for row in rows] == wanted * 3
    put = placed(rows, 4, seed=7)
    assert [put[i] for i in shuffle(len(put), 4, seed=7)] == rows


def test_rows_that_share_a_prefix_are_neighbours_in_the_order_of_all_arms() -> None:
    from finetune.shared_prefix import computed_tokens

    # Row i is of family i % 3: 40 common tokens, then 5 of its own.
    rows = [
        Example(str(i), [100 + i % 3] * 40 + [i] * 5, [IGNORED] * 40 + [i] * 5, [0] * 40 + [2] * 5) for i in range(24)
    ]
    shape = BatchShape(MIX, 4, 1, None)
    apart, together = (
        rows_for(shape, rows, seed=7, group=False, share=share, warmup=6, steps=6) for share in (False, True)
    )
    assert sorted(r.id for r in together) == sorted(r.id for r in rows)
    assert computed_tokens(together, 4, 1000) == 6 * (40 + 4 * 5) < computed_tokens(apart, 4, 1000)


def test_arms_that_pad_accumulate_the_same_rows(base: Config) -> None:
    base = base.changed({"train.micro_batch": 8, "train.accumulation": 1})
    mix, fixed_shape, prefix = choose("mix,8x64,one-prefix", base, "cpu")
    plain, sharing = arms.hf_trainer(base, "cpu").config, arms.unsloth_prefix(base, "cpu").config

    def batches(config: Config, shape: BatchShape) -> tuple[int, int]:
        train = config_for(config, shape, 3).train
        return train.micro_batch, train.accumulation

    assert (batches(plain, mix), batches(sharing, mix)) == ((2, 4), (8, 1))
    assert (batches(plain, prefix), batches(sharing, prefix)) == ((1, 16), (16, 1))
    assert batches(plain, fixed_shape) == (8, 1), "a fixed shape is what its name says"
    assert batches(plain, choose("mix", base, "cuda")[0]) == (8, 1)
    odd = choose("mix", base.changed({"train.micro_batch": 3}), "cpu")[0]
    assert batches(plain, odd) == (1, 3), "two rows at once do not divide three"


def test_counts_of_a_batch_are_of_its_rows_and_of_its_layout() -> None:
    from benchmarks.stopwatch import Counts, count
    from finetune.batching import collate
    from finetune.shared_prefix import pack

    rows = [{"input_ids": [7] * 40 + [i] * n, "labels": [IGNORED] * 40 + [i] * n} for i, n in enumerate((3, 5, 2))]
    assert count(rows, collate(rows, pad_token_id=0)) == Counts(3, 130, 135, 5, 10)
    assert count(rows, pack(rows, most=1000)) == Counts(3, 130, 50, 0, 10)
    assert count(rows, pack(rows, most=48)) == Counts(3, 130, 90, 0, 10), "two passes, the prefix in each"


def test_one_prefix_is_500_rows_behind_all_30_tools() -> None:
    from benchmarks.one_prefix import SOURCE, one_prefix
    from data.load import load_records

    source = {row.id: row for row in load_records(SOURCE)}
    rows = one_prefix(list(source.values()))
    assert len({row.id for row in rows}) == 500
    assert len({str((row.messages[0], row.tools)) for row in rows}) == 1 and len(rows[0].tools) == 30
    assert all(row.messages[1:] == source[row.id].messages[1:] and row.gold for row in rows)
    assert not any("renamed" in row.meta for row in rows)


def test_fixed_shapes_are_cut_from_the_rows_with_their_labels() -> None:
    rows = rows_for(fixed(2, 8), examples([3, 4, 5, 30, 6]), seed=7, group=True, warmup=2, steps=4)
    assert len(rows) == 8 and rows[:4] == rows[4:]
    assert [row.input_ids for row in rows[:2]] == [[0, 0, 0, 1, 1, 1, 1, 2], [4] * 6 + [0, 0]], (
        "a row of 30 is passed over"
    )
    for row in rows:
        assert len(row.input_ids) == len(row.labels) == len(row.roles) == 8
        assert all(label in (IGNORED, token) for label, token in zip(row.labels, row.input_ids, strict=True))
        assert any(label != IGNORED for label in row.labels[1:])


def test_every_arm_has_the_base_config_but_for_what_it_is() -> None:
    base = arms.base_config(load_config("cpu"))
    assert not base.train.compile and base.train.share_prefix == "off" and base.train.logging_steps == 1
    for name, arm in arms.ARMS.items():
        for device in ("cpu", "cuda"):
            try:
                config = arm(base, device).config
            except arms.Unavailable as e:
                assert str(e), name
                continue
            same = {"model": {"backend": base.model.backend}, "train": {"compile": False, "share_prefix": "off"}}
            values = config.model_dump()
            for section, changes in same.items():
                values[section] |= changes
            assert Config.model_validate(values) == base, name


def test_unknown_arms_and_shapes_are_refused(base: Config) -> None:
    from tooltune.errors import InputError

    with pytest.raises(InputError, match="no such arm"):
        arms.choose("unsloth,fast", "cpu")
    for wrong in ("512", "0x512", "1x", "mixed"):
        with pytest.raises(InputError, match="not a shape"):
            choose(wrong, base, "cpu")


def layer(*, bias: bool, mlp_slot: str = "forward") -> Any:
    """A decoder layer as Unsloth's `patch_peft_model` leaves it: QKV with biases keep the original function."""
    import functools

    import torch

    def original_apply_qkv(self: Any, x: Any) -> None: ...

    def apply_lora_qkv(self: Any, x: Any) -> None: ...

    def apply_lora_o(self: Any, x: Any) -> None: ...

    def apply_lora_mlp_swiglu(self: Any, x: Any, inplace: bool = True) -> None: ...

    def projection(bias: bool) -> Any:
        module = torch.nn.Module()
        module.lora_A, module.base_layer = torch.nn.ModuleDict(), torch.nn.Linear(2, 2, bias=bias)
        return module

    made = torch.nn.Module()
    made.self_attn, made.mlp = torch.nn.Module(), torch.nn.Module()
    for name in ("q_proj", "k_proj", "v_proj"):
        setattr(made.self_attn, name, projection(bias))
    made.self_attn.o_proj = projection(False)
    for name in ("gate_proj", "up_proj", "down_proj"):
        setattr(made.mlp, name, projection(False))
    made.self_attn.apply_qkv = original_apply_qkv if bias else apply_lora_qkv
    made.self_attn.apply_o = apply_lora_o
    setattr(made.mlp, mlp_slot, types.MethodType(functools.partial(apply_lora_mlp_swiglu, inplace=False), made.mlp))
    return made


def test_fused_paths_are_counted_on_the_layers(base: Config) -> None:
    from benchmarks.fused import fused_layers, unfused_warnings

    layers = [layer(bias=False), layer(bias=False, mlp_slot="_unsloth_forward")]
    model: Any = types.SimpleNamespace(get_base_model=lambda: types.SimpleNamespace(model=inner))
    inner = types.SimpleNamespace(layers=layers)
    fused = fused_layers(model)
    assert fused == {"qkv": [2, 2], "mlp": [2, 2], "o": [2, 2]} and not unfused_warnings(model, base, fused)

    inner.layers = [layer(bias=True)]  # Qwen2
    fused = fused_layers(model)
    assert fused == {"qkv": [0, 1], "mlp": [1, 1], "o": [1, 1]}
    assert unfused_warnings(model, base, fused) == ["QKV is fused in 0 of 1 layers: its projections have biases"]

    dropout = base.model_copy(update={"lora": base.lora.model_copy(update={"dropout": 0.1})})
    assert "lora.dropout is 0.1" in unfused_warnings(model, dropout, fused)[0]
