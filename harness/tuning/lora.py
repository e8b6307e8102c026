"""LoRA on all linear layers with PEFT; the loop in plain view.

Two things keep it cheap: logits are computed at answer positions only, and a prompt prefix that all rows share goes
through the model once a step (its keys and values carry gradients, so loss and gradients are those of whole rows).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.generation import attention
from harness.generation.batching import batches_by_length
from harness.generation.decode import expanded
from harness.generation.lean import forget
from harness.models.bundled import file_digest
from harness.models.local import LoadedModel
from harness.tuning.examples import Row, RowSet, TrainingText, row_set, shuffled_batches
from harness.tuning.lean import lean_layers
from harness.tuning.packing import packed_loss

MICRO_TOKENS = 2_048

WEIGHTS_FILE = "adapter_model.safetensors"
"""As PEFT names it."""

Progress = Callable[[str, float], None]
"""(what is going on, share done 0..1)"""


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """How an adapter is trained. Sources of the defaults: LoRA Learns Less and Forgets Less (arXiv 2405.09673):
    all linear layers, alpha = 2 r, learning rate the setting that matters most."""

    rank: int = 16
    alpha: int = 32
    learning_rates: tuple[float, ...] = (5e-4, 2e-4)
    """Candidates; with more than one, each is tried for `trial_steps` and the best on dev goes on."""
    epochs: int = 3
    """Most passes over the examples; fewer where the dev loss stops falling."""
    rows: int = 16
    trial_steps: int = 20
    seed: int = 0
    full: bool = False
    """All weights instead of an adapter (`tuning/full.py`); rank and alpha then say nothing."""


@dataclass(frozen=True, slots=True)
class TuningResult:
    """What came of a training."""

    folder: Path
    digest: str
    """SHA-256 of the adapter's weights file."""
    learning_rate: float
    epochs: int
    """Passes after which the dev loss was lowest."""
    dev_losses: tuple[float, ...]
    """Mean loss an answer token on dev: before training, then after each epoch."""
    trials: tuple[tuple[float, float], ...]
    """(learning rate, dev loss after the trial) of each candidate; empty where there was one."""
    tokens: int
    """Training tokens, each row with its whole prompt."""
    seconds: float


def encode_rows(loaded: LoadedModel, texts: Sequence[TrainingText]) -> list[Row]:
    """Token rows; the answer ends with the model's stop token."""
    stop = loaded.tokenizer.eos_token_id
    return [Row(tuple(loaded.encode(t.prompt)), (*loaded.encode(t.answer), stop)) for t in texts]


def tune(
    loaded: LoadedModel,
    examples: Sequence[TrainingText],
    *,
    dev: Sequence[TrainingText],
    settings: TuningSettings,
    out: Path,
    progress: Progress = lambda what, share: None,
    opened: Opened | None = None,
) -> TuningResult:
    """Train an adapter and save it to `out`; the base weights come out untouched.

    Without dev rows, the first learning rate and all epochs are used.

    Args:
        opened: makes what is trained; None: an adapter.
    """
    start = time.perf_counter()
    train = row_set(encode_rows(loaded, examples))
    held = row_set(encode_rows(loaded, dev), prefix=train.prefix) if dev else None
    with (opened or _adapter)(loaded, settings) as trainer:
        rate, trials = _choose_rate(trainer, train, held, settings=settings, progress=progress)
        losses, best = _train(
            trainer, train, held, settings=replace(settings, learning_rates=(rate,)), progress=progress
        )
        trainer.save(out)
    return TuningResult(
        folder=out,
        digest=file_digest(out / WEIGHTS_FILE),
        learning_rate=rate,
        epochs=best,
        dev_losses=tuple(losses),
        trials=tuple(trials),
        tokens=trainer.tokens,
        seconds=time.perf_counter() - start,
    )


