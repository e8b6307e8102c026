"""All experiments by name; reached by dotted path, so that none is imported before it is wanted."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from harness.errors import UserError
from harness.experiment.probes.base import Probe

_HOME = "harness.experiment.probes"

PROBES: dict[str, str] = {
    "seeds": f"{_HOME}.seeds:SeedsProbe",
    "learning_curve": f"{_HOME}.learning_curve:LearningCurveProbe",
    "facts_change": f"{_HOME}.facts_change:FactsChangeProbe",
    "harm": f"{_HOME}.harm:HarmProbe",
    "consistency": f"{_HOME}.consistency:ConsistencyProbe",
    "documents_in_weights": f"{_HOME}.documents_in_weights:DocumentsInWeightsProbe",
    "retrieval": f"{_HOME}.retrieval:RetrievalProbe",
    "form": f"{_HOME}.form:FormProbe",
    "tuned_embedder": f"{_HOME}.tuned_embedder:TunedEmbedderProbe",
    "full_tuning": f"{_HOME}.full_tuning:FullTuningProbe",
    "classifier": f"{_HOME}.classifier:ClassifierProbe",
    "judge": f"{_HOME}.judge:JudgeProbe",
    "orders": f"{_HOME}.orders:OrdersProbe",
}


def probe(name: str) -> Probe:
    """The experiment of this name.

    Raises:
        UserError: there is none.
    """
    if name not in PROBES:
        raise UserError(f"There is no experiment {name!r}. Known: {', '.join(PROBES)}.")
    module, _, attribute = PROBES[name].partition(":")
    return cast(Probe, getattr(import_module(module), attribute)())
