"""Fixed shots: the same worked examples before every input. How many, and which, is chosen on dev."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.records import Recipe
from harness.scenario import Case

COUNTS, COUNTS_QUICK = (3, 6, 12), (4,)


class FewShotArm:
    """Shots are either typical of the training set (nearest to cluster centres) or drawn at random."""

    name = "few_shot"
    needs = Needs(train=True)

    def prepare(self, bench: Bench) -> Recipe:
        """Try counts and selections on dev; keep the best."""
        most = len({case.input for case in bench.train})
        counts = [k for k in (COUNTS_QUICK if bench.quick else COUNTS) if k <= most] or [most]
        options = {f"{k} {way}": _select(bench, k, way=way) for k in counts for way in ("typical", "random")}
        choice = bench.choose("shots", {name: [Request(shots=s)] * len(bench.dev) for name, s in options.items()})
        shots = options[choice.chosen]
        return Recipe(self.name, shots=tuple(s.id for s in shots), k=len(shots), choices=(choice,))

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """The same shots for every case."""
        shots = tuple(bench.example(name) for name in recipe.shots)
        return [Request(shots=shots) for _ in cases]


def _select(bench: Bench, k: int, *, way: str) -> tuple[Case, ...]:
    if way == "typical" and bench.embedder is not None:
        return _typical(bench, k)
    return tuple(random.Random(bench.seed + k).sample(list(bench.train), k))


def _typical(bench: Bench, k: int) -> tuple[Case, ...]:
    """The example nearest to each of k cluster centres of the inputs; the largest cluster last."""
    from sklearn.cluster import KMeans

    vectors = bench.example_vectors
    fitted = KMeans(n_clusters=k, n_init=4, random_state=bench.seed).fit(vectors)
    distances = fitted.transform(vectors)
    chosen = list(dict.fromkeys(int(i) for i in distances.argmin(axis=0)))
    sizes = np.bincount(fitted.labels_, minlength=k)
    chosen.sort(key=lambda i: sizes[fitted.labels_[i]])
    return tuple(bench.train[i] for i in chosen)