class Trainer:
    """A model of which some weights learn (those of a fresh adapter), and a count of the tokens seen.

    They compute in the base's precision; the optimizer works on float32 copies, because bf16 swallows small updates.
    """

    def __init__(self, loaded: LoadedModel, model: Any) -> None:
        self.loaded, self.model, self.tokens = loaded, model, 0
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.masters = [p.detach().float().clone() for p in self.parameters]
        self.initial = self.state()

    def state(self) -> list[Any]:
        """A copy of the learning weights as they compute."""
        return [p.detach().clone() for p in self.parameters]

    def restore(self, state: Sequence[Any]) -> None:
        """Set the learning weights, from a copy made at the start or to be used as it is."""
        for master, value in zip(self.masters, state, strict=True):
            master.copy_(value)
        self._publish()

    def optimizer(self, rate: float) -> Any:
        """A fresh AdamW over the float32 copies."""
        import torch

        return torch.optim.AdamW(self.masters, lr=rate, weight_decay=0.0, foreach=True)

    def update(self, optimizer: Any) -> None:
        """One clipped optimizer step from the gradients that the last backward pass left."""
        import torch

        for master, parameter in zip(self.masters, self.parameters, strict=True):
            master.grad = parameter.grad.float()
            parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        optimizer.step()
        self._publish()

    def save(self, out: Path) -> None:
        """Write the learnt weights."""
        self.model.save_pretrained(out)

    def _publish(self) -> None:
        import torch

        with torch.no_grad():
            for parameter, master in zip(self.parameters, self.masters, strict=True):
                parameter.copy_(master)


Opened = Callable[[LoadedModel, TuningSettings], AbstractContextManager[Trainer]]
"""Makes a model's weights ready to learn, and puts the model back as it was."""


