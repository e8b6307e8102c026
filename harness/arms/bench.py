"""The workbench: what all arms share, so that they differ in nothing but what they bring.

One model, one prompt builder, one instruction, one longest answer, one dev split, one index of the documents.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from harness.arms.base import Request
from harness.errors import ArmFailed
from harness.generation.cache import AnswerCache, answer_key
from harness.generation.isolation import completed
from harness.generation.prompts import Framing, build_messages
from harness.metrics.answer import answer_is_whole, parse_answer
from harness.metrics.json_schema import schema_of
from harness.metrics.registry import metric_named
from harness.metrics.usable import fault_of
from harness.models.base import AT_END, Completion, Job, Message, Remote, Stop, TextModel
from harness.records import Choice, Passage, Recipe, Trial
from harness.retrieval.chunks import chunk_documents
from harness.retrieval.embed import Embedder, Vectors
from harness.retrieval.gold import Bag, answers_of, holds_any, is_of
from harness.retrieval.index import VectorIndex, build_index
from harness.retrieval.retriever import Retriever, Shelf
from harness.retrieval.settings import DEFAULT, RetrievalSettings
from harness.scenario import Case, Kind, Scenario
from harness.tuning.examples import TrainingText

Notify = Callable[[str, float], None]
"""(what is going on, share done 0..1)"""

TIE_BREAK = 0.001
"""Weight of chrF beside the metric when settings are chosen: it decides only between equals."""


LOOKED_AT = 1_000
"""Passages drawn, where they are many, to find some that a case cannot be answered from."""

FEWEST_TO_HALVE = 24
"""Cases below which every option is tried on all of them."""


class Tuner(Protocol):
    """Trains an adapter for the bench's model."""

    def __call__(
        self, arm: str, examples: Sequence[TrainingText], *, dev: Sequence[TrainingText], notify: Notify
    ) -> Recipe:
        """The recipe of a tuned arm: adapter, what it cost, what was chosen."""


