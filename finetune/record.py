"""Figures for the README: from a finished run to a file in `docs/measured/`, and from there into the text.

`python -m finetune record RUN` does both. A test holds the README to the file.
"""

import json
import re
from pathlib import Path
from typing import Any

from data.blocks import READMES, ROOT, fill_blocks
from data.errors import InputError
from data.files import atomic_write, read_jsonl, write_json
from data.runs import read_manifest
from finetune.config import load_config

MEASURED = ROOT / "docs" / "measured"

WORDS = {
    "en": {
        "head": "| | base model | after `make train` |\n|---|---|---|",
        "bucket_head": "| test bucket | rows | tool name | JSON | exact match | no-model probe |\n"
        "|---|---|---|---|---|---|",
        "epoch_head": "| epoch | train loss | val loss | tool name | JSON | parameters | hallucinated | verdict |\n"
        "|---|---|---|---|---|---|---|---|",
        "line": "{device}: {rows} rows, {steps} steps in {minutes:.1f} min ({rate} samples/s with its evaluations), "
        "peak memory {memory} GiB; evaluation of 250 rows: base {base:.0f} s, tuned {tuned:.0f} s.",
        "tool_name_accuracy": "Tool Name Accuracy",
        "parameter_accuracy": "Parameter Accuracy",
        "json_validity": "JSON Validity",
        "hallucination_rate": "Hallucination Rate",
        "exact_match": "Exact Match",
        "T1": "T1 same kind of sentence",
        "T2": "T2 unseen phrasing",
        "T3": "T3 unseen combination",
        "T4": "T4 unseen tools",
        "T5": "T5 no call is right",
    },
    "ko": {
        "head": "| | 학습 전 | `make train` 후 |\n|---|---|---|",
        "bucket_head": "| 시험 묶음 | 문항 | 도구 이름 | JSON | 완전 일치 | 모델 없이 |\n|---|---|---|---|---|---|",
        "epoch_head": "| epoch | 학습 loss | 검증 loss | 도구 이름 | JSON | 매개변수 | 환각 | 판정 |\n"
        "|---|---|---|---|---|---|---|---|",
        "line": "{device}: {rows}행, {steps}스텝을 {minutes:.1f}분에 학습(평가 포함 초당 {rate}행), "
        "최대 메모리 {memory} GiB; "
        "250문항 평가에 학습 전 모델 {base:.0f}초, 학습한 모델 {tuned:.0f}초.",
        "tool_name_accuracy": "도구 이름 정확도",
        "parameter_accuracy": "매개변수 정확도",
        "json_validity": "JSON 유효성",
        "hallucination_rate": "환각률",
        "exact_match": "완전 일치",
        "T1": "T1 같은 종류의 문장",
        "T2": "T2 처음 보는 표현",
        "T3": "T3 처음 보는 조합",
        "T4": "T4 처음 보는 도구",
        "T5": "T5 호출하지 않는 것이 정답",
    },
}


def record(run: Path) -> Path:
    """Write `docs/measured/<preset>.json` from a run with its evaluation, and renew both READMEs.

    Raises:
        InputError: the run is not finished or not evaluated.
    """
    evaluation = run / "eval" / "test" / "metrics.json"
    if not evaluation.is_file():
        raise InputError("the run has no evaluation of the test split", where=str(run), fix="make eval")
    manifest, scores = read_manifest(run), json.loads(evaluation.read_text(encoding="utf-8"))
    end = [row for _, row in read_jsonl(run / "metrics.jsonl") if "train_runtime" in row][-1]
    preset = run.name.rsplit("-", 2)[0] if re.search(r"-\d{8}-\d{6}$", run.name) else run.name
    measured = {
        "preset": preset,
        "config": load_config(str(run / "config.yaml")).model_dump(mode="json") | {"name": None},
        "device": manifest["device"],
        "packages": manifest["packages"],
        "git_commit": manifest["git_commit"],
        "rows": manifest["rows"],
        "steps": end["global_step"],
        "train_runtime": end["train_runtime"],
        "train_samples_per_second": end["train_samples_per_second"],
        "peak_memory": manifest["peak_memory"],
        "epochs": [row for _, row in read_jsonl(run / "epochs.jsonl")],
        "evaluation_seconds": scores["seconds"],
        "headline": {name: scores[name]["headline"] for name in ("base", "tuned") if scores[name]},
        "buckets": scores["tuned"]["slices"]["bucket"],
        "probe": scores["probe"],
    }
    path = MEASURED / f"{preset}.json"
    write_json(path, measured)
    renew_readmes()
    return path


def renew_readmes() -> None:
    """Put every measured file's tables between its marks in both READMEs."""
    for language, readme in READMES.items():
        text = filled(readme.read_text(encoding="utf-8"), language)
        with atomic_write(readme) as f:
            f.write(text)


def filled(text: str, language: str) -> str:
    """The README's text with the block of each `docs/measured/*.json` renewed."""
    paths = sorted(MEASURED.glob("*.json"))
    return fill_blocks(
        text, "measured", {p.stem: tables(json.loads(p.read_text(encoding="utf-8")), language) for p in paths}
    )


def tables(measured: dict[str, Any], language: str) -> str:
    """Markdown: one line on the run, base beside tuned, the test's buckets, the epoch table."""
    words = WORDS[language]
    memory, seconds = measured["peak_memory"], measured["evaluation_seconds"]
    line = words["line"].format(
        device=measured["device"]["name"],
        rows=measured["rows"]["train"],
        steps=measured["steps"],
        minutes=measured["train_runtime"] / 60,
        rate=measured["train_samples_per_second"],
        memory=memory["gpu_reserved_gib"] or memory["rss_gib"],
        base=seconds["base"],
        tuned=seconds["tuned"],
    )
    base, tuned = measured["headline"]["base"], measured["headline"]["tuned"]
    metrics = [f"| {words[key]} | {_rate(base[key])} | **{_rate(tuned[key])}** |" for key in tuned]
    shares = measured["probe"]["by_bucket"]
    buckets = [
        f"| {words[name]} | {row['n']} | {_short(row['tool_name_accuracy'])} | {_short(row['json_validity'])} "
        f"| {_short(row['exact_match'])} | {shares[name]:.0%} |"
        for name, row in sorted(measured["buckets"].items())
    ]
    rates = ("tool_name_accuracy", "json_validity", "parameter_accuracy", "hallucination_rate")
    epochs = [
        f"| {row['epoch']:g} | {row['train_loss']:.3f} | {row['eval_loss']:.3f} | "
        + " | ".join(f"{row[name]:.0%}" if name in row else "–" for name in rates)
        + f" | {row['verdict']}{' ★' if row['best'] else ''} |"
        for row in measured["epochs"]
    ]
    parts = [line, "", words["head"], *metrics, "", words["bucket_head"], *buckets, "", words["epoch_head"], *epochs]
    return "\n".join(parts)


def _rate(rate: dict[str, Any]) -> str:
    return "–" if rate["value"] is None else f"{rate['value']:.1%} ({100 * rate['low']:.0f}–{100 * rate['high']:.0f})"


def _short(rate: dict[str, Any]) -> str:
    return "–" if rate["value"] is None else f"{rate['value']:.0%}"
