"""The trainer: TRL's SFTTrainer on rows that are tokenised already, with this project's evaluation and row order.

Unsloth must be imported before this module, which imports transformers.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from data.render import IGNORED, Example
from data.stored import lengths_of
from finetune.attention import ordinary_attention
from finetune.batching import EpochOrder, ShareOfSteps, collate, epoch_order, to_dataset
from finetune.callbacks import mean_loss
from finetune.checkpoints import UNLOGGED, prune, written_whole
from finetune.device import Device, hand_back_freed_memory
from finetune.finite import NotFinite, fault_of_step, refuse_odd_weights
from finetune.library_internals import (
    end_where_over,
    keep_no_random_state,
    look_at_gradients,
    note_if_best,
    own_loader,
    restore_random_state,
    restore_unlogged_loss,
    save_checkpoint,
    save_inside,
    unlogged_loss,
    use_row_order,
)
from finetune.losses import evaluation_loss, scaled_weights, training_loss
from finetune.models import LoadedModel
from finetune.packing import Packing
from finetune.processor import products
from finetune.rate import Tally
from finetune.shared_prefix import pack
from finetune.shortage import OutOfMemory, phase
from finetune.together import average_gradients, gathered, mean, share_of_step, wait
from tooltune.config import Config
from tooltune.files import write_json
from tooltune.launch import is_first, processes

Scorer = Callable[[Any], dict[str, float]]


@dataclass(frozen=True)
class TrainingJob:
    """What is trained, on which rows, and where.

    Attributes:
        packing: `make_packing` of `train`, with which the model was loaded as well.
        scorer: called with the model (in evaluation mode) at each evaluation; its metrics enter the log as `eval_…`.
        tally: counts what each batch computes.
        evaluating: entered for each evaluation, when the checkpoint of its step is written.
    """

    config: Config
    device: Device
    loaded: LoadedModel
    tokenizer: Any
    train: Sequence[Example]
    validation: Sequence[Example]
    packing: Packing | None
    scorer: Scorer | None = None
    tally: Tally | None = None
    evaluating: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def effective_batch(self) -> int:
        """Rows of an optimizer step."""
        return self.config.train.micro_batch * self.config.train.accumulation

    @property
    def own_batch(self) -> tuple[int, int]:
        """Rows of a micro-batch and micro-batches of a step, of this process."""
        micro_batch, accumulation = share_of_step(self.config)
        return (micro_batch * accumulation, 1) if self.packing else (micro_batch, accumulation)

    @property
    def evaluation_batch(self) -> int:
        """Rows of a batch of the evaluation loss; packed, it is cut into passes, and in a larger one more is shared."""
        rows = self.config.eval.micro_batch
        return max(rows, self.packing.rows) if self.packing else rows

    def join(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """A batch of rows (`batching.features`), packed or padded; of none, a token without a label."""
        rows = rows or [{"input_ids": [self.tokenizer.pad_token_id], "labels": [IGNORED], "weights": [0.0]}]
        if self.packing:
            return pack(rows, self.packing.tokens)
        return collate(rows, self.tokenizer.pad_token_id)

    def row_order(self) -> EpochOrder:
        families = self.packing.families if self.packing else None
        return epoch_order(self.config.train, lengths_of(self.train), families)


class ToolTrainer(Trainer):
    """`evaluate` is token-weighted and by role; the row order is a function of seed and epoch.

    Args:
        own_loss: this project's loss at the LM head, not the library's.
        settings: of the Trainer.

    Attributes:
        uses_trl: whether TRL's SFTTrainer is under it.
        resumed_epoch: where a resumed run starts, in epochs.
        last_loss: the loss of the last micro-batch where it was finite.
        odd_loss: that of the step that is being made, where it is not.
        begun, unlogged: the finished steps when a step began, and `unlogged_loss` then.
    """

    uses_trl = False

    def __init__(self, job: TrainingJob, *, own_loss: bool, **settings: Any) -> None:
        self.job, self.own_loss = job, own_loss
        self.resumed_epoch = 0.0
        self.odd_loss: float | None = None
        self.begun, self.unlogged = -1, (torch.zeros(()), 0)
        super().__init__(**settings)
        if own_loss:  # it divides by the items of the step itself, so nothing is divided after it
            self.model_accepts_loss_kwargs = True
        self.last_loss = torch.zeros((), device=self.args.device)
        use_row_order(self, job.row_order())
        save_inside(self, self.saving)
        if not is_first():
            keep_no_random_state(self)
        look_at_gradients(self, self.check_step)
        end_where_over(self)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        self.started = time.perf_counter()
        return super().train(*args, **kwargs)

    def fit(self, checkpoint: Path | None) -> None:
        """Train, from a checkpoint if there is one.

        Raises:
            OutOfMemory: memory ran out. Where that was in the forward or backward pass of one process, the last
                finished step is saved first; in the optimizer's step only older checkpoints are whole.
            NotFinite: a loss or a gradient is not; the last finished step is kept.
        """
        try:
            with phase("optimizer"):
                self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except OutOfMemory as e:
            # An optimizer that stopped halfway has changed some weights: only older checkpoints are whole then.
            # Of several processes the others have room, and wait for this one in the step.
            if e.phase == "step" and self.state.global_step and processes() == 1:
                self._keep_last_step()
            raise
        except NotFinite as e:
            if self.state.global_step:
                self._keep_last_step()
            self.log(e.logs)
            raise

    def _keep_last_step(self) -> None:
        self.model.zero_grad(set_to_none=True)
        save_checkpoint(self)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around the writing of a checkpoint: it is whole or not there, and those before it are pruned after it.

        Of several processes the first writes it, and all go on when it is there.

        Raises:
            JobFailed: a weight is not finite, or the disk takes no more. The checkpoints before it stay.
        """
        step, checkpoints = self.state.global_step, Path(self.args.output_dir)
        refuse_odd_weights(self.model, step)
        folder = checkpoints / f"checkpoint-{step}"
        loss, logged = self.unlogged if self.begun == step else unlogged_loss(self)
        unlogged = {"loss": mean(loss.item()), "step": logged}
        if is_first():
            with phase("save"), written_whole(folder):
                yield
                write_json(folder / UNLOGGED, unlogged)
            prune(checkpoints)
        else:
            yield  # in which the library writes nothing
        wait()

    def take_up(self, checkpoint: Path) -> None:
        """Called when training begins from a checkpoint: what the library does not bring back."""
        restore_unlogged_loss(self, **json.loads((checkpoint / UNLOGGED).read_text(encoding="utf-8")))
        if best := self.state.best_global_step:  # the run's folder may have been moved or copied
            self.state.best_model_checkpoint = str(checkpoint.with_name(f"checkpoint-{best}"))

    def check_step(self, norm: Any) -> None:
        """Before the optimizer's step: stop at a loss or a gradient that is not finite, or leave the step out.

        Raises:
            NotFinite: `train.on_nan` is stop.
        """
        odd = [loss for loss in gathered([self.odd_loss]) if loss is not None]  # of any process
        loss, self.odd_loss, norm = odd[0] if odd else None, None, float(norm)
        what = fault_of_step(loss, norm, fp16=self.args.fp16)
        if not what:
            return
        step, rows = self.state.global_step + 1, self._rows_of_step()
        if self.job.config.train.on_nan == "stop":
            logs = {"step": step, "loss": mean(self.last_loss.item()) if loss is None else loss, "grad_norm": norm}
            raise NotFinite(f"{what} at step {step}, rows {', '.join(rows)}", logs)
        self.model.zero_grad(set_to_none=True)
        noted: dict[str, Any] = {"step": step, "skipped": what, "rows": rows}
        self.log(noted)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        if self.begun != self.state.global_step:
            self.begun, self.unlogged = self.state.global_step, unlogged_loss(self)
        with phase("step"):
            loss = super().training_step(*args, **kwargs)
            if processes() > 1 and self.accelerator.sync_gradients:
                average_gradients(self.model)
        if loss.isfinite():
            self.last_loss = loss
        else:
            self.odd_loss = loss.item()
        return self.last_loss  # in the logged mean, a step that is left out counts as the one before

    def get_train_dataloader(self) -> Any:
        if processes() == 1:
            return super().get_train_dataloader()
        return own_loader(self, ShareOfSteps(self.job.row_order(), *self.job.own_batch))

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        loaded = self.job.loaded
        if self.job.tally is not None:
            self.job.tally.add(inputs)
        with products(loaded.fast):
            if not self.own_loss:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            if processes() > 1:  # the trainer takes the mean over the processes, whose sum is the step's loss
                num_items_in_batch = num_items_in_batch / processes()
            loss = training_loss(self.model, inputs, num_items_in_batch, compiled=loaded.compiled)
        return (loss, None) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "train_runtime" in logs:
            self._correct_speed(logs)
        super().log(logs, start_time)

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
        if self.is_in_train:  # what was learnt is safe before anything else is tried with it
            save_checkpoint(self)
        with self.job.evaluating():
            metrics = self.evaluate_rows(self.job.validation, self.job.scorer)
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def evaluate_late(self, checkpoint: str) -> None:
        """Make up for the evaluation that a checkpoint did not live to see, and save what it found."""
        restore_random_state(self, checkpoint)
        note_if_best(self, self.evaluate())
        save_checkpoint(self)

    def evaluate_rows(self, rows: Sequence[Example], scorer: Scorer | None) -> dict[str, float]:
        """Loss by role, the scorer's metrics and the speed of the loss part; back in training mode after."""
        job, at_once = self.job, self.job.evaluation_batch
        started = time.perf_counter()
        if self.args.use_cpu:  # what training has left is not needed beside what evaluation takes
            hand_back_freed_memory()
        self.inference_mode()
        try:
            # What Unsloth has compiled on a GPU was compiled for training, and generation is never compiled.
            packed, compiled = job.packing is not None, job.loaded.compiled
            stance = "default" if compiled else "force_eager"
            with torch.no_grad(), self.compute_loss_context_manager():
                with phase("evaluation"), products(job.loaded.fast), torch.compiler.set_stance(stance):
                    metrics = evaluation_loss(self.model, rows, at_once, job.join, packed=packed, compiled=compiled)
                seconds = time.perf_counter() - started
                with phase("generation"), ordinary_attention(self.model), torch.compiler.set_stance("force_eager"):
                    scores = scorer(self.model) if scorer else {}
        finally:
            self.training_mode()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return {
            **metrics,
            **{f"eval_{name}": value for name, value in scores.items()},
            "eval_runtime": round(seconds, 4),
            "eval_samples_per_second": round(len(rows) / seconds, 3),
            "eval_steps_per_second": round(-(-len(rows) // at_once) / seconds, 3),
        }

    def inference_mode(self) -> None:
        """Let the model be asked, not trained."""
        self.model.eval()
        if self.job.config.model.backend == "unsloth":
            self.model.for_inference()

    def training_mode(self) -> None:
        """Let the model be trained: Unsloth's trainer leaves it in inference mode, without checkpointing."""
        config = self.job.config
        if config.model.backend == "unsloth":
            self.model.for_training(use_gradient_checkpointing=config.train.gradient_checkpointing != "off")
        self.model.config.use_cache = False
        self.model.train()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """The run folder has its own report; TRL's card would ask the hub for the base model's licence."""

    def _correct_speed(self, logs: dict[str, float]) -> None:
        """The stock figures take every planned row for trained, early stop or resumed run or not."""
        # The library's is the system's clock, which may be set, and goes on while the machine sleeps.
        runtime = logs["train_runtime"] = round(time.perf_counter() - self.started, 4)
        rows = (self.state.epoch - self.resumed_epoch) * len(self.job.train)
        logs["train_samples_per_second"] = round(rows / runtime, 3)
        logs["train_steps_per_second"] = round(rows / self.job.effective_batch / runtime, 3)
        logs["train_loss"] = mean_loss(self.state.log_history) or logs["train_loss"]

    def _rows_of_step(self) -> list[str]:
        """The ids of the rows of the step that is being made."""
        train, batch, order = self.job.train, self.job.effective_batch, self.job.row_order()
        order.set_epoch(int(self.state.epoch or 0))
        at = self.state.global_step % -(-len(train) // batch) * batch
        return [train[row].id for row in order.order()[at : at + batch]]


def build_trainer(
    job: TrainingJob,
    *,
    output_dir: str,
    warmup_steps: int,
    callbacks: list[Any],
    trl: bool | None = None,
    extra_arguments: dict[str, Any] | None = None,
) -> ToolTrainer:
    """A trainer with every setting given explicitly, so that both backends do the same work.

    Args:
        trl: SFTTrainer or transformers' Trainer; None: as `uses_trl` says. The benchmark compares both.
        extra_arguments: settings of the trainer besides the config's; the benchmark tries kernels with them.
    """
    weights = scaled_weights(job.config.loss.role_weights, job.train)
    # On a CPU no library has a head that leaves out the tokens without a label; the plain arm keeps its library's.
    own_loss = weights is not None or job.packing is not None or (job.device.kind == "cpu" and trl is not False)
    own_loss |= processes() > 1  # which averages gradients itself, whatever the library's loss and DDP would do
    arguments = _arguments(job, output_dir, warmup_steps) | (extra_arguments or {})
    kind: Any = ToolTrainer
    if uses_trl(job.config, job.device) if trl is None else trl:
        kind, settings = _with_trl(arguments)
    else:
        settings = TrainingArguments(**arguments)
    trainer: ToolTrainer = kind(
        job,
        own_loss=own_loss,
        model=job.loaded.model,
        args=settings,
        train_dataset=to_dataset(job.train, weights),
        eval_dataset=to_dataset(job.validation),
        processing_class=job.tokenizer,
        data_collator=job.join,
        callbacks=callbacks,
    )
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL has cast a 4-bit model's adapter to bfloat16, where small updates are lost
            parameter.data = parameter.data.float()
    return trainer


def uses_trl(config: Config, device: Device) -> bool:
    """SFTTrainer, or transformers' own Trainer: TRL's LM head is a Triton kernel, which needs a GPU or Unsloth."""
    return config.model.backend == "unsloth" or device.kind == "cuda"


def _with_trl(arguments: dict[str, Any]) -> tuple[type[ToolTrainer], Any]:
    """`ToolTrainer` on top of TRL's SFTTrainer, and its settings."""
    from trl import SFTConfig, SFTTrainer

    settings = SFTConfig(
        dataset_kwargs={"skip_prepare_dataset": True},
        packing=False,
        padding_free=False,
        completion_only_loss=False,  # the labels say it, row by row
        assistant_only_loss=False,
        loss_type="nll",
        max_length=None,
        **arguments,
    )
    return type("ToolTrainer", (ToolTrainer, SFTTrainer), {"uses_trl": True}), settings


def _arguments(job: TrainingJob, output_dir: str, warmup_steps: int) -> dict[str, Any]:
    config, on_cpu = job.config, job.device.kind == "cpu"
    train, every, best_by = config.train, config.eval.every, config.eval.select_by
    micro_batch, accumulation = job.own_batch
    strategy: dict[str, Any] = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    if every != "epoch":
        strategy = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": every, "save_steps": every}
    optimizer = "adamw_torch_fused" if train.optimizer == "adamw_torch" or on_cpu else train.optimizer
    return {
        "output_dir": output_dir,
        "num_train_epochs": train.epochs,
        "max_steps": train.max_steps or -1,
        "per_device_train_batch_size": micro_batch,
        "per_device_eval_batch_size": config.eval.micro_batch,
        "gradient_accumulation_steps": accumulation,
        "learning_rate": train.learning_rate,
        "lr_scheduler_type": train.schedule,
        "warmup_steps": warmup_steps,
        "weight_decay": train.weight_decay,
        "optim": optimizer,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "max_grad_norm": train.max_grad_norm,
        "gradient_checkpointing": train.gradient_checkpointing != "off",
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "bf16": job.loaded.dtype == "bfloat16",
        "fp16": job.loaded.dtype == "float16",
        "use_cpu": on_cpu,
        "seed": train.seed,
        "data_seed": train.seed,
        "logging_strategy": "steps",
        "logging_steps": train.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # a NaN must be seen
        **strategy,
        "save_total_limit": None,  # `checkpoints.prune`, which removes nothing before the new one is whole
        "load_best_model_at_end": True,
        "metric_for_best_model": best_by if best_by == "eval_loss" else f"eval_{best_by}",
        "greater_is_better": best_by != "eval_loss",
        "restore_callback_states_from_checkpoint": True,
        "prediction_loss_only": True,
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": not on_cpu,
        "include_num_input_tokens_seen": "no",
        "label_names": ["labels"],
        "report_to": "none",  # the Recorder tells the trackers
        "disable_tqdm": True,
    }
