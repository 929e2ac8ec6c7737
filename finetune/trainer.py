"""The trainer: TRL's SFTTrainer on rows that are tokenised already, with this project's evaluation and row order."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from data.render import Example
from finetune.attention import ordinary_attention
from finetune.batching import EpochOrder, collate, epoch_order, features, to_dataset
from finetune.callbacks import mean_loss
from finetune.device import Device, hand_back_freed_memory
from finetune.losses import evaluation_loss, scaled_weights, training_loss
from finetune.models import Loaded
from finetune.packing import Packing
from finetune.processor import products
from finetune.rate import Tally
from finetune.shared_prefix import computed_tokens, pack
from finetune.shortage import phase
from tooltune.config import Config
from tooltune.errors import JobFailed

Scorer = Callable[[Any], dict[str, float]]


def build_trainer(
    config: Config,
    loaded: Loaded,
    tokenizer: Any,
    train: Sequence[Example],
    validation: Sequence[Example],
    *,
    device: Device,
    output_dir: str,
    warmup_steps: int,
    scorer: Scorer | None,
    callbacks: list[Any],
    packing: Packing | None,
    trl: bool | None = None,
    more: dict[str, Any] | None = None,
    tally: Tally | None = None,
) -> Any:
    """A trainer with every setting given explicitly, so that both backends do the same work.

    Args:
        scorer: called with the model (in evaluation mode) at each evaluation; its metrics enter the log as `eval_…`.
        packing: `make_packing` of `train`, with which the model was loaded as well.
        trl: SFTTrainer or transformers' Trainer; None: as `uses_trl` says. The benchmark compares both.
        more: settings of the trainer besides the config's; the benchmark tries kernels with them.
        tally: counts what each batch computes.
    """
    sft = uses_trl(config, device) if trl is None else trl
    if sft:
        from trl import SFTConfig as Arguments
        from trl import SFTTrainer as Base
    else:
        from transformers import Trainer as Base
        from transformers import TrainingArguments as Arguments

    weights = scaled_weights(config.loss.role_weights, train)
    # On a CPU no library has a head that leaves out the tokens without a label; the plain arm keeps its library's.
    own_loss = weights is not None or packing is not None or (device.kind == "cpu" and trl is not False)

    class ToolTrainer(Base):
        """`evaluate` is token-weighted and by role; the row order is a function of seed and epoch."""

        resumed_epoch = 0.0  # where a resumed run starts, in epochs

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            with phase("step"):
                loss = super().training_step(*args, **kwargs)
            if not loss.isfinite():
                step, rows = self.state.global_step + 1, ", ".join(self._rows_of_step())
                self.log({"step": step, "loss": loss.item()})
                raise JobFailed(
                    f"the loss is {loss.item()} at step {step}, rows {rows}",
                    "look at these rows; if they are sound, lower train.learning_rate",
                )
            return loss

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if tally is not None:
                tally.add(inputs)
            with products(loaded.fast):
                if not own_loss:
                    return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
                loss = training_loss(model, inputs, num_items_in_batch, compiled=loaded.compiled)
            return (loss, None) if return_outputs else loss

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if "train_runtime" in logs:
                self._correct_speed(logs)
            super().log(logs, start_time)

        def _correct_speed(self, logs: dict[str, float]) -> None:
            """The stock figures take every planned row for trained, early stop or resumed run or not."""
            runtime = logs["train_runtime"]
            epochs = self.state.epoch - self.resumed_epoch
            logs["train_samples_per_second"] = round(epochs * len(train) / runtime, 3)
            steps = epochs * len(train) / (config.train.micro_batch * config.train.accumulation)
            logs["train_steps_per_second"] = round(steps / runtime, 3)
            logs["train_loss"] = mean_loss(self.state.log_history) or logs["train_loss"]

        def _rows_of_step(self) -> list[str]:
            effective = config.train.micro_batch * config.train.accumulation
            order = self._get_train_sampler()
            order.set_epoch(int(self.state.epoch or 0))
            at = self.state.global_step % -(-len(train) // effective) * effective
            return [train[row].id for row in order.order()[at : at + effective]]

        def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
            if self.is_in_train:  # what was learnt is safe before anything else is tried with it
                self.save_now()
            metrics = evaluate(self, config, validation, scorer)
            self.log(metrics)
            self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

        def save_now(self) -> None:
            """A checkpoint of the last finished step."""
            self._save_checkpoint(self.model, trial=None)

        def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
            with phase("save"):
                super()._save_checkpoint(*args, **kwargs)

        def evaluate_late(self, checkpoint: str) -> None:
            """Make up for the evaluation that a checkpoint did not live to see, and save what it found."""
            self._load_rng_state(checkpoint)
            self._determine_best_metric(self.evaluate(), trial=None)
            self.save_now()

        def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
            lengths = [len(example.input_ids) for example in train]
            return epoch_order(config.train, lengths, packing.families if packing else None)

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """The run folder has its own report; TRL's card would ask the hub for the base model's licence."""

    join = partial(pack, most=packing.tokens) if packing else partial(collate, pad_token_id=tokenizer.pad_token_id)
    arguments: Any = _arguments(config, loaded, device, output_dir, warmup_steps, packing)
    arguments |= _SFT_ONLY if sft else {}
    arguments |= more or {}
    trainer: Any = ToolTrainer(
        model=loaded.model,
        args=Arguments(**arguments),
        train_dataset=to_dataset(train, weights),
        eval_dataset=to_dataset(validation),
        processing_class=tokenizer,
        data_collator=join,
        callbacks=callbacks,
    )
    trainer.trl, trainer.fast, trainer.join, trainer.packing = sft, loaded.fast, join, packing
    if own_loss:  # it divides by the items of the step itself, so nothing is divided after it
        trainer.model_accepts_loss_kwargs = True
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL has cast a 4-bit model's adapter to bfloat16, where small updates are lost
            parameter.data = parameter.data.float()
    return trainer


def uses_trl(config: Config, device: Device) -> bool:
    """SFTTrainer, or transformers' own Trainer: TRL's LM head is a Triton kernel, which needs a GPU or Unsloth."""
    return config.model.backend == "unsloth" or device.kind == "cuda"


def probe(trainer: Any, config: Config, loaded: Loaded, train: Sequence[Example], device: Device) -> float:
    """Two micro-steps before step 1, thrown away: one on the longest rows, one on rows of middle length (where prefixes
    are shared: on the first micro-batch, its time scaled to the mean one's tokens).

    The first shows an out-of-memory in the first minute, compiles what will be compiled, and proves that gradients are
    finite (float16 on some cards gives NaN). The second is timed.

    Returns:
        Seconds that a micro-step takes.

    Raises:
        JobFailed: a gradient is not finite.
    """
    import time

    import torch

    size = trainer.args.per_device_train_batch_size
    by_length = sorted(train, key=lambda e: -len(e.input_ids))
    longest, middle, larger = by_length[:size], by_length[len(by_length) // 2 :][:size], 1.0
    if trainer.packing:
        ordered = [train[row] for row in trainer._get_train_sampler().order()]
        middle = ordered[:size]
        most = trainer.packing.tokens
        larger = computed_tokens(ordered, size, most) / -(-len(train) // size) / computed_tokens(middle, size, most)
    with torch.random.fork_rng(devices=[0] if device.kind == "cuda" else []):
        loss = _throwaway_step(trainer, config, loaded, longest)
        gradients = [p.grad for p in loaded.model.parameters() if p.grad is not None]
        finite = bool(gradients) and all(bool(torch.isfinite(g).all()) for g in gradients)
        started = time.perf_counter()
        _throwaway_step(trainer, config, loaded, middle)
        seconds = (time.perf_counter() - started) * larger
    trainer.model.zero_grad(set_to_none=True)
    _keep_compiled(trainer.model)
    if trainer.trl:
        trainer._metrics["train"].clear()  # TRL keeps a tally of each loss: these were no steps
        trainer._total_train_tokens = 0
    if not finite:
        rows_named = ", ".join(e.id for e in longest[:3])
        raise JobFailed(
            f"gradients are not finite in {loaded.dtype} (loss {loss:.3g}, rows {rows_named})",
            "try model.backend=hf model.dtype=float32 (slower)",
        )
    return seconds


def _throwaway_step(trainer: Any, config: Config, loaded: Loaded, examples: Sequence[Example]) -> float:
    weights = scaled_weights(config.loss.role_weights, examples)
    batch = trainer._prepare_inputs(trainer.join([features(e, weights) for e in examples]))
    _training(trainer.model, config)  # Unsloth's trainer has left the model in inference mode, without checkpointing
    with trainer.compute_loss_context_manager():
        loss = trainer.compute_loss(loaded.model, batch, num_items_in_batch=(batch["labels"] != -100).sum())
    loss.backward()
    return float(loss.item())


def _keep_compiled(model: Any) -> None:
    """Let `train()` go on with what the probe has compiled.

    Unsloth takes a forward pass before `train()` for one in another setting (no autocast, other modes), and compiles
    all again. The probe's are those of a step.
    """
    for module in (model, model.get_base_model()):
        if marker := getattr(module, "_unsloth_pretrain_marker", None):
            marker["seen"] = False


def evaluate(trainer: Any, config: Config, rows: Sequence[Example], scorer: Scorer | None) -> dict[str, float]:
    """Loss by role, the scorer's metrics and the speed of the loss part; the model is back in training mode after."""
    import time

    import torch

    model = trainer.model
    started = time.perf_counter()
    if trainer.args.use_cpu:  # what training has left is not needed beside what evaluation takes
        hand_back_freed_memory()
    rows_at_once = evaluated_at_once(trainer, config)
    _inference(model, config)
    try:
        # The layers were compiled for training; evaluation has other shapes and no gradients, and runs as it is.
        with torch.no_grad(), trainer.compute_loss_context_manager(), torch.compiler.set_stance("force_eager"):
            with phase("evaluation"), products(trainer.fast):
                metrics = evaluation_loss(model, rows, rows_at_once, trainer.join, packed=trainer.packing is not None)
            seconds = time.perf_counter() - started
            with phase("generation"), ordinary_attention(model):
                scores = scorer(model) if scorer else {}
    finally:
        _training(model, config)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    steps = -(-len(rows) // rows_at_once)
    return {
        **metrics,
        **{f"eval_{name}": value for name, value in scores.items()},
        "eval_runtime": round(seconds, 4),
        "eval_samples_per_second": round(len(rows) / seconds, 3),
        "eval_steps_per_second": round(steps / seconds, 3),
    }


def evaluated_at_once(trainer: Any, config: Config) -> int:
    """Rows of a batch of the evaluation loss; packed, it is cut into passes, and more rows share more."""
    return max(config.eval.micro_batch, trainer.packing.rows) if trainer.packing else config.eval.micro_batch


def _inference(model: Any, config: Config) -> None:
    model.eval()
    if config.model.backend == "unsloth":
        model.for_inference()


def _training(model: Any, config: Config) -> None:
    if config.model.backend == "unsloth":
        model.for_training(use_gradient_checkpointing=config.train.gradient_checkpointing != "off")
    model.config.use_cache = False
    model.train()


_SFT_ONLY = {
    "dataset_kwargs": {"skip_prepare_dataset": True},
    "packing": False,
    "padding_free": False,
    "completion_only_loss": False,  # the labels say it, row by row
    "assistant_only_loss": False,
    "loss_type": "nll",
    "max_length": None,
}


def _arguments(
    config: Config, loaded: Loaded, device: Device, output_dir: str, warmup_steps: int, packing: Packing | None
) -> dict[str, Any]:
    train, every = config.train, config.eval.every
    strategy: dict[str, Any] = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    if every != "epoch":
        strategy = {
            "eval_strategy": "steps",
            "save_strategy": "steps",
            "eval_steps": every,
            "save_steps": every,
        }
    optimizer = "adamw_torch_fused" if train.optimizer == "adamw_torch" or device.kind == "cpu" else train.optimizer
    return {
        "output_dir": output_dir,
        "num_train_epochs": train.epochs,
        "max_steps": train.max_steps or -1,
        "per_device_train_batch_size": packing.rows if packing else train.micro_batch,
        "per_device_eval_batch_size": config.eval.micro_batch,
        "gradient_accumulation_steps": 1 if packing else train.accumulation,
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
        "bf16": loaded.dtype == "bfloat16",
        "fp16": loaded.dtype == "float16",
        "use_cpu": device.kind == "cpu",
        "seed": train.seed,
        "data_seed": train.seed,
        "logging_strategy": "steps",
        "logging_steps": train.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # a NaN must be seen
        **strategy,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss"
        if config.eval.select_by == "eval_loss"
        else f"eval_{config.eval.select_by}",
        "greater_is_better": config.eval.select_by != "eval_loss",
        "restore_callback_states_from_checkpoint": True,
        "prediction_loss_only": True,
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": device.kind == "cuda",
        "include_num_input_tokens_seen": "no",
        "label_names": ["labels"],
        "report_to": "none",  # the Recorder tells the trackers
        "disable_tqdm": True,
    }
