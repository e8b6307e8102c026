"""A wider search for an adapter's settings, on dev only: Optuna's TPE (Bergstra et al. 2011, NeurIPS) with successive
halving (Li et al. 2018, arXiv 1810.05934): trials that fall behind early are ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import MissingModel
from harness.models.local import LoadedModel
from harness.tuning.examples import TrainingText, row_set, shuffled_batches
from harness.tuning.lora import Progress, TuningSettings, dev_loss, encode_rows, fresh_adapter, one_step, or_worst

RANKS = (4, 8, 16, 32)
LOWEST_RATE, HIGHEST_RATE = 5e-5, 2e-3
LOOK_EVERY = 5
"""Steps after which a trial's dev loss is looked at."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a search came to."""

    settings: TuningSettings
    """With the best rank and learning rate found."""
    tried: tuple[tuple[str, float], ...]
    """(settings in words, dev loss at the last look), the chosen pair first."""
    ended_early: int


def sweep(
    loaded: LoadedModel,
    examples: Sequence[TrainingText],
    *,
    dev: Sequence[TrainingText],
    settings: TuningSettings,
    progress: Progress = lambda what, share: None,
) -> Swept:
    """Try `settings.sweep` pairs of rank and learning rate for `trial_steps` each, the usual pair first.

    With the same seed and machine the same pair wins.

    Raises:
        MissingModel: Optuna is not installed.
    """
    optuna = _library()
    train = row_set(encode_rows(loaded, examples))
    held = row_set(encode_rows(loaded, dev), prefix=train.prefix)
    batches = shuffled_batches(train.rows, size=settings.rows, seed=settings.seed)
    steps = [batches[number % len(batches)] for number in range(settings.trial_steps)]

    def loss_of(trial: Any) -> float:
        progress("settings", trial.number / settings.sweep)
        rank = trial.suggest_categorical("rank", RANKS)
        rate = trial.suggest_float("learning rate", LOWEST_RATE, HIGHEST_RATE, log=True)
        found = float("inf")
        with fresh_adapter(loaded, replace(settings, rank=rank, alpha=2 * rank)) as trainer:
            optimizer = trainer.optimizer(rate)
            for number, batch in enumerate(steps, start=1):
                one_step(trainer, optimizer, train, batch)
                if number % LOOK_EVERY == 0 or number == len(steps):
                    found = or_worst(dev_loss(loaded, trainer.model, held))
                    trial.report(found, number)
                    if trial.should_prune():
                        raise optuna.TrialPruned
        return found

    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=settings.seed, n_startup_trials=max(4, settings.sweep // 3)),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=LOOK_EVERY, reduction_factor=2),
    )
    study.enqueue_trial({"rank": settings.rank, "learning rate": settings.learning_rates[0]})
    study.optimize(loss_of, n_trials=settings.sweep)
    rank, rate = study.best_params["rank"], study.best_params["learning rate"]
    best = replace(settings, rank=rank, alpha=2 * rank, learning_rates=(rate,))
    looked = [one for one in study.trials if one.intermediate_values]
    ended = sum(one.state is optuna.trial.TrialState.PRUNED for one in looked)
    tried = [(_words(one.params), one.intermediate_values[max(one.intermediate_values)]) for one in looked]
    chosen = _words(study.best_params)  # a pair that was ended early may have looked better than this one ended
    return Swept(best, tuple(sorted(tried, key=lambda one: (one[0] != chosen, one[1]))), ended)


def _words(params: dict[str, Any]) -> str:
    return f"rank {params['rank']}, rate {params['learning rate']:.2g}"


def _library() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingModel("A sweep needs the package optuna: pip install 'bakeoff-advisor[sweep]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