@dataclass(frozen=True)
class Bench:
    """Everything an arm may use. Not slotted: indexes are built once, when first wanted."""

    scenario: Scenario
    train: tuple[Case, ...]
    """Training examples without the dev split: shots, indexes and tuning draw on these."""
    dev: tuple[Case, ...]
    """Held out of train; every choice is made on these."""
    model: TextModel
    embedder: Embedder | None
    max_new_tokens: int
    folder: Path
    """The run folder (adapters live in it)."""
    framing: Framing = Framing.SYSTEM
    framing_choice: tuple[Choice, ...] = ()
    retrieval: RetrievalSettings = DEFAULT
    """How documents are cut and searched."""
    retrieval_choice: tuple[Choice, ...] = ()
    retrieval_note: str = ""
    """Why it could not be chosen; empty where it was, or where nothing is retrieved from documents."""
    cross_encoder: str | None = None
    """Folder or id of a model that reranks passages; None: the built-in way."""
    vector_store: str | None = None
    """Where passages' vectors are kept and searched; None: here."""
    cache: AnswerCache = field(default_factory=lambda: AnswerCache(None))
    tuner: Tuner | None = None
    quick: bool = False
    notify: Notify = lambda what, share: None
    temperature: float = 0.0
    """0: greedy, as every arm answers in the comparison; above: sampled, for the consistency experiment."""
    sampling_seed: int = 0

    @cached_property
    def schema(self) -> str:
        """The JSON schema that answers are held to; empty: they are free."""
        if not self.scenario.held_to_schema:
            return ""
        return self.scenario.schema or schema_of([c.output for c in self.examples], keys=self.scenario.keys)

    @property
    def stop(self) -> Stop:
        """Where answers may end early, and the labels that they are held to where the scenario asks for that."""
        kind, labels = self.scenario.kind, self.scenario.labels
        if self.scenario.held_to_labels:
            digest = hashlib.sha256("\n".join(labels).encode()).hexdigest()
            return Stop(f"held to labels {digest[:16]}", None, labels)
        if self.schema:
            digest = hashlib.sha256(self.schema.encode()).hexdigest()
            return Stop(f"held to schema {digest[:16]}", None, schema=self.schema)
        if kind not in (Kind.SHORT_ANSWER, Kind.JSON):
            return AT_END
        return Stop(f"whole {kind.value}", lambda text: answer_is_whole(text, kind=kind))

    def key(self, prompt: str, *, adapter_digest: str = "") -> str:
        """The cache key of a prompt's answer."""
        return answer_key(
            self.model.description,
            prompt,
            adapter_digest=adapter_digest,
            max_new_tokens=self.max_new_tokens,
            stop=self.stop,
            temperature=self.temperature,
            seed=self.sampling_seed,
        )

    def start(self, prompts: Sequence[str]) -> Job:
        """Put prompts under way, with the generation settings that all arms share."""
        if not self.temperature:
            return self.model.start(prompts, max_new_tokens=self.max_new_tokens, stop=self.stop)
        return self.model.start(
            prompts,
            max_new_tokens=self.max_new_tokens,
            stop=self.stop,
            temperature=self.temperature,
            seed=self.sampling_seed,
        )

    @property
    def seed(self) -> int:
        """Seed of every draw."""
        return self.scenario.seed

    @property
    def examples(self) -> tuple[Case, ...]:
        """All training examples, dev included."""
        return self.train + self.dev

    @cached_property
    def _by_id(self) -> dict[str, Case]:
        return {case.id: case for case in self.examples}

    def example(self, name: str) -> Case:
        """The training example with this id."""
        return self._by_id[name]

    @cached_property
    def example_vectors(self) -> Vectors:
        """Unit vectors of the training inputs, in the order of `train`."""
        return self._embedder.encode([case.input for case in self.train])

    @cached_property
    def example_index(self) -> VectorIndex:
        """Nearest training inputs."""
        return build_index(self._embedder, [case.input for case in self.train])

    @cached_property
    def passages(self) -> Sequence[Passage]:
        """What retrieval reads: the documents in chunks, or, without documents, the training examples."""
        if self.scenario.documents:
            return chunk_documents(self.scenario.documents, words=self.retrieval.words)
        return tuple(Passage(c.id, c.id, "", f"{c.input}\n{c.output}") for c in self.train)

    @cached_property
    def _retriever(self) -> Retriever:
        shelf = Shelf(self.passages, self._embedder, self.cross_encoder, self.vector_store)
        return Retriever(shelf, self.retrieval)

    def retrieve(self, queries: Sequence[str], *, k: int, fresh: bool = False) -> list[tuple[Passage, ...]]:
        """The k best passages of each query, best first, found the way that was settled."""
        found = self._retriever.search(queries, k=k, fresh=fresh)
        return [tuple(self.passages[i] for i in row) for row in found]

    @property
    def index_note(self) -> str:
        """How much an approximate search of many passages finds; empty where the search is exact."""
        return self._retriever.note

    @cached_property
    def _bags(self) -> tuple[Bag, ...]:
        return tuple(Bag.of(passage.text) for passage in self.passages)

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        """Document or passage id -> places of its passages, for what the cases name."""
        cases = chain(self.scenario.cases, self.examples, self.scenario.after.cases if self.scenario.after else ())
        found: dict[str, list[int]] = {case.context_id: [] for case in cases if case.context_id is not None}
        for place, passage in enumerate(self.passages):
            for name in {passage.document_id, passage.id} & found.keys():
                found[name].append(place)
        return found

    def _own(self, name: str | None) -> list[int]:
        if name is None or name in self._places:
            return self._places.get(name or "", [])
        return [place for place, passage in enumerate(self.passages) if is_of(passage, name)]

    def oracle(self, case: Case, *, k: int | None = None) -> tuple[Passage, ...]:
        """The k passages (a budget's worth) to answer a case from whose document is known; none where it is not.

        Passages of that document that hold the answer first, then its others, then the nearest of other documents.
        """
        k = self.retrieval.count() if k is None else k
        answers = answers_of(case)
        own = sorted(self._own(case.context_id), key=lambda i: not holds_any(Bag.of(self.passages[i].text), answers))
        found = tuple(self.passages[i] for i in own[:k])
        if not found or len(found) == k:
            return found
        nearest = self.retrieve([case.input], k=k + len(own))[0]
        return (*found, *[p for p in nearest if not is_of(p, case.context_id)])[:k]

    def wrong(self, case: Case, k: int) -> tuple[Passage, ...]:
        """k passages that a case cannot be answered from, drawn with the seed and the case's id: none of its document,
        none that holds an accepted answer (fewer, where there are fewer). Of many passages some are looked at.
        """
        answers = answers_of(case)
        drawn = random.Random(f"{self.seed} {case.id}")
        if not isinstance(self.passages, tuple):
            some = (self.passages[i] for i in drawn.sample(range(len(self.passages)), LOOKED_AT))
            good = (p for p in some if not is_of(p, case.context_id) and not holds_any(Bag.of(p.text), answers))
            return tuple(islice(good, k))
        pool = [
            passage
            for passage, bag in zip(self.passages, self._bags, strict=True)
            if not is_of(passage, case.context_id) and not holds_any(bag, answers)
        ]
        return tuple(drawn.sample(pool, min(k, len(pool))))

    @property
    def _embedder(self) -> Embedder:
        if self.embedder is None:
            raise ArmFailed("no embedder is available, and this arm retrieves")
        return self.embedder

    def prompt(self, case: Case, request: Request) -> str:
        """The exact prompt of a request that was fitted to the window."""
        return self.fitted(case, request)[0]

    def fitted(self, case: Case, request: Request) -> tuple[str, Request]:
        """The exact prompt and what is left in it: the first (farthest) shots, then the last passages, are dropped
        until it fits the window."""
        shots, passages = request.shots, request.passages
        while True:
            messages = build_messages(
                self.scenario.instruction, case.input, framing=self.framing, shots=shots, passages=passages
            )
            text = self.model.render(messages)
            if not (shots or passages) or self._fits(text):
                return text, replace(request, shots=shots, passages=passages)
            shots, passages = (shots[1:], passages) if shots else (shots, passages[:-1])

    def repair_prompt(self, case: Case, request: Request, text: str) -> str | None:
        """What asks once more for an answer that cannot be used, with what is wrong with it; None where it can be used,
        where the scenario does not repair, or where asking would not fit the window."""
        if not self.scenario.repair or request.fixed is not None:
            return None
        scenario = self.scenario
        fault = fault_of(text, kind=scenario.kind, labels=scenario.labels, keys=scenario.keys)
        if fault is None:
            return None
        messages = build_messages(
            scenario.instruction, case.input, framing=self.framing, shots=request.shots, passages=request.passages
        )
        again = f"That answer cannot be used. {fault} Give the right answer and nothing else."
        prompt = self.model.render([*messages, Message("assistant", text), Message("user", again)])
        return prompt if self._fits(prompt) else None

    def _fits(self, prompt: str) -> bool:
        window = self.model.description.window
        # A token is at least one byte long: short texts need no tokenizer.
        room = window - self.max_new_tokens
        return len(prompt.encode()) <= room or self.model.count_tokens(prompt) <= room

    def too_long(self, prompt: str) -> str | None:
        """A sentence where the prompt cannot fit the model's window, else None."""
        if self._fits(prompt):
            return None
        return (
            f"the prompt has {self.model.count_tokens(prompt)} tokens and the answer may take {self.max_new_tokens}, "
            f"but the model's window is {self.model.description.window}"
        )

    def ask(self, prompts: Sequence[str]) -> list[str]:
        """Raw answers of the untuned model, for choosing on dev; empty where the model failed."""
        keys = [self.key(prompt) for prompt in prompts]
        known = self.cache.get(keys)
        if isinstance(self.model, Remote):  # nothing there depends on its neighbours, and everything costs
            new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in known}
            known |= self._complete(list(new.values()), list(new)) if new else {}
        elif not all(key in known for key in keys):
            known |= self._complete(prompts, keys)
        return [known[key].text if key in known else "" for key in keys]

    def _complete(self, prompts: Sequence[str], keys: Sequence[str]) -> dict[str, Completion]:
        job = self.start(prompts)
        found: dict[str, Completion] = {}
        for batch in job.batches:
            made = completed(job, batch)
            answers = {keys[i]: answer for i, answer in made.items() if not isinstance(answer, Exception)}
            self.cache.put(answers)
            found |= answers
        return found

    def choose(self, setting: str, options: Mapping[str, Sequence[Request]]) -> Choice:
        """Try each option on dev and keep the best; see `contest`."""
        self.notify(f"choosing {setting}", 0.0)
        if len(options) == 1:
            return self.contest(setting, dict.fromkeys(options, ()), cases=())
        prompts = {
            name: [self.prompt(case, request) for case, request in zip(self.dev, requests, strict=True)]
            for name, requests in options.items()
        }
        return self.contest(setting, prompts, cases=self.dev)

    def contest(self, setting: str, prompts: Mapping[str, Sequence[str]], *, cases: Sequence[Case]) -> Choice:
        """The option whose answers score best on some training cases: the first of equals, chrF deciding between them.

        Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943) where there are three options or more and at
        least 24 cases: all options on every third case, the better half (and what equals it) on all. Without cases, or
        with one option, the first option is taken untried.
        """
        metric, names = self.scenario.rule.metric, list(prompts)
        if not cases or len(names) == 1:
            return Choice(setting, names[0], metric, 0)
        found: dict[str, dict[int, str]] = {name: {} for name in names}
        first = range(0, len(cases), 3) if len(names) > 2 and len(cases) >= FEWEST_TO_HALVE else range(len(cases))
        self._answer_for(prompts, names, first, found)
        values = {name: self._value(found[name], cases) for name in names}
        cut = sorted(values.values(), reverse=True)[(len(names) + 1) // 2 - 1]
        left = [name for name in names if values[name] >= cut]
        self._answer_for(prompts, left, [i for i in range(len(cases)) if i not in set(first)], found)
        chosen = max(left, key=lambda name: self._value(found[name], cases))
        tried = tuple(
            Trial(name, self._mean(metric, texts, cases), n=len(texts) if len(texts) < len(cases) else 0)
            for name, texts in found.items()
        )
        return Choice(setting, chosen, metric, len(cases), tried)

    def _answer_for(
        self,
        prompts: Mapping[str, Sequence[str]],
        names: Sequence[str],
        places: Sequence[int],
        found: dict[str, dict[int, str]],
    ) -> None:
        """Answer these cases under these options, all in one go: the model reads its weights once for all of them."""
        texts = iter(self.ask([prompts[name][i] for name in names for i in places]))
        for name in names:
            found[name] |= {i: next(texts) for i in places}

    def _value(self, texts: Mapping[int, str], cases: Sequence[Case]) -> float:
        return self._mean(self.scenario.rule.metric, texts, cases) + TIE_BREAK * self._mean("chrf", texts, cases)

    def _mean(self, metric: str, texts: Mapping[int, str], cases: Sequence[Case]) -> float:
        score = metric_named(metric).score
        if score is None or not texts:
            return 0.0
        kind, labels = self.scenario.kind, self.scenario.labels
        parsed = {i: parse_answer(text, kind=kind, labels=labels) for i, text in texts.items() if text}
        return sum(score(answer, cases[i].accepted) for i, answer in parsed.items()) / len(texts)

    def tune(self, arm: str, requests: Sequence[Request], *, dev: Sequence[Request]) -> Recipe:
        """Train an adapter on prompts of these shapes.

        Raises:
            ArmFailed: this bench's model cannot be tuned here.
        """
        if self.tuner is None:
            raise ArmFailed("the model cannot be tuned here")
        texts = [TrainingText(self.prompt(c, r), c.output) for c, r in zip(self.train, requests, strict=True)]
        held = [TrainingText(self.prompt(c, r), c.output) for c, r in zip(self.dev, dev, strict=True)]
        return self.tuner(arm, texts, dev=held, notify=self.notify)
