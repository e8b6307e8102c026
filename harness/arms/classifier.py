"""A classifier: logistic regression on the embedder's vectors of the training inputs, and no language model at all.

What a team would build first where the answers are a few labels. Linear probes on sentence embeddings are the usual
strong and cheap baseline for it: few-shot fine-tuning starts from the same head (SetFit, Tunstall et al. 2022,
arXiv 2209.11055), and intent data sets are measured with it (Casanueva et al. 2020, arXiv 2003.04807).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.errors import ArmFailed
from harness.records import Choice, Recipe, Trial
from harness.retrieval.embed import Vectors
from harness.scenario import Case, Kind

STRENGTHS = (10.0, 1.0, 100.0)
"""Candidates for C, the inverse of the regularisation's strength; the first of equals is taken."""


class ClassifierArm:
    """C is chosen on dev; the model is fitted anew from it, to the same weights each time."""

    name = "classifier"
    needs = Needs(train=True, embedder=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Choose C by accuracy on dev.

        Raises:
            ArmFailed: the scenario's answers are no labels, or no embedder is there.
        """
        if bench.scenario.kind is not Kind.LABELS:
            kind = bench.scenario.kind.value.replace("_", " ")
            raise ArmFailed(f"a classifier can only answer with labels, and this scenario's answers are of kind {kind}")
        choice = _chosen(bench)
        count = len({case.output for case in bench.train})
        notes = [f"Fitted on {len(bench.train)} training inputs with {count} labels; no language model is asked."]
        if count == 1:
            notes.append("The training examples have one label only: it is always answered.")
        return Recipe(self.name, choices=(choice,), notes=tuple(notes))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The likeliest label of each case, as an answer that needs no model."""
        model = _fitted(bench, float(recipe.choices[0].chosen))
        vectors = _vectors(bench, cases, fresh=fresh)
        return [Request(fixed=label) for label in model.labels(vectors)]


class _Classifier:
    """Vectors in, labels out."""

    def __init__(self, vectors: Vectors, labels: Sequence[str], *, strength: float) -> None:
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        self._only = labels[0] if len(set(labels)) == 1 else None
        self._model: Any = LogisticRegression(C=strength, max_iter=10_000)
        if self._only is None:
            with threadpool_limits(1):  # the products are small: on a busy machine threads wait for each other
                self._model.fit(vectors, list(labels))

    def labels(self, vectors: Vectors) -> list[str]:
        """The likeliest label of each vector."""
        if self._only is not None or not len(vectors):
            return [self._only or ""] * len(vectors)
        return [str(label) for label in self._model.predict(vectors)]


def _chosen(bench: Bench) -> Choice:
    names = [f"{strength:g}" for strength in STRENGTHS]
    truth = [case.output for case in bench.dev]
    vectors = _vectors(bench, bench.dev)
    if not truth:
        return Choice("C", names[0], "accuracy", 0)
    found = [_fitted(bench, strength).labels(vectors) for strength in STRENGTHS]
    tried = tuple(
        Trial(name, sum(a == b for a, b in zip(labels, truth, strict=True)) / len(truth))
        for name, labels in zip(names, found, strict=True)
    )
    return Choice("C", max(tried, key=lambda trial: trial.score).value, "accuracy", len(truth), tried)


def _vectors(bench: Bench, cases: Sequence[Case], *, fresh: bool = False) -> Vectors:
    if bench.embedder is None:
        raise ArmFailed("no embedder is available, and this arm classifies its vectors")
    return bench.embedder.encode([case.input for case in cases], fresh=fresh)


def _fitted(bench: Bench, strength: float) -> _Classifier:
    """Fitted once a bench, which keeps it as it keeps its indexes: a timed request must not pay for the fitting."""
    known: dict[float, _Classifier] = vars(bench).setdefault("_classifiers", {})
    if strength not in known:
        known[strength] = _Classifier(bench.example_vectors, [c.output for c in bench.train], strength=strength)
    return known[strength]
