"""A scenario: the cases to judge by, the examples to learn from, the documents to read and the rule to decide by.

Plain frozen records; reading them from files is `harness.scenario_file`'s work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal


class Kind(StrEnum):
    """What an answer looks like; it decides parser, metrics and the instruction's frame."""

    LABELS = "labels"
    JSON = "json"
    SHORT_ANSWER = "short_answer"
    FREE_TEXT = "free_text"


@dataclass(frozen=True, slots=True)
class Case:
    """One row of `eval.jsonl` or `train.jsonl`."""

    id: str
    input: str
    output: str
    references: tuple[str, ...] = ()
    """Further right answers beside `output`."""
    context_id: str | None = None
    """Id of the document (corpus row or file) that holds the answer, where known."""
    group: str | None = None
    """Cases of one group are one cluster for the statistics (same document, user, template)."""
    line: int | None = field(default=None, compare=False)
    """Line in the file that it was read from, from 1."""

    @property
    def accepted(self) -> tuple[str, ...]:
        """All right answers, `output` first."""
        return (self.output, *(r for r in self.references if r != self.output))


@dataclass(frozen=True, slots=True)
class Document:
    """One document of the corpus: a row of `corpus.jsonl` or a file under `corpus/`."""

    id: str
    title: str
    text: str
    source: str = ""
    """The file it came from, relative to the scenario's folder."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, or worth knowing, in the input: where and what."""

    level: Literal["error", "warning"]
    message: str
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True, slots=True)
class Inference:
    """A setting that the user did not give: what it became, from what, and how to say otherwise."""

    setting: str
    value: str
    because: str
    override: str


