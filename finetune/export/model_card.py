"""The model card of an export: what it is, what was measured and proven, how it was trained, whose licence binds it."""

import re
from pathlib import Path
from typing import Any

from eval.compare_runs import read_metrics, verdict
from eval.trained import Trained
from finetune.export.behaviour import Behaviour
from tooltune.embedded import embedded
from tooltune.files import atomic_write
from tooltune.licence import licence_files
from tooltune.metrics import COMPARED, HEADLINE, METRICS, rate_text
from tooltune.run import read_manifest

NEEDED = ("model", "data", "rows.train", "effective_batch", "steps", "longest_row", "seed", "lora", "packages")
"""Keys of manifest.json that a card tells of, besides those that asking a run looks at."""
TARGETS = {
    "merged": "transformers",
    "gguf": "llama.cpp (GGUF)",
    "lora-gguf": "llama.cpp (the adapter alone, GGUF)",
    "ollama": "Ollama (GGUF and Modelfile)",
    "vllm": "vLLM",
}
LICENCES = {
    "gemma": "Gemma Terms",
    "llama3.2": "LLAMA 3.2 COMMUNITY LICENSE",
    "llama3.1": "LLAMA 3.1 COMMUNITY LICENSE",
    "apache-2.0": "Apache License",
    "mit": "MIT License",
}
"""The hub's name of a licence, and words of its text."""


def card_facts(trained: Trained) -> dict[str, Any]:
    """What a card tells of the run, whatever it is exported to.

    Raises:
        InputError: its manifest, of another version, lacks a key.
    """
    manifest, config = read_manifest(trained.folder, NEEDED), trained.config
    lora, best = manifest["lora"], manifest["best"]
    model = embedded(config.model.name)
    hub = re.fullmatch(r"[\w.-]+/[\w.-]+", config.model.name) and not Path(config.model.name).exists()
    evaluations = [
        _evaluation(path) for path in sorted(trained.folder.glob("eval/*/metrics.json")) if "-limit-" not in str(path)
    ]
    return {
        "name": trained.folder.name,
        "title": model.title if model else config.model.name if hub else Path(config.model.name).name,
        "hub": config.model.name if hub else None,
        "family": trained.template.family,
        "evaluations": evaluations,
        "labels": [metric.en for metric in (*HEADLINE, METRICS["execution"])],
        "training": {
            "rows": f"{manifest['rows']['train']}, {config.train.epochs:g} epochs, {manifest['steps']} steps of "
            f"{manifest['effective_batch']} rows",
            "LoRA": f"r {lora['r']}, alpha {lora['alpha']}, on {', '.join(lora['target_modules'])}",
            "learning rate": f"{config.train.learning_rate:g}, {config.train.schedule}",
            "base weights while training": "NF4, 4 bits" if config.model.load_in_4bit else "16 bits",
            "numbers": manifest["precision"],
            "seed": manifest["seed"],
            "kept": f"step {best['step']}, {best['metric']} {best['value']:.4f}",
            "machine": manifest["device"]["name"],
            "packages": ", ".join(f"{name} {version}" for name, version in manifest["packages"].items()),
            "adapter, SHA-256 of its tensors": best["sha256"],
        },
        "data": {Path(file).name: digest for file, digest in manifest["data"].items()},
    }


def write_card(
    path: Path, facts: dict[str, Any], *, to: str, use: str, proven: str | None, found: Behaviour | None
) -> None:
    """Write README.md into an export's folder, which has its licence files already.

    Args:
        facts: of `card_facts`.
        use: the command that serves the export.
        proven: what the comparison of prompts found; None: there was none.
        found: how it answers beside the run; None: it was not asked.
    """
    from jinja2 import Environment

    environment = Environment(  # noqa: S701 - Markdown, not HTML
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string(Path(__file__).with_name("model_card.md.jinja").read_text(encoding="utf-8"))
    licences = licence_files(path.parent)
    notice = next((file.read_text(encoding="utf-8") for file in licences if file.name.startswith("NOTICE")), None)
    with atomic_write(path) as f:
        f.write(
            template.render(
                **facts,
                to=to,
                target=TARGETS[to],
                use=use,
                proven=proven,
                behaviour=_behaviour(found) if found else [],
                licences=[file.name for file in licences],
                licence=_licence(licences),
                notice=notice,
            )
        )


def _evaluation(path: Path) -> dict[str, Any]:
    metrics = read_metrics(path)
    rates = {metric.en: rate_text(metrics["tuned"]["headline"][metric.key], 1) for metric in HEADLINE}
    if metrics["execution"]:
        rates[METRICS["execution"].en] = rate_text(metrics["execution"]["tuned"]["strict"], 1)
    return {"name": metrics["split"], "rows": metrics["tuned"]["n"], "rates": rates}


def _behaviour(found: Behaviour) -> list[str]:
    lines = []
    for key, metric in COMPARED.items():
        if pair := found.compared.get(key):
            run, export = (rate_text(pair[side], 1) for side in ("a", "b"))
            said = verdict(pair, "the run", "the export")
            lines.append(f"{metric.en}, {pair['a']['n']} rows of {found.split}: run {run}, export {export}. {said}")
    return [*lines, f"Answers that changed: {len(found.changed)} of {found.scores['n']}, in `behaviour/changed.jsonl`."]


def _licence(files: list[Path]) -> str:
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return next((name for name, words in LICENCES.items() if words in text), "other")
