"""Whether what answered in a batch is the model that was asked: an alias is called otherwise by what answers for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.models.base import Message
from harness.models.batch_notes import BatchNote
from harness.models.batch_results import Line
from harness.models.endpoint import EndpointFailed, EndpointJob, EndpointModel
from harness.models.endpoint_ledger import BudgetSpent

GREETING_TOKENS = 16


class Names:
    """What the endpoint calls its models, as single requests tell; a model of which that is not known is asked once."""

    def __init__(self, model: EndpointModel, keep: Callable[[BatchNote], None]) -> None:
        self._model, self._keep = model, keep
        self._noted: dict[str, set[str]] = {}
        self._unknown: set[str] = set()
        """Models that a single request told nothing of."""

    def recall(self, called: Mapping[str, set[str]]) -> None:
        """Take up what earlier sessions noted."""
        self._noted = {model: set(names) for model, names in called.items()}
        for model, names in called.items():
            self._model.state.called.setdefault(model, set()).update(names)

    def note(self, models: Iterable[str]) -> None:
        """Keep what these models are called, for later sessions."""
        known = self._model.state.called
        new = {model: known[model] for model in models if known.get(model, set()) - self._noted.get(model, set())}
        if new:
            self._noted.update({model: set(names) for model, names in new.items()})
            self._keep(BatchNote("", "called", called={model: tuple(sorted(names)) for model, names in new.items()}))

    def learn(self, lines: Iterable[tuple[str, bool, Line]], tell: Callable[[str], None]) -> None:
        """Find out what is needed to judge these lines.

        Args:
            lines: model that was asked, whether it is a tuned one, and what came.
            tell: told of a model whose name could not be found out.
        """
        odd = {model: tuned for model, tuned, line in lines if line.body and not is_same(model, line.body.get("model"))}
        for model, tuned in odd.items():
            if model not in self._model.state.called and model not in self._unknown:
                self._greet(model, tell, tuned=tuned)
        self.note(odd)

    def _greet(self, model: str, tell: Callable[[str], None], *, tuned: bool) -> None:
        state, why = self._model.state, "the endpoint does not say."
        before = state.served, state.ledger.asks_tuned
        state.served, state.ledger.asks_tuned = model, tuned
        try:
            greeting = self._model.render([Message("user", "Hello")])
            EndpointJob(self._model, (greeting,), GREETING_TOKENS, keep=False).answer((0,))
        except (EndpointFailed, BudgetSpent) as error:
            why = str(error)
        finally:
            state.served, state.ledger.asks_tuned = before
        if model not in state.called:
            self._unknown.add(model)
            tell(
                f"Answers in batches carry another name than {model!r}, and whether that is the same model could not "
                f"be found out by a single request: {why} They are used."
            )

    def is_called(self, asked: str, called: Any) -> bool:
        """Whether a name is that of the model that was asked, as far as can be known."""
        known = self._model.state.called.get(asked)
        return known is None or called in known or is_same(asked, called)


def is_same(asked: str, called: Any) -> bool:
    """Whether a model's name is the one that was asked for, or that with a date or a version behind it."""
    return not isinstance(called, str) or bool(re.fullmatch(rf"{re.escape(asked)}(-\d[\d-]*)?", called))
