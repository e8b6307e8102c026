"""Where work runs: this process. Loads the model once, tunes and merges adapters, answers batch by batch."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from harness.arms.bench import Notify, Tuner
from harness.engines.adapters import adapter_key, keep_adapter, known_adapter, seal
from harness.generation.decode import LocalTextModel
from harness.models.base import ModelIdentity, TextModel
from harness.models.device import device_count, device_memory
from harness.models.local import LoadedModel, identify, in_four_bits, load_model, weights_files
from harness.models.shape import Shape, shape_from, shape_of
from harness.records import Choice, Recipe, Trial
from harness.scenario import NO_WISH, TuningWish
from harness.tuning import memory
from harness.tuning.checkpoint import Checkpoints
from harness.tuning.examples import TrainingText, row_set
from harness.tuning.full import FULL_TUNING, RATES, is_full, swapped, tune_all_weights
from harness.tuning.lora import MICRO_TOKENS, TuningResult, TuningSettings, encode_rows, merged, tune
from harness.tuning.memory import USABLE, lora, processes_for
from harness.tuning.processes import tune_together
from harness.tuning.sweep import Swept, sweep

BUDGET_CPU, BUDGET_CPU_QUICK, BUDGET_GPU = 600_000, 120_000, 50_000_000
"""Most tokens that one arm's tuning may put through the model (a shared prefix counts once a step)."""

OTHER_RATE = "The learning rate in scenario.toml is for adapters; all weights are tuned at a rate of their own."


class Engine(Protocol):
    """A model, with what it takes to tune it and to answer under an adapter."""

    @property
    def identity(self) -> ModelIdentity:
        """Which weights these are, known without loading them."""

    @property
    def model(self) -> TextModel:
        """What answers."""

    def tuner(self, folder: Path, *, quick: bool, seed: int, wish: TuningWish, use_cache: bool) -> Tuner | None:
        """What trains adapters into this run folder; None where nothing can be trained."""

    def adapted(self, adapter: Path | None) -> AbstractContextManager[None]:
        """Answer under this adapter (merged) for a while."""


@dataclass(frozen=True)
class LocalEngine:
    """The engine over weights in this process. Not slotted: the model is loaded when first wanted."""

    name: str | None = None
    bits: int | None = None
    """4: the weights are held in four bits; None: in the device's usual precision."""

    def __reduce__(self) -> tuple[type[LocalEngine], tuple[str | None, int | None]]:
        """Travels to another process as its name: the weights are loaded there."""
        return LocalEngine, (self.name, self.bits)

    @cached_property
    def identity(self) -> ModelIdentity:
        """Which weights these are."""
        return identify(self.name)

    @cached_property
    def shape(self) -> Shape | None:
        """How large the network is, known without loading it; None where its files do not say."""
        return shape_of(weights_files(self.name))

    @cached_property
    def loaded(self) -> LoadedModel:
        """The weights."""
        return load_model(self.name, bits=self.bits)

    @cached_property
    def model(self) -> TextModel:
        """What answers."""
        return LocalTextModel(self.loaded)

    def tuner(self, folder: Path, *, quick: bool, seed: int, wish: TuningWish, use_cache: bool) -> Tuner | None:
        """A LoRA tuner."""
        return LocalTuner(self.loaded, folder, quick, seed, wish, use_cache)

    def adapted(self, adapter: Path | None) -> AbstractContextManager[None]:
        """Merge this adapter for a while, or take a whole set of weights for the model's own."""
        if adapter is None:
            return contextlib.nullcontext()
        return (swapped if is_full(adapter) else merged)(self.loaded, adapter)


def held_in(engine: Engine, bits: int | None) -> Engine:
    """The engine with its weights in so many bits, where they are in this process."""
    return replace(engine, bits=bits) if bits and isinstance(engine, LocalEngine) else engine


