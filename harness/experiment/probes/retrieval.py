"""RAG dissected: is a miss one of retrieval or of generation?

The same arm answers with oracle passages (the right document, put there by hand: the upper bound), with a wrong corpus
(passages of other documents: the lower bound, and a sign of what the model knows by itself), and with each way of
retrieving. Retrieval misses are cases whose right passage was not among those retrieved; generation misses had it and
were answered wrong all the same (the split of Barnett et al. 2024, arXiv 2401.05856).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.experiment.probes.base import Effort, Ground, Variant, share_of_cases
from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.words import gap, score
from harness.experiment.wording import name_of
from harness.publish import numbers
from harness.records import Finding, Passage, Reading, Recipe
from harness.retrieval.settings import WAYS
from harness.scenario import Case, Scenario

ORACLE, WRONG = BOUNDS = "oracle passages", "a wrong corpus"
WAY_NAMES = ("dense retrieval", "BM25", "hybrid retrieval")
"""In the order of `WAYS`."""
READERS = ("rag", "rag_lora")
RIGHT = 0.5
"""A graded answer counts as right from here on, where misses are counted."""

NOTHING = Needs()

Supply = Callable[[Bench, Case, int], tuple[Passage, ...]]


@dataclass(slots=True)
class SuppliedArm:
    """An arm whose passages are put there by hand."""

    name: str
    supply: Supply
    needs: Needs = NOTHING

    def prepare(self, bench: Bench) -> Recipe:
        """Nothing is settled anew."""
        return Recipe(self.name)

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """As many passages as the arm retrieves."""
        return [Request(passages=self.supply(bench, case, recipe.k)) for case in cases]


class RetrievalProbe:
    """Reading arms with other passages; nothing is trained anew."""

    name = "retrieval"
    question = "Where does RAG lose: in retrieval or in generation?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs documents and an arm that reads them."""
        if not scenario.documents:
            return "there are no documents"
        return None if set(arms) & set(READERS) else "no arm of this run reads documents"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """Up to four more sets of answers for each reading arm."""
        sets = 4 * len(set(arms) & set(READERS))
        return Effort(0.0, sets * share_of_cases(scenario, quick=quick), "oracle passages, a wrong corpus, other ways")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """Bounds on cases whose document is known; ways of retrieving on all."""
        bench, cases = ground.bench, ground.cases
        known = tuple(case for case in cases if case.context_id is not None and bench.oracle(case))
        for arm in (name for name in ground.arms if name in READERS):
            recipe = ground.recipes[arm]
            if known:
                oracle = SuppliedArm(arm, lambda b, c, k: b.oracle(c, k=k))
                yield Variant(arm, ORACLE, oracle, known, bench, recipe=recipe)
                wrong = SuppliedArm(arm, lambda b, c, k: b.wrong(c, k))
                yield Variant(arm, WRONG, wrong, known, bench, recipe=recipe)
            for way in WAYS:
                other = replace(bench.retrieval, way=way, reranked=False)
                if other != bench.retrieval:
                    yield ground.as_run(arm, way_name(way), cases=cases, bench=replace(bench, retrieval=other))

    def finding(self, evidence: Evidence) -> Finding:
        """Bounds, ways, and the misses of each kind."""
        readings: list[Reading] = []
        said: list[str] = []
        for arm in (name for name in READERS if name in evidence.main):
            found = {v.condition: v for v in evidence.variants if v.arm == arm and v.complete}
            if not found:
                continue
            for conditions, as_run in ((BOUNDS, "as run, document known"), (WAY_NAMES, "as run")):
                group = [found[name] for name in conditions if name in found]
                if group:
                    main = replace(evidence.main[arm], cases=group[0].cases)
                    readings += [evidence.reading(main, condition=as_run), *(evidence.reading(v) for v in group)]
            said += _bounds(evidence, arm, found)
            said += _misses(evidence, arm)
        return Finding(
            self.name,
            (*said, *evidence.failures()),
            tuple(readings),
            evidence.seconds,
            bearing=tuple(sentence for sentence in said if " missed " in sentence),
        )


def way_name(way: str) -> str:
    """How a way of retrieving is called in tables."""
    return WAY_NAMES[WAYS.index(way)]


def _bounds(evidence: Evidence, arm: str, found: dict[str, Answered]) -> Iterator[str]:
    main = evidence.main[arm].values(evidence.metric)
    for condition, words in ((ORACLE, "the right passages put there by hand"), (WRONG, "passages of wrong documents")):
        if condition in found:
            values = found[condition].values(evidence.metric)
            reached = score(sum(values.values()) / len(values), is_share=evidence.is_share)
            yield f"{name_of(arm)} with {words}: {reached}, {gap(evidence.difference(values, main))} against as run."


def _misses(evidence: Evidence, arm: str) -> Iterator[str]:
    """Wrong answers split by whether the right passage had been retrieved."""
    run = evidence.main[arm]
    passages = evidence.folder.passages()
    values = run.values(evidence.metric)
    lost = given = right = 0
    for case in run.cases:
        if case.context_id is None:
            continue
        if values.get(case.id, 0.0) >= RIGHT:
            right += 1
        elif any(_of_document(passages.get(name), case) for name in run.predictions[case.id].passages):
            given += 1
        else:
            lost += 1
    total = lost + given + right
    if total and lost + given:
        yield (
            f"{name_of(arm)} missed {lost + given} of {total} cases whose document is known: {lost} by retrieval (the "
            f"document was not among the passages) and {given} by generation "
            f"({numbers.share(given / (lost + given))}: it was there and the answer was wrong)."
        )


def _of_document(passage: Passage | None, case: Case) -> bool:
    return passage is not None and case.context_id in (passage.document_id, passage.id)