@dataclass(frozen=True, slots=True)
class StatedAdvice:
    """What was advised before the trial: a dated hypothesis that the verdict confirms, refutes or leaves open."""

    date: str
    """ISO date."""
    approach: str
    """One of `records.APPROACHES`."""
    runner_up: str = ""
    """Empty: none."""
    hypothesis: str = ""
    """The advice as a sentence that can be refuted."""
    band: str = ""
    """How sure the advice was, in words."""
    answers: tuple[tuple[str, str | int | bool], ...] = ()
    """(key, value) of the questionnaire's answers that it rests on."""
    sources: tuple[tuple[str, str], ...] = ()
    """(key, where the answer came from)."""
    margin_that_pays: float | None = None
    """Smallest gain that pays for itself within a year, 0..1; None where nobody worked it out."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what can be refuted; the date and the wording of the odds are no part of it."""
        return hashlib.sha256(f"{self.approach}\n{self.hypothesis}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How the verdict will be reached; fixed, and hashed, before the first prediction."""

    metric: str
    margin: float
    """Smallest difference worth having, on the metric's own 0..1 scale."""
    alpha: float = 0.05
    fewest_cases: int = 30
    target: float | None = None
    """Score that the best arm must reach to be of use at all, 0..1."""
    resamples: int = 10_000
    seed: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the rule's canonical JSON."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TuningWish:
    """How adapters are to be trained, where the user settles it; None = the usual, or chosen on dev."""

    epochs: int | None = None
    """Passes over the examples, at most; fewer where the loss on dev stops falling."""
    rank: int | None = None
    learning_rate: float | None = None
    sweep: int | None = None
    """Pairs of rank and learning rate to try on dev (by Optuna); None: a few learning rates."""
    bits: Literal[4] | None = None
    """4: the model's weights are held in four bits, for every arm alike (QLoRA); None: in the usual precision."""
    processes: int | Literal["auto"] | None = None
    """Processes of this machine that hold the model in shares while it is tuned (FSDP); None: one; `auto`: one a GPU
    where tuning does not fit on one of them, else one."""


NO_WISH = TuningWish()

EXPERIMENTS = (
    "learning_curve",
    "facts_change",
    "harm",
    "consistency",
    "documents_in_weights",
    "retrieval",
    "form",
    "tuned_embedder",
    "full_tuning",
    "classifier",
    "judge",
    "orders",
)
"""Experiments beside the main comparison that can be switched on by name."""


@dataclass(frozen=True, slots=True)
class JudgeWish:
    """Which model judges pairs of answers, where the user wants one."""

    model: str | None = None
    """Local folder, GGUF file or Hugging Face id; None with no endpoint: the model on trial."""
    endpoint: str | None = None
    """Base URL of an OpenAI-compatible server; `model` is then its name there."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key."""
    price_in: float | None = None
    """Money for a million prompt tokens there; None: not known."""
    price_out: float | None = None
    currency: str = "USD"
    max_cost: float | None = None
    """The most money that the judge may spend; None: no limit."""


NO_JUDGE = JudgeWish()


@dataclass(frozen=True, slots=True)
class FineTuningWish:
    """Tuned arms are made by the server's own fine-tuning; the `[endpoint.fine_tuning]` table."""

    price: float | None = None
    """Money for a million training tokens; it must be told."""
    epochs: int = 3
    """Passes over the examples; never left to the provider, so that the most that a job can cost is known."""
    model: str | None = None
    """What is tuned; None: the model that answers."""
    suffix: str = "bakeoff"
    """Part of the tuned model's name."""
    price_in: float | None = None
    """Money for a million prompt tokens of the tuned model; None: as for the model that answers."""
    price_out: float | None = None
    leave_out: tuple[str, ...] = ()
    """Fields of a job that the server does not take: `seed`, `suffix`, `metadata`, `method`."""


@dataclass(frozen=True, slots=True)
class EndpointWish:
    """A server that answers in the place of weights on this machine; the `[endpoint]` table. No key stands here."""

    url: str
    """Up to and including `/v1`."""
    model: str
    """Its name there."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; empty: the server needs none."""
    concurrency: int = 8
    """Requests under way at once."""
    timeout: float = 60.0
    """Seconds of one attempt."""
    retries: int = 4
    """Further attempts of a request."""
    window: int = 8192
    """Longest prompt plus answer, in tokens."""
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls the longest answer."""
    price_in: float | None = None
    """Money for a million prompt tokens; None: not known."""
    price_out: float | None = None
    """Money for a million tokens of answers."""
    currency: str = "USD"
    max_cost: float | None = None
    """The most money that a run may spend; None: no limit."""
    batch: bool = False
    """Eval cases are sent in batches, which the server answers within a day, often at a lower price."""
    batch_discount: float = 0.0
    """Share of the prices that batches are cheaper by; only who is told it counts on it."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of every request."""
    leave_out: tuple[str, ...] = ()
    """Fields that the server does not take: `temperature`, `seed`."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Tuned arm -> the name under which the server answers with it; it was trained elsewhere."""
    fine_tuning: FineTuningWish | None = None
    """How the server is to make the other tuned arms; None: it is not."""


@dataclass(frozen=True, slots=True)
class Experiments:
    """What is tried beside the main comparison; the `[experiments]` table."""

    seeds: int | None = None
    """Training seeds of every tuned arm; None = three, or one in a quick run."""
    run: tuple[str, ...] = ()
    """Of `EXPERIMENTS`, those switched on."""
    cases: int = 100
    """Most eval cases that an experiment answers which does not decide."""
    stop_early: bool = False
    """Arms that can no longer win are stopped."""
    judge: JudgeWish = NO_JUDGE


NO_EXPERIMENTS = Experiments()


@dataclass(frozen=True, slots=True)
class After:
    """The facts some time later: what `after/` holds."""

    documents: Sequence[Document]
    """Changed and new documents; one with a known id replaces that document."""
    cases: Sequence[Case]
    """Questions with their new answers; a case with the id of an eval case has its old answer there."""
    train: tuple[Case, ...] = ()
    """Training examples of the changed facts, for arms whose weights are to be brought up to date."""


@dataclass(frozen=True, slots=True)
class Rewording:
    """An eval case's input in other words."""

    case_id: str
    input: str


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """A person's judgment of two arms' answers to one case."""

    case_id: str
    first: str
    second: str
    label: Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """How many errors an arm may make before it is stopped: at least `fewest` of them, and more than a share of the
    cases that it has answered."""

    fewest: int = 10
    share: float = 0.5
    """Of the cases answered so far, errors included, 0..1."""


USUAL_BUDGET = ErrorBudget()

REQUEST_SECONDS = 600
"""Longest time for one request, where the user does not say otherwise: what takes longer is taken to hang."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """How much each criterion counts for this client; the `[criteria]` table. Only the proportions matter."""

    quality: float = 1.0
    cost: float = 0.0
    latency: float = 0.0
    freshness: float = 0.0
    risk: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a bake-off needs to know before it starts."""

    name: str
    folder: Path
    kind: Kind
    instruction: str
    """The full instruction, as every arm will see it (labels or keys included)."""
    cases: Sequence[Case]
    """A tuple, or, where they are many, a sequence that reads them from disk (`spool`)."""
    rule: DecisionRule
    train: tuple[Case, ...] = ()
    documents: Sequence[Document] = ()
    """A tuple, or, where they are many, a sequence that reads them from disk (`spool`)."""
    labels: tuple[str, ...] = ()
    """The label set, for `Kind.LABELS`."""
    keys: tuple[str, ...] = ()
    """The top-level keys, for `Kind.JSON`."""
    held_to_labels: bool = False
    """Every arm may answer with one of the labels only, so that none wins by form alone."""
    held_to_schema: bool = False
    """Every arm's answers are held to a JSON schema: `schema`, or the one that all training outputs fit."""
    schema: str = ""
    """The JSON schema in `schema.json`; empty where there is none."""
    repair: bool = False
    """An answer that cannot be read is asked for once more, with what is wrong with it; the same for every arm."""
    arms: tuple[str, ...] = ()
    """Arms asked for; empty = all."""
    max_new_tokens: int | None = None
    """Longest answer in tokens; None = from the training outputs, or the labels."""
    max_errors: ErrorBudget = USUAL_BUDGET
    """When an arm that keeps failing is stopped."""
    request_seconds: int = REQUEST_SECONDS
    """Longest time for one request to the model; what takes longer is an error of that case."""
    seed: int = 0
    tuning: TuningWish = NO_WISH
    experiments: Experiments = NO_EXPERIMENTS
    after: After | None = None
    rewordings: tuple[Rewording, ...] = ()
    human_labels: tuple[HumanLabel, ...] = ()
    criteria: Criteria | None = None
    """None: quality alone decides, as the rule has it."""
    model: str | None = None
    endpoint: EndpointWish | None = None
    """Where the model is asked; None: its weights are on this machine."""
    embedder: str | None = None
    reranker: str | None = None
    """A cross-encoder (folder or hub id) to try for reranking; None: the best sentence by the embedder."""
    vector_store: str | None = None
    """`qdrant:` or `pgvector:` and an address (or its variable): where vectors are kept; None: here, with FAISS."""
    inferred: tuple[Inference, ...] = ()
    warnings: tuple[Problem, ...] = ()
    removed: tuple[RemovedRow, ...] = ()
    """Training rows left out because they stand in the eval set too."""
    digests: tuple[tuple[str, str], ...] = field(default=())
    """(file relative to the folder, SHA-256) of every input file read."""
    eval_file: str = "eval.jsonl"
    """Where `cases` were read from, relative to the folder."""
    train_file: str = "train.jsonl"
    advice: StatedAdvice | None = None
    """What `advise` wrote into `scenario.toml`; None where nothing was advised."""
    corpus: str = ""
    """Where `documents` were read from; empty = `corpus.jsonl` and `corpus/`, as far as they exist."""


@dataclass(frozen=True, slots=True)
class RemovedRow:
    """A training row that would have leaked an eval case."""

    train_id: str
    eval_id: str
    why: Literal["exact", "near duplicate"]
    similarity: float = 1.0
    """Cosine of the two inputs' embeddings; 1.0 for exact copies."""