@contextmanager
def _adapter(loaded: LoadedModel, settings: TuningSettings) -> Iterator[Trainer]:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(settings.seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(loaded.network, config, autocast_adapter_dtype=False)
    try:
        with lean_layers(model):
            yield Trainer(loaded, model)
    finally:
        model.unload()
        loaded.network.requires_grad_(False)


def _choose_rate(
    trainer: Trainer, train: RowSet, held: RowSet | None, *, settings: TuningSettings, progress: Progress
) -> tuple[float, list[tuple[float, float]]]:
    """Each learning rate for a few steps from the same start; the lowest dev loss wins."""
    rates = settings.learning_rates
    steps_an_epoch = -(-len(train.rows) // settings.rows)
    if held is None or len(rates) < 2 or steps_an_epoch < 3:
        return rates[0], []
    trials = []
    for number, rate in enumerate(rates):
        progress("learning rates", number / len(rates))
        trainer.restore(trainer.initial)
        optimizer = trainer.optimizer(rate)
        for batch in shuffled_batches(train.rows, size=settings.rows, seed=settings.seed)[: settings.trial_steps]:
            _step(trainer, optimizer, train, batch)
        trials.append((rate, dev_loss(trainer.loaded, trainer.model, held)))
    trainer.restore(trainer.initial)
    return min(trials, key=lambda trial: _or_worst(trial[1]))[0], trials


def _train(
    trainer: Trainer, train: RowSet, held: RowSet | None, *, settings: TuningSettings, progress: Progress
) -> tuple[list[float], int]:
    """The training itself: warm-up, linear decay, stop when an epoch doesn't lower the dev loss."""
    rate = settings.learning_rates[0]
    optimizer = trainer.optimizer(rate)
    steps_an_epoch = -(-len(train.rows) // settings.rows)
    total = steps_an_epoch * settings.epochs
    losses = [dev_loss(trainer.loaded, trainer.model, held)] if held else []
    best, best_state, step = settings.epochs, None, 0
    for epoch in range(1, settings.epochs + 1):
        for batch in shuffled_batches(train.rows, size=settings.rows, seed=settings.seed + epoch):
            for group in optimizer.param_groups:
                group["lr"] = rate * _schedule(step, total)
            _step(trainer, optimizer, train, batch)
            step += 1
            progress("tuning", step / total)
        if held is None:
            continue
        losses.append(_or_worst(dev_loss(trainer.loaded, trainer.model, held)))
        if losses[-1] >= min(losses[:-1]):
            break
        best, best_state = epoch, trainer.state()
    if best_state is not None:
        trainer.restore(best_state)
    elif held is not None:  # no epoch was better than no training
        best = 0
        trainer.restore(trainer.initial)
    return losses, best


def _or_worst(loss: float) -> float:
    """A loss that is no number is the worst of all."""
    return loss if math.isfinite(loss) else math.inf


def _schedule(step: int, total: int) -> float:
    """Share of the peak learning rate: warm-up over 6 % of the steps, then linear down to a tenth."""
    warm = max(1, round(total * 0.06))
    if step < warm:
        return (step + 1) / warm
    return 1.0 - 0.9 * (step - warm) / max(1, total - warm)


def _step(trainer: Trainer, optimizer: Any, train: RowSet, batch: Sequence[int]) -> None:
    rows = [train.rows[i] for i in batch]
    trainer.tokens += sum(len(train.prefix) + len(r.prompt) + len(r.answer) for r in rows)
    count = sum(len(row.answer) for row in rows)
    for part in micro_batches(rows, prefix=len(train.prefix)):
        loss, _ = answer_loss(trainer.loaded, trainer.model, part, prefix=train.prefix)
        (loss / count).backward()
    trainer.update(optimizer)


def micro_batches(rows: Sequence[Row], *, prefix: int) -> list[list[Row]]:
    """Rows that go through the model together; the gradients of a step are summed over them.

    Held to `MICRO_TOKENS` padded tokens (to twice the prefix where that is more, since each part computes it anew), so
    that memory does not grow with the length of the prompts.
    """
    lengths = [len(row.prompt) + len(row.answer) for row in rows]
    parts = batches_by_length(lengths, rows=len(rows), tokens=max(MICRO_TOKENS, 2 * prefix))
    return [[rows[i] for i in part] for part in parts]


def dev_loss(loaded: LoadedModel, model: Any, held: RowSet) -> float:
    """Mean loss an answer token over the held-out rows."""
    import torch

    total, tokens = 0.0, 0
    with torch.no_grad():
        for chosen in micro_batches(held.rows, prefix=len(held.prefix)):
            loss, count = answer_loss(loaded, model, chosen, prefix=held.prefix)
            total, tokens = total + float(loss), tokens + count
    return total / max(1, tokens)


def answer_loss(loaded: LoadedModel, model: Any, rows: Sequence[Row], *, prefix: Sequence[int]) -> tuple[Any, int]:
    """Summed cross-entropy over the rows' answer tokens, and their number; the rows come without the prefix."""
    if attention.ready(loaded.network):
        return packed_loss(model, [Row((*prefix, *row.prompt), row.answer) for row in rows])
    return padded_loss(loaded, model, rows, prefix=prefix)


def padded_loss(
    loaded: LoadedModel,
    model: Any,
    rows: Sequence[Row],
    *,
    prefix: Sequence[int],
) -> tuple[Any, int]:
    """`answer_loss` for networks that know no plans.

    Rows are padded on the left, so that every answer ends in the last column and only the last columns need logits.
    """
    import torch

    device = loaded.machine.device
    lines = [[*row.prompt, *row.answer] for row in rows]
    width, longest = max(map(len, lines)), max(len(row.answer) for row in rows)
    pads = torch.tensor([width - len(line) for line in lines], device=device)[:, None]
    ids = torch.tensor([[0] * (width - len(line)) + line for line in lines], device=device)
    columns = torch.arange(width, device=device)[None, :]
    mask = torch.cat([torch.ones(len(rows), len(prefix), dtype=torch.long, device=device), (columns >= pads).long()], 1)
    options: dict[str, Any] = {}
    if prefix:
        row = torch.tensor([list(prefix)], device=device)
        past = model(input_ids=row, use_cache=True, logits_to_keep=1).past_key_values
        options = {"past_key_values": expanded(past, len(rows)), "use_cache": True}
    out = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(len(prefix) + columns - pads).clamp(min=0),
        logits_to_keep=longest + 1,
        **options,
    )
    targets = ids[:, -longest:].clone()
    starts = torch.tensor([longest - len(row.answer) for row in rows], device=device)[:, None]
    targets[torch.arange(longest, device=device)[None, :] < starts] = -100
    logits = out.logits[:, :-1, :].float()
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), reduction="sum", ignore_index=-100
    )
    return loss, sum(len(row.answer) for row in rows)


@contextmanager
def merged(loaded: LoadedModel, adapter: Path) -> Iterator[None]:
    """The adapter's weights added into the base model for a while; afterwards the base is what it was, bit for bit."""
    from peft import PeftModel

    network = loaded.network
    backup = {name: p.detach().clone() for name, p in network.named_parameters() if p.dim() == 2}
    wrapped = PeftModel.from_pretrained(network, adapter)
    wrapped.merge_and_unload()
    forget(network)
    try:
        yield
    finally:
        forget(network)
        parameters = dict(network.named_parameters())
        for name, value in backup.items():
            parameters[name].data.copy_(value)
        network.requires_grad_(False)