@dataclass(frozen=True, slots=True)
class LocalTuner:
    """`Tuner` over weights in this process."""

    loaded: LoadedModel
    folder: Path
    quick: bool
    seed: int
    wish: TuningWish = NO_WISH
    use_cache: bool = False

    def __call__(
        self, arm: str, examples: Sequence[TrainingText], *, dev: Sequence[TrainingText], notify: Notify
    ) -> Recipe:
        """Train one adapter (all weights for the arm `full_tuning`) under the budget; what was cut is noted.

        An adapter is taken from an earlier run where there is one. Whole sets of weights are not kept between runs:
        they are as large as the model.
        """
        kept, settings, notes = self._planned(examples, full=arm == FULL_TUNING)
        settings = replace(settings, processes=self._processes(settings))
        settings = replace(settings, recompute=self._recompute(settings))
        use_cache = self.use_cache and not settings.full
        out = self.folder / "adapters" / arm
        key = adapter_key(self.loaded.description, kept, dev=dev, settings=settings)
        known = known_adapter(key, out=out) if use_cache else None
        if known is not None:
            Checkpoints(out).delete()
            seal(out)
            return replace(known, arm=arm, adapter=f"adapters/{arm}", notes=(*notes, *known.notes))
        made = self._trained(arm, kept, dev=dev, settings=settings, notify=notify, key=key)
        if use_cache:
            keep_adapter(key, made, out=out)
        seal(out)
        return replace(made, notes=(*notes, *made.notes))

    def _shape(self) -> Shape | None:
        network = self.loaded.network
        try:
            return shape_from(network.config.to_dict(), parameters=network.num_parameters())
        except (KeyError, TypeError, ValueError):  # a network of another make: it is tuned the usual way
            return None

    def _processes(self, settings: TuningSettings) -> int:
        """How many share the model, by the plan's own estimate of an adapter (all weights take more)."""
        shape, here = self._shape(), self.loaded.machine
        fits_one = True
        if shape is not None and self.wish.processes == "auto":
            number = 4 if here.dtype == "float32" else 2
            needed = lora(shape, number=number, bits=None, rank=settings.rank, tokens=MICRO_TOKENS, recompute=True)
            fits_one = needed.total <= USABLE * device_memory(here.device)
        return processes_for(self.wish.processes, fits_one=fits_one, devices=device_count(here.device))

    def _recompute(self, settings: TuningSettings) -> bool:
        """Whether the activations would not fit the device. By all of its memory, so that a later run decides alike."""
        network, here, shape = self.loaded.network, self.loaded.machine, self._shape()
        if shape is None:
            return False
        number, team = 4 if here.dtype == "float32" else 2, settings.processes
        if settings.full:
            plain = memory.full(shape, number=number, tokens=MICRO_TOKENS, recompute=False, processes=team)
        else:
            plain = lora(
                shape,
                number=number,
                bits=4 if in_four_bits(network) else None,
                rank=settings.rank,
                tokens=MICRO_TOKENS,
                recompute=False,
                processes=team,
            )
        return memory.recompute_needed(plain, device_memory(here.device))

    def _trained(
        self,
        arm: str,
        kept: Sequence[TrainingText],
        *,
        dev: Sequence[TrainingText],
        settings: TuningSettings,
        notify: Notify,
        key: str,
    ) -> Recipe:
        out = self.folder / "adapters" / arm
        alone = tune_all_weights if settings.full else tune
        train = tune_together if settings.processes > 1 else alone
        swept = None
        if settings.sweep and dev:
            swept = sweep(self.loaded, kept, dev=dev, settings=settings, progress=notify)
            settings = swept.settings
            key = f"{key} {settings.rank} {settings.learning_rates}"  # checkpoints are of this pair
        result = train(self.loaded, kept, dev=dev, settings=settings, out=out, progress=notify, key=key)
        rates = tuple(Trial(f"{rate:g}", -loss) for rate, loss in result.trials)
        losses = tuple(Trial(f"{n}", -loss) for n, loss in enumerate(result.dev_losses) if n)
        return Recipe(
            arm,
            adapter=f"adapters/{arm}",
            adapter_digest=result.digest,
            train_seconds=result.seconds,
            train_tokens=result.tokens,
            train_examples=len(kept),
            choices=(
                _swept_choice(swept, len(dev))
                if swept
                else Choice(
                    "learning rate", f"{result.learning_rate:g}", "minus dev loss", len(dev) if rates else 0, rates
                ),
                Choice("epochs", str(result.epochs), "minus dev loss", len(dev), losses),
            ),
            notes=(*_odd(result), *_swept_note(swept), *_shared_note(settings.processes)),
        )

    def _planned(
        self, examples: Sequence[TrainingText], *, full: bool
    ) -> tuple[Sequence[TrainingText], TuningSettings, list[str]]:
        """Examples, settings and notes that keep the tuning within its budget; what the scenario settles stays."""
        settings, told = self._settled(full=full)
        wanted = self.wish.epochs
        if wanted:
            tried = settings.learning_rates[:1] if self.quick else settings.learning_rates
            told += [f"Passes over the examples as scenario.toml has it, at most {wanted}, whatever that takes."]
            return examples, replace(settings, epochs=wanted, learning_rates=tried), told
        rows = row_set(encode_rows(self.loaded, examples))
        per_row = len(rows.prefix) / settings.rows + (rows.tokens - len(rows.prefix) * len(rows.rows)) / len(rows.rows)
        examples, settings, notes = self._within_budget(examples, settings, per_row=per_row)
        return examples, settings, [*told, *notes]

    def _settled(self, *, full: bool) -> tuple[TuningSettings, list[str]]:
        """The usual settings with what the scenario wishes of them."""
        wish, usual = self.wish, TuningSettings()
        if full:
            told = [OTHER_RATE] if wish.learning_rate else []
            return TuningSettings(learning_rates=RATES, seed=self.seed, full=True), told
        rank = wish.rank or usual.rank
        rates = (wish.learning_rate,) if wish.learning_rate else usual.learning_rates
        if wish.sweep:
            rates = rates[:1]
        sweep = wish.sweep or 0
        return TuningSettings(rank=rank, alpha=2 * rank, learning_rates=rates, seed=self.seed, sweep=sweep), []

    def _within_budget(
        self, examples: Sequence[TrainingText], settings: TuningSettings, *, per_row: float
    ) -> tuple[Sequence[TrainingText], TuningSettings, list[str]]:
        """Fewer examples, passes or learning rates where one example costs `per_row` tokens a pass."""
        on_cpu = self.loaded.machine.device == "cpu"
        budget = (BUDGET_CPU_QUICK if self.quick else BUDGET_CPU) if on_cpu else BUDGET_GPU
        epochs, total = 2 if self.quick else 4, len(examples)
        most = max(settings.rows, int(budget / per_row))
        notes = []
        if most < total:
            examples = random.Random(self.seed).sample(list(examples), most)
            notes.append(f"Tuned on {most} of {total} examples: on this machine tuning is held to {budget:,} tokens.")
        trials = 2 * settings.trial_steps * settings.rows * per_row
        tries = not self.quick and len(settings.learning_rates) > 1 and trials < budget / 3
        affordable = max(1, min(epochs, int((budget - (trials if tries else 0)) / (per_row * len(examples)))))
        if affordable < epochs:
            passes = "1 pass" if affordable == 1 else f"{affordable} passes"
            notes.append(f"At most {passes} over the examples, to hold tuning to {budget:,} tokens.")
        if not tries and len(settings.learning_rates) > 1:
            why = "a quick run" if self.quick else "trying more would have cost too much of the budget"
            notes.append(f"One learning rate only: {why}.")
        rates = settings.learning_rates if tries else settings.learning_rates[:1]
        return examples, replace(settings, learning_rates=rates, epochs=affordable), notes


def _swept_choice(swept: Swept, count: int) -> Choice:
    tried = tuple(Trial(name, -loss) for name, loss in swept.tried)
    return Choice("rank and learning rate", swept.tried[0][0], "minus dev loss", count, tried)


def _swept_note(swept: Swept | None) -> list[str]:
    if swept is None:
        return []
    return [
        f"{len(swept.tried)} pairs of rank and learning rate were tried on dev for {swept.settings.trial_steps} steps "
        f"each; {swept.ended_early} fell behind and were ended early."
    ]


def _shared_note(processes: int) -> list[str]:
    return [f"Tuned by {processes} processes, each of which held a share of the model (FSDP)."] if processes > 1 else []


def _odd(result: TuningResult) -> list[str]:
    if result.epochs == 0:
        return ["No pass lowered the loss on dev: the arm answers as the untuned model does.", *result.notes]
    return list(result.notes)
