"""LoRA on all linear layers with PEFT; the loop in plain view.

Two things keep it cheap: logits are computed at answer positions only, and a prompt prefix that all rows share goes
through the model once a step (its keys and values carry gradients, so loss and gradients are those of whole rows).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.generation import attention
from harness.generation.batching import batches_by_length
from harness.generation.decode import expanded
from harness.generation.lean import forget
from harness.models.bundled import file_digest
from harness.models.local import LoadedModel, in_four_bits
from harness.tuning.checkpoint import Checkpoints, Reached
from harness.tuning.examples import Row, RowSet, TrainingText, row_set, shuffled_batches
from harness.tuning.lean import lean_layers
from harness.tuning.packing import packed_loss
from harness.tuning.team import ALONE, Team

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
    recompute: bool = False
    """Each layer is computed again on the way back instead of kept (gradient checkpointing, Chen et al. 2016, arXiv
    1604.06174): a third more work for a fraction of the memory."""
    sweep: int = 0
    """Pairs of rank and learning rate that were, or are to be, tried (`tuning/sweep.py`); 0: `learning_rates` only."""
    full: bool = False
    """All weights instead of an adapter (`tuning/full.py`); rank and alpha then say nothing."""
    processes: int = 1
    """Processes that hold the model in shares and tune it together (`tuning/processes.py`)."""


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
    notes: tuple[str, ...] = ()
    """What came of its checkpoints, where that is worth knowing."""
    checkpoint_seconds: float = 0.0
    """Of `seconds`, since it last went on: what writing them took."""


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
    key: str = "",
) -> TuningResult:
    """Train an adapter and save it to `out`; the base weights come out untouched.

    Without dev rows, the first learning rate and all epochs are used.

    Args:
        opened: makes what is trained; None: an adapter.
        key: digest of everything that determines the tuning: it then keeps checkpoints in `out`, and goes on from one
            that an interrupted tuning with the same key left there. Empty: neither.
    """
    sets = encode_sets(loaded, examples, dev)
    checkpoints = Checkpoints(out, key)
    opened = opened or fresh_adapter
    return tune_rows(loaded, sets, settings=settings, progress=progress, opened=opened, checkpoints=checkpoints)


Sets = tuple[RowSet, RowSet | None]
"""What is trained on, and what is held out of it."""


def encode_sets(loaded: LoadedModel, examples: Sequence[TrainingText], dev: Sequence[TrainingText]) -> Sets:
    """Both as token rows; they share a prefix."""
    train = row_set(encode_rows(loaded, examples))
    return train, row_set(encode_rows(loaded, dev), prefix=train.prefix) if dev else None


def tune_rows(
    loaded: LoadedModel,
    sets: Sets,
    *,
    settings: TuningSettings,
    progress: Progress,
    opened: Opened,
    checkpoints: Checkpoints,
) -> TuningResult:
    """`tune` on token rows; the checkpoints know where the result goes."""
    out, held = checkpoints.out, sets[1]
    with opened(loaded, settings) as trainer:
        under_way = _UnderWay(trainer, sets, settings=settings, progress=progress, checkpoints=checkpoints)
        rate = _choose_rate(under_way)
        _train(under_way, rate)
        trainer.save(out)
    digest = file_digest(out / WEIGHTS_FILE)
    checkpoints.delete()
    reached = under_way.reached
    return TuningResult(
        folder=out,
        digest=digest,
        learning_rate=rate,
        epochs=_best(reached, settings, held),
        dev_losses=reached.losses,
        trials=reached.trials,
        tokens=reached.tokens,
        seconds=under_way.seconds(),
        notes=tuple(checkpoints.notes),
        checkpoint_seconds=checkpoints.writing,
    )


class _UnderWay:
    """A tuning, how far it has come, and its checkpoints."""

    def __init__(
        self, trainer: Trainer, sets: Sets, *, settings: TuningSettings, progress: Progress, checkpoints: Checkpoints
    ) -> None:
        self.trainer, self.settings, self.progress, self.checkpoints = trainer, settings, progress, checkpoints
        self.train, self.held = sets
        self.start = time.perf_counter()
        self.best_state: list[Any] | None = None
        self.optimizer: Any = None
        self.kept = self.checkpoints.read()
        self.reached = self.kept.reached if self.kept else Reached()
        self.before = self.reached.seconds
        self.trainer.tokens = self.reached.tokens

    def seconds(self) -> float:
        """What it has taken, earlier parts of it included."""
        return self.before + time.perf_counter() - self.start

    def begin(self, rate: float) -> None:
        """A trial or the training: from the weights of the start, or as the checkpoint has it."""
        self.optimizer = self.trainer.optimizer(rate)
        if self.kept and self.reached.begun:
            self.best_state = self.trainer.take(self.kept.tensors, self.optimizer)
        else:
            self.trainer.restore(self.trainer.initial)
        self.kept = None

    def step(self, batch: Sequence[int]) -> None:
        """One step of the optimizer."""
        one_step(self.trainer, self.optimizer, self.train, batch)
        self.reached = replace(self.reached, step=self.reached.step + 1)
        self.keep(at_end=False)

    def keep(self, *, at_end: bool) -> None:
        """A checkpoint, where one is due."""
        self.reached = replace(self.reached, tokens=self.trainer.tokens, seconds=self.seconds())
        if self.checkpoints.due(at_end=at_end):
            full = self.reached.begun
            self.checkpoints.write(
                self.reached, lambda: self.trainer.tensors(self.optimizer, self.best_state) if full else {}
            )


class Trainer:
    """A model of which some weights learn (those of a fresh adapter), and a count of the tokens seen.

    They compute in the base's precision; the optimizer works on float32 copies, because bf16 swallows small updates.
    """

    def __init__(self, loaded: LoadedModel, model: Any, team: Team = ALONE) -> None:
        self.loaded, self.model, self.team, self.tokens = loaded, model, team, 0
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.masters = [p.detach().float().clone() for p in self.parameters]
        self.initial = self.state()

    def loss(self, rows: Sequence[Row], prefix: Sequence[int]) -> tuple[Any, int]:
        """`answer_loss` of the model that is trained."""
        return answer_loss(self.loaded, self.model, rows, prefix=prefix)

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

    def tensors(self, optimizer: Any, best: Sequence[Any] | None) -> dict[str, Any]:
        """Everything that a checkpoint keeps of the weights, the optimizer and chance, by name."""
        import torch

        found = {f"master.{i}": master for i, master in enumerate(self.masters)}
        for i, known in optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{i}.{name}": value for name, value in known.items()}
        found |= {f"best.{i}": value for i, value in enumerate(best or ())}
        return {name: value.detach().contiguous() for name, value in found.items()} | {"chance": torch.get_rng_state()}

    def take(self, tensors: Mapping[str, Any], optimizer: Any) -> list[Any] | None:
        """Go on from a checkpoint; gives the best weights so far, as `state` does, None where there are none."""
        import torch

        device = self.masters[0].device
        count = len(self.masters)
        self.restore([tensors[f"master.{i}"] for i in range(count)])
        state: dict[int, dict[str, Any]] = {i: {} for i in range(count)}
        for name in tensors:
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                place, _, what = rest.partition(".")
                state[int(place)][what] = tensors[name]
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        torch.set_rng_state(tensors["chance"])
        return [tensors[f"best.{i}"].to(device) for i in range(count)] if "best.0" in tensors else None

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
def recomputing(network: Any, *, wanted: bool) -> Iterator[None]:
    """While this lasts, the network's layers keep only their inputs for the backward pass."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    if not wanted or not getattr(network, "supports_gradient_checkpointing", False):
        yield
        return
    layers = [module for module in network.modules() if isinstance(module, GradientCheckpointingLayer)]
    network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for layer in layers:
        layer.training = True  # of itself only: what is in it goes on as if it answered, without dropout
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False
        network.gradient_checkpointing_disable()


