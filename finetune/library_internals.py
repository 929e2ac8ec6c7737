"""The private members of torch, transformers, TRL and Unsloth that training relies on, all in one place.

tests/finetune/test_library_internals.py shows that the pinned versions have them.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


def free_workspaces() -> int:
    """Give torch's allocator back what cuBLAS holds of it, and takes again at the next product; returns the bytes.

    8.1 MiB for each of two threads, that of the backward pass and ours, and 32 on Hopper (docs/gpu.md).
    """
    import torch

    before = torch.cuda.memory_allocated()
    torch._C._cuda_clearCublasWorkspaces()
    return int(before - torch.cuda.memory_allocated())


def use_row_order(trainer: Any, order: Any) -> None:
    """Let a transformers Trainer take its training rows in the order of a sampler."""
    trainer._get_train_sampler = lambda *_: order


def own_loader(trainer: Any, batches: Any) -> Any:
    """A loader of a trainer's training rows in these batches, which accelerate does not divide among the processes."""
    from accelerate.data_loader import prepare_data_loader
    from torch.utils.data import DataLoader

    loader = DataLoader(trainer.train_dataset, batch_sampler=batches, collate_fn=trainer.data_collator)
    return prepare_data_loader(
        loader, trainer.args.device, num_processes=1, process_index=0, put_on_device=True, rng_types=[]
    )


def save_inside(trainer: Any, context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Let a Trainer save each of its checkpoints inside a context of its own."""
    save = trainer._save_checkpoint

    def surrounded(*args: Any, **kwargs: Any) -> None:
        with context():
            save(*args, **kwargs)

    trainer._save_checkpoint = surrounded


def keep_no_random_state(trainer: Any) -> None:
    """Let a Trainer that is not the first of several leave checkpoints alone: each would add a file of its own."""
    trainer._save_rng_state = lambda output_dir: None


def save_checkpoint(trainer: Any) -> None:
    """A checkpoint of the last finished step."""
    trainer._save_checkpoint(trainer.model, trial=None)


def unlogged_loss(trainer: Any) -> tuple[Any, int]:
    """The sum of the losses since the last logged step (a scalar tensor), and that step; no checkpoint of the library
    has them."""
    return trainer._tr_loss.clone(), trainer._globalstep_last_logged


def restore_unlogged_loss(trainer: Any, loss: float, step: int) -> None:
    """Let a resumed run log the mean that it would have logged; called when training begins, which sets them to 0."""
    trainer._tr_loss += loss
    trainer._globalstep_last_logged = step


def look_at_gradients(trainer: Any, look: Callable[[Any], None]) -> None:
    """Call `look` with the norm of each step's gradient, before the optimizer makes the step."""
    norm = trainer._get_grad_norm

    def looked_at(*args: Any, **kwargs: Any) -> Any:
        found = norm(*args, **kwargs)
        look(found)
        return found

    trainer._get_grad_norm = looked_at


def end_where_over(trainer: Any) -> None:
    """Make no step when all are made or an evaluation has ended the run; a resumed Trainer makes one, then looks."""
    from transformers import EarlyStoppingCallback

    run = trainer._run_epoch

    def run_if_needed(*args: Any, **kwargs: Any) -> None:
        callbacks = trainer.callback_handler.callbacks
        patience = [c for c in callbacks if isinstance(c, EarlyStoppingCallback)]
        ended = any(c.early_stopping_patience_counter >= c.early_stopping_patience for c in patience)
        if not ended and trainer.state.global_step < trainer.state.max_steps:
            run(*args, **kwargs)

    trainer._run_epoch = run_if_needed


def restore_random_state(trainer: Any, checkpoint: str) -> None:
    """The random state that a checkpoint was saved with."""
    trainer._load_rng_state(checkpoint)


def note_if_best(trainer: Any, metrics: dict[str, float]) -> None:
    """Let the trainer's state name the last step as the best one, if these metrics make it so."""
    trainer._determine_best_metric(metrics, trial=None)


def prepare_batch(trainer: Any, batch: dict[str, Any]) -> Any:
    """A collated batch as a step gets it: on the trainer's device."""
    return trainer._prepare_inputs(batch)


def forget_losses(trainer: Any) -> None:
    """Empty the tally that TRL's SFTTrainer keeps of every loss it computes."""
    trainer._metrics["train"].clear()
    trainer._total_train_tokens = 0


def attention_name(model: Any) -> str:
    """The attention that transformers computes a model with: sdpa, eager, flex_attention, or a registered one."""
    return str(model.config._attn_implementation)


def on_fast_path(module: Any) -> bool:
    """Whether Unsloth's own forward pass computes a module of a Llama-like model (never on a CPU)."""
    return "_unsloth_fast_path" in vars(module)  # else the same class computes as transformers does


def replace_shared_prefix_attention(attend: Callable[..., Any]) -> None:
    """Let Unsloth's forward passes call `attend` in the place of their kernel for shared prefixes."""
    dispatch: Any = sys.modules["unsloth.utils.attention_dispatch"]
    dispatch._flex_shared_prefix_attention = attend


def keep_compiled(model: Any) -> None:
    """Let `train()` go on with what forward passes before it have compiled.

    Unsloth takes a forward pass before `train()` for one in another setting (no autocast, other modes), and compiles
    all again. Those of the first look are as in a step.

    Args:
        model: a PEFT model.
    """
    for module in (model, model.get_base_model()):
        if marker := getattr(module, "_unsloth_pretrain_marker", None):
            marker["seen"] = False
