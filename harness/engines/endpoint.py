"""The engine over an OpenAI-compatible server: it answers, and trains nothing unless its provider does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.arms.bench import Notify, Tuner
from harness.disk import write_whole
from harness.engines.adapters import SERVED_FILE
from harness.engines.fine_tuning import ProviderTuner
from harness.errors import ArmFailed, UserError
from harness.models.base import Message, ModelIdentity, Stop
from harness.models.batches import Batches
from harness.models.endpoint import EndpointFailed, EndpointJob, EndpointModel, EndpointState
from harness.models.endpoint_ledger import Ledger, Prices
from harness.records import Recipe
from harness.scenario import EndpointWish, Kind, Scenario, TuningWish
from harness.store import RunFolder
from harness.tuning.examples import TrainingText

GREETING_TOKENS = 16
ANY_OBJECT = (
    '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false}'
)


@dataclass(frozen=True)
class EndpointEngine:
    """The model at an endpoint. Not slotted: its state is kept with the model."""

    wish: EndpointWish
    folder: list[Path] = field(default_factory=list, compare=False, repr=False)
    """The run's folder, once it is begun."""
    as_object: bool = False
    """Labels are asked for inside an object."""
    tell: list[Callable[[str], None]] = field(default_factory=list, compare=False, repr=False)
    """Who is told how a fine-tuning job is getting on, once the run is begun."""

    @cached_property
    def model(self) -> EndpointModel:
        """What answers."""
        wish = self.wish
        return EndpointModel(
            wish.url,
            wish.model,
            api_key_env=wish.key_variable,
            timeout=wish.timeout,
            concurrency=wish.concurrency,
            retries=wish.retries,
            window=wish.window,
            length_field=wish.length_field,
            extra=wish.extra,
            leave_out=wish.leave_out,
            state=EndpointState(
                ledger=Ledger(
                    prices_of(wish),
                    limit=wish.max_cost,
                    tuned=_tuned_prices(wish),
                    currency=wish.currency,
                    batch_discount=wish.batch_discount,
                )
            ),
        )

    @cached_property
    def batches(self) -> Batches:
        """What goes there in batches."""
        return Batches(self.model, wanted=self.wish.batch)

    @property
    def identity(self) -> ModelIdentity:
        """Address and names: which weights those are is not known here, and they take no room here."""
        about = self.model.description
        digest = about.digest
        wish, tuned = self.wish, self.wish.fine_tuning
        if wish.adapters or tuned:
            names = json.dumps(dict(wish.adapters), sort_keys=True)
            how = json.dumps([tuned.model or wish.model, tuned.epochs, sorted(tuned.leave_out)]) if tuned else ""
            digest = hashlib.sha256(f"{digest}{names}{how}".encode()).hexdigest()
        return ModelIdentity(about.name, digest, 0.0)

    def tuner(self, folder: Path, *, quick: bool, seed: int, wish: TuningWish, use_cache: bool) -> Tuner | None:
        """What was trained elsewhere, for the run itself, or the provider's fine-tuning; None without either."""
        main, wanted = folder in self.folder, self.wish.fine_tuning
        served = ServedTuner(self.wish.adapters, folder) if self.wish.adapters and main else None
        if wanted is None:
            return served
        return ProviderTuner(
            self.model,
            wanted,
            folder,
            seed,
            main=main,
            limited=self.wish.max_cost is not None,
            take_over=use_cache,
            as_object=self.as_object,
            served=served,
            names=tuple(self.wish.adapters),
            tell=self._say,
        )

    def _say(self, text: str) -> None:
        for one in self.tell[-1:]:
            one(text)

    @contextmanager
    def adapted(self, adapter: Path | None) -> Iterator[None]:
        """Ask for the tuned model's name on the server for a while."""
        state = self.model.state
        before = state.served
        if adapter is not None:
            state.served = json.loads((adapter / SERVED_FILE).read_bytes())["model"]
            state.ledger.asks_tuned = True
        try:
            yield
        finally:
            state.served, state.ledger.asks_tuned = before, False

    def begin(self, folder: RunFolder, scenario: Scenario) -> None:
        """Keep what is paid in the run's folder, and ask once whether the server answers, and holds to a form.

        Raises:
            CannotHold: answers are to be held to a form and cannot be.
            NotOffered: batches are wanted and it offers none.
            UserError: it does not answer.
        """
        self.folder.append(folder.path)
        self.model.state.ledger.open(folder)
        self.batches.open(folder)
        stop = _form(scenario)
        if stop is not None:
            self.model.hold(stop)
            return
        try:
            with self.model.timed() as model:
                job = EndpointJob(model, (model.render([Message("user", "Hello")]),), GREETING_TOKENS)
                job.answer((0,))
        except EndpointFailed as error:
            raise UserError(
                f"Nothing was asked of {self.wish.url} yet, because a first greeting got no answer. {error} Mend that "
                "and run the same command again."
            ) from None


@dataclass(frozen=True, slots=True)
class ServedTuner:
    """`Tuner` that trains nothing: it notes down under which name the server answers with what was trained."""

    names: Mapping[str, str]
    folder: Path

    def __call__(
        self, arm: str, examples: Sequence[TrainingText], *, dev: Sequence[TrainingText], notify: Notify
    ) -> Recipe:
        """The recipe of an arm that was trained elsewhere.

        Raises:
            ArmFailed: no name is given for it.
        """
        if arm not in self.names:
            raise ArmFailed("the model answers behind an endpoint, and its weights are not here to be tuned")
        data = json.dumps({"model": self.names[arm]}).encode()
        write_whole(self.folder / "adapters" / arm / SERVED_FILE, data, private=True)
        note = (
            f"It was trained elsewhere and is served as {self.names[arm]}: on which examples, at what cost and whether "
            "the eval cases were among them is not known here."
        )
        return Recipe(arm, adapter=f"adapters/{arm}", adapter_digest=hashlib.sha256(data).hexdigest(), notes=(note,))


def engine_of(scenario: Scenario) -> EndpointEngine | None:
    """The endpoint's engine where the scenario names one."""
    if scenario.endpoint is None:
        return None
    return EndpointEngine(scenario.endpoint, as_object=scenario.held_to_labels and scenario.kind is Kind.LABELS)


def prices_of(wish: EndpointWish) -> Prices | None:
    """The prices that were named; None where they were not."""
    if wish.price_in is None or wish.price_out is None:
        return None
    return Prices(wish.price_in, wish.price_out, wish.currency)


def _tuned_prices(wish: EndpointWish) -> Prices | None:
    """Those of the tuned model where it has its own."""
    tuned = wish.fine_tuning
    if tuned is None or tuned.price_in is None or tuned.price_out is None:
        return None
    return Prices(tuned.price_in, tuned.price_out, wish.currency)


def _form(scenario: Scenario) -> Stop | None:
    """What answers of the main run are held to; of a schema only that there is one."""
    if scenario.held_to_labels and scenario.kind is Kind.LABELS:
        return Stop("labels, tried before the run", None, scenario.labels)
    if scenario.held_to_schema:
        return Stop("schema, tried before the run", None, schema=scenario.schema or ANY_OBJECT)
    return None