def with_adapter(network: Any, settings: TuningSettings) -> Any:
    """The network with a new adapter, from the settings' seed."""
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
    return get_peft_model(network, config, autocast_adapter_dtype=False)


@contextmanager
def fresh_adapter(loaded: LoadedModel, settings: TuningSettings) -> Iterator[Trainer]:
    """The model with a new adapter that learns, from the settings' seed; the model comes out as it was."""
    model = with_adapter(loaded.network, settings)
    try:
        with lean_layers(model), recomputing(loaded.network, wanted=settings.recompute):
            yield Trainer(loaded, model)
    finally:
        model.unload()
        loaded.network.requires_grad_(False)


def _choose_rate(under_way: _UnderWay) -> float:
    """Each learning rate for a few steps from the same start; the lowest dev loss wins."""
    settings, train, trainer = under_way.settings, under_way.train, under_way.trainer
    rates, held = settings.learning_rates, under_way.held
    steps_an_epoch = -(-len(train.rows) // settings.rows)
    if held is None or len(rates) < 2 or steps_an_epoch < 3:
        return rates[0]
    batches = shuffled_batches(train.rows, size=settings.rows, seed=settings.seed)[: settings.trial_steps]
    for number in range(len(under_way.reached.trials), len(rates)):
        under_way.progress("learning rates", number / len(rates))
        under_way.begin(rates[number])
        for batch in batches[under_way.reached.step :]:
            under_way.step(batch)
        trial = (rates[number], _loss_on(held, trainer))
        under_way.reached = replace(under_way.reached, trials=(*under_way.reached.trials, trial), step=0)
        under_way.keep(at_end=True)
    return min(under_way.reached.trials, key=lambda trial: or_worst(trial[1]))[0]


def _train(under_way: _UnderWay, rate: float) -> None:
    """The training itself: warm-up, linear decay, stop when an epoch doesn't lower the dev loss."""
    settings, train, trainer, held = under_way.settings, under_way.train, under_way.trainer, under_way.held
    under_way.begin(rate)
    total = -(-len(train.rows) // settings.rows) * settings.epochs
    if held and not under_way.reached.losses:
        under_way.reached = replace(under_way.reached, losses=(_loss_on(held, trainer),))
    while not _is_over(under_way.reached, settings):
        batches = shuffled_batches(train.rows, size=settings.rows, seed=settings.seed + under_way.reached.epoch + 1)
        for batch in batches[under_way.reached.step :]:
            step = len(batches) * under_way.reached.epoch + under_way.reached.step
            for group in under_way.optimizer.param_groups:
                group["lr"] = rate * _schedule(step, total)
            under_way.step(batch)
            under_way.progress("tuning", (step + 1) / total)
        _end_epoch(under_way)
    if under_way.best_state is not None:
        trainer.restore(under_way.best_state)
    elif held is not None:  # no epoch was better than no training
        trainer.restore(trainer.initial)


def _end_epoch(under_way: _UnderWay) -> None:
    reached, trainer = under_way.reached, under_way.trainer
    reached = replace(reached, epoch=reached.epoch + 1, step=0)
    if under_way.held is not None:
        loss = or_worst(_loss_on(under_way.held, trainer))
        reached = replace(reached, losses=(*reached.losses, loss))
        if not _stands_still(reached):
            reached = replace(reached, best=reached.epoch)
            under_way.best_state = trainer.state()
    under_way.reached = reached
    under_way.keep(at_end=True)


def _is_over(reached: Reached, settings: TuningSettings) -> bool:
    return reached.step == 0 and (reached.epoch == settings.epochs or _stands_still(reached))


def _stands_still(reached: Reached) -> bool:
    """Whether the last pass did not lower the dev loss."""
    return len(reached.losses) > 1 and reached.losses[-1] >= min(reached.losses[:-1])


def _best(reached: Reached, settings: TuningSettings, held: RowSet | None) -> int:
    return settings.epochs if held is None else reached.best or 0


def or_worst(loss: float) -> float:
    """A loss that is no number is the worst of all."""
    return loss if math.isfinite(loss) else math.inf


def _schedule(step: int, total: int) -> float:
    """Share of the peak learning rate: warm-up over 6 % of the steps, then linear down to a tenth."""
    warm = max(1, round(total * 0.06))
    if step < warm:
        return (step + 1) / warm
    return 1.0 - 0.9 * (step - warm) / max(1, total - warm)


def one_step(trainer: Trainer, optimizer: Any, train: RowSet, batch: Sequence[int]) -> None:
    """One optimizer step on the mean loss of the batch's answer tokens."""
    rows = [train.rows[i] for i in batch]
    trainer.tokens += sum(len(train.prefix) + len(r.prompt) + len(r.answer) for r in rows)
    count = sum(len(row.answer) for row in rows)
    for part, weight in trainer.team.shared(rows, lambda rows: micro_batches(rows, prefix=len(train.prefix))):
        loss, _ = trainer.loss(part, train.prefix)
        (weight * loss / count).backward()
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
    return _mean_loss(lambda rows, prefix: answer_loss(loaded, model, rows, prefix=prefix), held, team=ALONE)


def _loss_on(held: RowSet, trainer: Trainer) -> float:
    return _mean_loss(trainer.loss, held, team=trainer.team)


def _mean_loss(
    loss_of: Callable[[Sequence[Row], Sequence[int]], tuple[Any, int]], held: RowSet, *, team: Team
) -> float:
    import torch

    total, tokens = 0.0, 0
    with torch.no_grad():
        for chosen, weight in team.shared(held.rows, lambda rows: micro_batches(rows, prefix=len(held.prefix))):
            loss, count = loss_of(chosen, held.prefix)
            if weight:
                total, tokens = total + float(loss), tokens + count
    total, tokens = team.summed(total, tokens)
    return total / max(1, tokens)


def answer_loss(loaded: LoadedModel, model: Any, rows: Sequence[Row], *, prefix: Sequence[int]) -> tuple[Any, int]:
    """Summed cross-entropy over the rows' answer tokens, and their number; the rows come without the prefix."""
    if attention.ready(loaded.network):
        return packed_loss(model, [Row((*prefix, *row.prompt), row.answer) for row in rows])
    if getattr(loaded.network, "is_gradient_checkpointing", False):  # layers that recompute take no keys and values
        rows, prefix = [Row((*prefix, *row.prompt), row.answer) for row in rows], ()
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
def _beside(network: Any, adapter: Path) -> Iterator[None]:
    from peft import PeftModel

    wrapped = PeftModel.from_pretrained(network, adapter)
    forget(network)
    try:
        yield
    finally:
        wrapped.unload()
        forget(network)
        network.requires_grad_(False)


@contextmanager
def merged(loaded: LoadedModel, adapter: Path) -> Iterator[None]:
    """The adapter's weights added into the base model for a while; afterwards the base is what it was, bit for bit.

    Weights in four bits have no room for the sum: there the adapter computes beside them, as while it was tuned.
    """
    from peft import PeftModel

    network = loaded.network
    if in_four_bits(network):
        with _beside(network, adapter):
            yield
        return
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
