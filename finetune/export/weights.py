"""The merged weights of a run, a tensor at a time: the base model's 16-bit weights and the adapter's product.

Merging needs no model in memory: a merged matrix is W + (alpha / r)·B·A (LoRA, arXiv 2106.09685, section 4.1), worked
out in float32 and written in the type of the export. W is what training saw: where that was in 4 bits, what these stand
for, read from the base model's files or made of its 16-bit weights by the same rounding. The adapter has learnt to make
up for it, and on the unrounded weights answers worse (docs/decisions.md).
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tooltune.errors import InputError

INDEX = "model.safetensors.index.json"
STATE = ".weight."
"""In the names of tensors that describe a weight in 4 bits."""


@dataclass(frozen=True)
class LoraMatrices:
    """An adapter's two matrices for one linear module: its product has the module's shape (out, in)."""

    a: Any  # (r, in), float32
    b: Any  # (out, r), float32
    scale: float

    def added_to(self, weight: Any) -> Any:
        """The merged matrix, float32.

        Args:
            weight: (out, in), any type.
        """
        return weight.float() + self.scale * (self.b @ self.a)


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter as peft saves it.

    Attributes:
        folder: it holds adapter_config.json and adapter_model.safetensors.
    """

    folder: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What adapter_config.json says.

        Raises:
            InputError: the adapter is of a kind that does not merge by a plain sum.
        """
        settings: dict[str, Any] = json.loads((self.folder / "adapter_config.json").read_text(encoding="utf-8"))
        unusual = [key for key in ("use_dora", "fan_in_fan_out", "lora_bias", "modules_to_save") if settings.get(key)]
        unusual += [key for key in ("rank_pattern", "alpha_pattern") if settings.get(key)]
        if settings.get("peft_type") != "LORA" or unusual or settings.get("bias", "none") != "none":
            raise InputError(
                f"only a plain LoRA adapter can be exported ({', '.join(unusual) or settings.get('peft_type')})",
                where=str(self.folder / "adapter_config.json"),
                fix="train one with this project",
            )
        return settings

    @property
    def scale(self) -> float:
        """What the product is multiplied by: alpha / r, or alpha / √r (rsLoRA, arXiv 2312.03732)."""
        alpha, r = self.settings["lora_alpha"], self.settings["r"]
        return float(alpha / (r**0.5 if self.settings.get("use_rslora") else r))

    @property
    def size(self) -> int:
        """Bytes of its weights."""
        return (self.folder / "adapter_model.safetensors").stat().st_size

    def modules(self) -> dict[str, LoraMatrices]:
        """Its matrices, by the name of the base model's tensor that they change (`model.layers.0.….weight`)."""
        from safetensors.torch import load_file

        tensors = load_file(self.folder / "adapter_model.safetensors")
        start = "base_model.model."
        names = sorted(name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight"))
        return {
            f"{name.removeprefix(start)}.weight": LoraMatrices(
                tensors[f"{name}.lora_A.weight"].float(), tensors[f"{name}.lora_B.weight"].float(), self.scale
            )
            for name in names
        }


@dataclass(frozen=True)
class Base:
    """A model folder's safetensors files.

    Attributes:
        four_bit: whether a run saw its linear layers in NF4.
    """

    folder: Path
    four_bit: bool = False

    @cached_property
    def files(self) -> dict[str, list[str]]:
        """The names of the tensors in each file but those of `states`, files in order of their names.

        Raises:
            InputError: there are no safetensors files, or the weights are quantised otherwise than by bitsandbytes.
        """
        from safetensors import safe_open

        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        quantised = config.get("quantization_config")
        if quantised and not quantised.get("load_in_4bit"):
            raise InputError(
                f"the base model's weights are quantised ({quantised.get('quant_method')}), which no export reads",
                where=str(self.folder),
                fix="train on the model in 16 bits, or in bitsandbytes' 4 bits",
            )
        paths = sorted(self.folder.glob("model*.safetensors"))
        if not paths:
            raise InputError(
                "no weights as safetensors", where=str(self.folder), fix="fetch the model again: --base MODEL"
            )
        found = {}
        for path in paths:
            with safe_open(path, framework="pt") as f:
                found[path.name] = [key for key in [*f.keys()] if STATE not in key]
        return found

    @cached_property
    def states(self) -> dict[str, Any]:
        """Of each weight that the files have in 4 bits, what bitsandbytes tells of it; it may be in another file."""
        from safetensors import safe_open

        parts: dict[str, dict[str, Any]] = {}
        for file in self.files:
            with safe_open(self.folder / file, framework="pt") as f:
                for key in [*f.keys()]:
                    name, state, part = key.partition(STATE)
                    if state:
                        parts.setdefault(f"{name}.weight", {})[part] = f.get_tensor(key)
        if not parts:
            return {}
        from bitsandbytes.functional import QuantState

        return {name: QuantState.from_dict(found, "cpu") for name, found in parts.items()}

    @cached_property
    def linear(self) -> set[str]:
        """The names of the weights that loading rounds to 4 bits, as transformers chooses them."""
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
        from transformers.quantizers import AutoHfQuantizer

        if self.states or not self.four_bit:
            return set()
        config = AutoConfig.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        quantiser = AutoHfQuantizer.from_config(BitsAndBytesConfig(load_in_4bit=True), pre_quantized=False)
        quantiser.preprocess_model(model, device_map=None)
        return {f"{name}.weight" for name, m in model.named_modules() if type(m).__name__ == "Linear4bit"}

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, in the order of `merged_tensors`."""
        from safetensors import safe_open

        found: dict[str, tuple[int, ...]] = {}
        for file, names in self.files.items():
            with safe_open(self.folder / file, framework="pt") as f:
                found |= {name: tuple(f.get_slice(name).get_shape()) for name in names}
        return found | {name: tuple(state.shape) for name, state in self.states.items()}


def _as_trained(weight: Any, state: Any) -> Any:
    """What a matrix stands for that is in 4 bits; one without a state is rounded first, as in `eval.load.load_base`."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    if not state:
        weight, state = quantize_4bit(weight.float(), quant_type="nf4", compress_statistics=True)
    return dequantize_4bit(weight, state)


def merged_tensors(base: Base, adapter: Adapter) -> Iterator[tuple[str, str, Any]]:
    """Every tensor of the merged model: (file, name, tensor); those that differ from the file's in float32.

    Raises:
        InputError: the adapter changes a tensor that the base model does not have, or of another shape.
    """
    from safetensors import safe_open

    modules = adapter.modules()
    names = {name for file in base.files.values() for name in file}
    if strange := sorted(set(modules) - names):
        raise InputError(
            f"the adapter changes {strange[0]}, which the base model does not have",
            where=str(base.folder),
            fix="name the model that it was trained on: --base MODEL",
        )
    with ExitStack() as stack:
        for file, keys in base.files.items():
            f = stack.enter_context(safe_open(base.folder / file, framework="pt"))
            for name in keys:
                tensor = f.get_tensor(name)
                if name in base.states or name in base.linear:
                    tensor = _as_trained(tensor, base.states.get(name))
                if lora := modules.get(name):
                    if (lora.b.shape[0], lora.a.shape[1]) != tuple(tensor.shape):
                        raise InputError(
                            f"{name} has the shape {tuple(tensor.shape)}, the adapter's is "
                            f"({lora.b.shape[0]}, {lora.a.shape[1]})",
                            where=str(base.folder),
                            fix="name the model that it was trained on: --base MODEL",
                        )
                    tensor = lora.added_to(tensor)
                yield file, name, tensor
