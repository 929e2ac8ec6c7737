"""A finished run as something to ask: its recipe, its rows, its best adapter with tokenizer and template."""

from functools import cached_property
from pathlib import Path
from typing import Any

from data.record import Record
from data.template import Template
from data.tools import with_visible_tools
from eval import backend
from eval.load import add_adapter, load_model, processor_dtype
from eval.shortage import NoRoom, is_shortage
from tooltune.cuda import prepare_process
from tooltune.errors import InputError
from tooltune.files import quoted
from tooltune.pretrained import check_files, load_tokenizer, resolve, weights_digest
from tooltune.run import Run, read_config, read_manifest
from tooltune.words import Say

MANIFEST = ("device.kind", "precision", "template.family", "template.origin", "best.sha256")
"""Keys of manifest.json that asking a run looks at; one of another version may lack some."""


class Trained(Run):
    """A run with its best adapter; tokenizer, template and precision are looked up when first asked for."""

    @property
    def adapter(self) -> Path:
        """The folder of its best adapter."""
        return self.folder / "best"

    @cached_property
    def tokenizer(self) -> Any:
        """The one saved with the adapter."""
        return load_tokenizer(self.adapter)

    @cached_property
    def template(self) -> Template:
        """The one saved with the adapter."""
        known = self.manifest["template"]
        return Template(self.tokenizer.chat_template, known["family"], known["origin"])

    @cached_property
    def device(self) -> str:
        """Where it is asked: "cuda" where it was trained there and there is one, else "cpu"."""
        import torch

        return "cuda" if self.manifest["device"]["kind"] == "cuda" and torch.cuda.is_available() else "cpu"

    @property
    def dtype(self) -> str:
        """Of the activations, a name in torch."""
        return processor_dtype() if self.device == "cpu" else str(self.manifest["precision"])

    @property
    def swapped(self) -> bool:
        """Whether its frozen weights wait in main memory, in part, when it is asked: as they did when it was trained.

        Unsloth can do that on a GPU; plain transformers would need a larger card.
        """
        memory = self.config.memory
        wanted = bool(memory.offload_embedding or memory.offload_layers)
        return wanted and self.config.model.backend == "unsloth" and self.device == "cuda"

    def view(self, record: Record) -> Record:
        """A row of its data as training and its evaluations saw it."""
        data = self.config.data
        return with_visible_tools(record, max_tools=data.max_tools, descriptions=data.descriptions)


def read_trained(run: Path, model: str | None = None) -> Trained:
    """A run that has a best adapter.

    Args:
        model: where its base model is now; None: where it was.

    Raises:
        InputError: it has none, or one of its files is missing or broken.
    """
    config = read_config(run, [f"model.name={model}"] if model else None)
    if not (run / "best" / "adapter_model.safetensors").is_file():
        how = f"let it finish: python -m finetune train --resume {quoted(run)}"
        raise InputError("the run has no best/ adapter", where=str(run), fix=how)
    trained = Trained(run, config, read_manifest(run, MANIFEST))
    check_files(trained.adapter)
    return trained


def prepare(trained: Trained) -> None:
    """Set the process up for asking the run; before transformers is imported and anything touches CUDA.

    Raises:
        JobFailed: the run needs Unsloth, and transformers, trl or peft is there already.
    """
    prepare_process()
    if trained.device == "cuda":
        backend.bound_card(trained.config.memory.budget_gb)
    if trained.swapped:
        backend.start_unsloth()


def base_folder(run: Run, say: Say) -> Path:
    """The folder of a run's base model, with the weights that the run was trained on.

    Raises:
        InputError: it cannot be had, or has other weights.
    """
    named = "name its base model: --model PATH"
    try:
        base = resolve(run.config.model.name, say)
    except InputError as e:
        if e.where != "model.name":
            raise
        raise InputError(e.said, where="the run's base model", fix=f"{named}; or fetch it again") from None
    known = run.manifest.get("weights")
    if known and known != weights_digest(base):
        raise InputError("these are other weights than the run was trained on", where=str(base), fix=named)
    return base


def load_base(trained: Trained, say: Say) -> Any:
    """The run's base model to ask; `say` is told where it has to be fetched or converted first.

    Raises:
        InputError: its weights are not those that the run was trained on.
        NoRoom: memory does not suffice for it.
    """
    model = trained.config.model
    base = base_folder(trained, say)
    try:
        if trained.swapped:
            tokens = backend.context_length(base)
            return _asking(backend.load_unsloth(base, trained.config, trained.dtype, max_length=tokens))
        return load_model(base, dtype=trained.dtype, load_in_4bit=model.load_in_4bit, device=trained.device)
    except Exception as e:
        if not is_shortage(e):
            raise
        raise NoRoom(
            f"out of memory while {model.name} was loaded",
            "close other programs that use memory; `python -m finetune plan` has figures",
        ) from e


def add_best(trained: Trained, model: Any) -> Any:
    """The run's best adapter on a model of `load_base`."""
    if trained.swapped:
        return _asking(backend.put_adapter(model, trained.adapter, trained.config))
    return add_adapter(model, trained.adapter, device=trained.device)


def _asking(model: Any) -> Any:
    """A model of Unsloth's in evaluation mode, which is another one for its own decoding."""
    model.eval()
    model.for_inference()
    return model


def load_tuned(trained: Trained, say: Say) -> Any:
    """The run's base model with its best adapter."""
    return add_best(trained, load_base(trained, say))
