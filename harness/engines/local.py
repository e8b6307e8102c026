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
from harness.engines.adapters import adapter_key, keep_adapter, known_adapter
from harness.generation.decode import LocalTextModel
from harness.models.base import ModelIdentity, TextModel
from harness.models.local import LoadedModel, identify, load_model
from harness.records import Choice, Recipe, Trial
from harness.scenario import NO_WISH, TuningWish
from harness.tuning.examples import TrainingText, row_set
from harness.tuning.lora import TuningResult, TuningSettings, encode_rows, merged, tune

BUDGET_CPU, BUDGET_CPU_QUICK, BUDGET_GPU = 600_000, 120_000, 50_000_000
"""Most tokens that one arm's tuning may put through the model (a shared prefix counts once a step)."""


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

    @cached_property
    def identity(self) -> ModelIdentity:
        """Which weights these are."""
        return identify(self.name)

    @cached_property
    def loaded(self) -> LoadedModel:
        """The weights."""
        return load_model(self.name)

    @cached_property
    def model(self) -> TextModel:
        """What answers."""
        return LocalTextModel(self.loaded)

    def tuner(self, folder: Path, *, quick: bool, seed: int, wish: TuningWish, use_cache: bool) -> Tuner | None:
        """A LoRA tuner."""
        return LocalTuner(self.loaded, folder, quick, seed, wish, use_cache)

    def adapted(self, adapter: Path | None) -> AbstractContextManager[None]:
        """Merge this adapter for a while."""
        return contextlib.nullcontext() if adapter is None else merged(self.loaded, adapter)


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
        """Train one adapter under the budget, or take it from an earlier run; what was cut is noted."""
        kept, settings, notes = self._planned(examples)
        out = self.folder / "adapters" / arm
        key = adapter_key(self.loaded.description, kept, dev=dev, settings=settings)
        known = known_adapter(key, out=out) if self.use_cache else None
        if known is not None:
            return replace(known, arm=arm, adapter=f"adapters/{arm}", notes=(*notes, *known.notes))
        made = self._trained(arm, kept, dev=dev, settings=settings, notify=notify)
        if self.use_cache:
            keep_adapter(key, made, out=out)
        return replace(made, notes=(*notes, *made.notes))

    def _trained(
        self,
        arm: str,
        kept: Sequence[TrainingText],
        *,
        dev: Sequence[TrainingText],
        settings: TuningSettings,
        notify: Notify,
    ) -> Recipe:
        out = self.folder / "adapters" / arm
        result = tune(self.loaded, kept, dev=dev, settings=settings, out=out, progress=notify)
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
                Choice("learning rate", f"{result.learning_rate:g}", "minus dev loss", len(dev) if rates else 0, rates),
                Choice("epochs", str(result.epochs), "minus dev loss", len(dev), losses),
            ),
            notes=tuple(_odd(result)),
        )

    def _planned(self, examples: Sequence[TrainingText]) -> tuple[Sequence[TrainingText], TuningSettings, list[str]]:
        """Examples, settings and notes that keep the tuning within its budget; what the scenario settles stays."""
        wish = self.wish
        usual = TuningSettings()
        rank = wish.rank or usual.rank
        rates = (wish.learning_rate,) if wish.learning_rate else usual.learning_rates
        settings = TuningSettings(rank=rank, alpha=2 * rank, learning_rates=rates, seed=self.seed)
        if wish.epochs:
            tried = rates[:1] if self.quick else rates
            told = f"Passes over the examples as scenario.toml has it, at most {wish.epochs}, whatever that takes."
            return examples, replace(settings, epochs=wish.epochs, learning_rates=tried), [told]
        rows = row_set(encode_rows(self.loaded, examples))
        per_row = len(rows.prefix) / settings.rows + (rows.tokens - len(rows.prefix) * len(rows.rows)) / len(rows.rows)
        return self._within_budget(examples, settings, per_row=per_row)

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
        if not tries and not self.wish.learning_rate:
            why = "a quick run" if self.quick else "trying more would have cost too much of the budget"
            notes.append(f"One learning rate only: {why}.")
        rates = settings.learning_rates if tries else settings.learning_rates[:1]
        return examples, replace(settings, learning_rates=rates, epochs=affordable), notes


def _odd(result: TuningResult) -> list[str]:
    if result.epochs == 0:
        return ["No pass lowered the loss on dev: the arm answers as the untuned model does."]
    return []
