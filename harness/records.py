"""The records that flow from a model's answer to the verdict. Frozen, no behaviour beyond what the fields imply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from harness.scenario import Criteria, Inference, RemovedRow

SCHEMA_VERSION = 1

LADDER = ("prompt", "few_shot", "nearest_shots", "rag", "lora", "rag_lora")
"""Arms from the cheapest to run and change to the dearest; breaks ties."""

APPROACHES = ("prompting", "few_shot", "rag", "fine_tuning", "rag_fine_tuning")
"""What can be advised, cheapest to run and change first."""

APPROACH_NAMES = {
    "prompting": "prompting",
    "few_shot": "few-shot prompting",
    "rag": "retrieval (RAG)",
    "fine_tuning": "fine-tuning",
    "rag_fine_tuning": "retrieval with fine-tuning",
}
"""Approaches as they are called inside a sentence."""

APPROACH_OF = {
    "prompt": "prompting",
    "few_shot": "few_shot",
    "nearest_shots": "few_shot",
    "rag": "rag",
    "lora": "fine_tuning",
    "rag_lora": "rag_fine_tuning",
}
"""Arm -> the approach that it puts on trial; arms of one's own belong to none."""

CONTROL = "dummy"
"""The arm that always gives the commonest output."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, as retrieved for one case."""

    id: str
    document_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """One arm's raw answer to one case."""

    case_id: str
    arm: str
    text: str
    tokens_in: int
    tokens_out: int
    seconds: float
    """Share of the batch's wall time; latency at batch 1 is measured apart (`LatencySample`)."""
    passages: tuple[str, ...] = ()
    """Ids of the retrieved passages, best first."""
    finish: str = "stop"
    """`stop` (the model ended), `length` (cut at the longest answer), `fixed` (no model) or `error`."""
    error: str | None = None
    key: str = ""
    """Digest of everything that determined the answer."""


@dataclass(frozen=True, slots=True)
class LatencySample:
    """One request answered alone (batch of one), retrieval included, adapter merged."""

    case_id: str
    arm: str
    seconds: float
    retrieval_seconds: float
    tokens_in: int
    tokens_out: int
    first_token_seconds: float | None = None
    """Seconds to the first token, retrieval included; None where the answer was not streamed."""


@dataclass(frozen=True, slots=True)
class ArmScore:
    """An arm's mean on one metric with its interval; failures and empty answers are in it as 0."""

    arm: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    failed: int
    """Cases that ended in an error or an empty answer; of an arm trained from several seeds the mean over seeds,
    rounded up, and `n` only where none of them answered."""


@dataclass(frozen=True, slots=True)
class CaseScore:
    """What one arm got on one case, on every metric that is defined for a single case."""

    case_id: str
    arm: str
    answer: str
    """The parsed answer; empty where nothing could be read."""
    failed: bool
    """The case ended in an error or an empty answer."""
    values: dict[str, float]
    """Metric -> value, 0..1."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms on the same cases: `difference` = mean of first minus mean of second."""

    metric: str
    first: str
    second: str
    n: int
    first_failed: int
    second_failed: int
    difference: float
    low: float
    """Lower end of the (1 - alpha) paired interval."""
    high: float
    low_equivalence: float
    """Lower end of the (1 - 2 alpha) interval: a one-sided bound at level alpha, for 'no worse than'."""
    high_equivalence: float
    p: float
    p_adjusted: float
    """Holm over all pairs of the run."""
    method: str
    """`exact McNemar` or `permutation`, with `, clustered` where groups were given."""
    first_only: int | None = None
    """Cases that only the first arm got right (right/wrong metrics)."""
    second_only: int | None = None
    clusters: int | None = None
    seed_error: float = 0.0
    """The part of the standard error that is due to training seeds, which more cases do not lessen."""


def seen_from(comparison: Comparison, arm: str) -> Comparison:
    """The same comparison with `arm` first."""
    if comparison.first == arm:
        return comparison
    return replace(
        comparison,
        first=comparison.second,
        second=comparison.first,
        first_failed=comparison.second_failed,
        second_failed=comparison.first_failed,
        difference=-comparison.difference,
        low=-comparison.high,
        high=-comparison.low,
        low_equivalence=-comparison.high_equivalence,
        high_equivalence=-comparison.low_equivalence,
        first_only=comparison.second_only,
        second_only=comparison.first_only,
    )


class VerdictKind(StrEnum):
    """What a bake-off can come to."""

    WINNER = "winner"
    TIE = "tie"
    NONE_USEFUL = "none_useful"
    NOT_ENOUGH_CASES = "not_enough_cases"
    COULD_NOT_COMPARE = "could_not_compare"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An arm that did not take part, and why."""

    arm: str
    reason: str


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An answer of the questionnaire that the trial's data contradict."""

    key: str
    said: str | int | bool
    source: str
    """Where the answer came from: `typed`, `file`, `flag`, `session` or `data`."""
    found: str
    """What was found instead, a sentence with numbers."""


@dataclass(frozen=True, slots=True)
class AdviceRelation:
    """What the verdict says of the advice: `confirmed`, `refuted`, `undecided`, or None where there was none."""

    relation: str | None = None
    advised: str | None = None
    """The advised approach."""
    reasons: tuple[str, ...] = ()
    """Why, in sentences."""
    contradicted: tuple[Contradiction, ...] = ()
    hypothesis: str = ""
    date: str = ""
    """When it was advised, ISO."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured value of an experiment: an arm under a condition."""

    arm: str
    condition: str
    """`as run`, `25 % of the training examples`, `oracle passages`, ...; the first words of a table's row."""
    measure: str
    """A metric's name, or what else was measured: `agreement`, `refusals`, `minutes to update`."""
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    failed: int = 0
    unit: str = "share"
    """`share` (0..1, written in percent), `points` (0..1, written as points of 100), `seconds` or `count`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an experiment found: measured values and the sentences that they bear out."""

    experiment: str
    sentences: tuple[str, ...]
    """The plainest first; each claims no more than its interval."""
    readings: tuple[Reading, ...] = ()
    seconds: float = 0.0
    """What it took: preparing and answering."""
    bearing: tuple[str, ...] = ()
    """Sentences that belong beside the verdict."""
    contradicted: tuple[Contradiction, ...] = ()
    """Answers of the questionnaire that it contradicts."""
    added_later: bool = False
    """It was asked for after the verdict had been seen."""
    could_not: str = ""
    """Why it could not be run; empty where it was."""


@dataclass(frozen=True, slots=True)
class CriterionValue:
    """How good an arm is by one criterion, 0..1, more is better, and what that was measured on."""

    arm: str
    criterion: str
    value: float
    measured: str
    """The figure behind it, written out."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """The weight of one criterion, the others keeping their proportions, at which another arm becomes the best."""

    criterion: str
    weight: float
    arm: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The arms under several criteria at once."""

    weights: dict[str, float]
    values: tuple[CriterionValue, ...]
    totals: dict[str, float]
    """Arm -> weighted mean of its values."""
    best_probability: dict[str, float]
    """Arm -> probability of being best: cases resampled, weights uncertain around those given."""
    best_whatever: dict[str, float]
    """The same with nothing known of the weights."""
    reversals: tuple[Reversal, ...] = ()
    unmeasured: tuple[str, ...] = ()
    """Criteria that were weighed and could not be measured for all arms; left out."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """An arm that was stopped early: it was shown to be worse than another by more than the margin."""

    arm: str
    by: str
    after: int
    """Cases that it had answered."""
    of: int
    e_value: float
    seconds_saved: float = 0.0


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """How much a tuned arm's score moves with the training seed, apart from how much it moves with the cases."""

    arm: str
    scores: tuple[float, ...]
    """Mean on the rule's metric, one a seed."""
    seed_error: float
    """Standard error of the mean over seeds that is due to seeds."""
    case_error: float


@dataclass(frozen=True, slots=True)
class Look:
    """An earlier verdict on the same cases."""

    created: str
    """ISO 8601, UTC."""
    cases: int
    arms: int
    """With the control."""
    quick: bool


@dataclass(frozen=True, slots=True)
class OtherVerdict:
    """What the same rule would have said on another metric; a look, not the verdict."""

    metric: str
    kind: VerdictKind
    arm: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a bake-off. `verdict.json` is this record."""

    kind: VerdictKind
    arm: str | None
    """Recommended arm; None where there is none to recommend."""
    tied: tuple[str, ...]
    """Arms that the data could not tell from the best, best first (the best included)."""
    metric: str
    margin: float
    alpha: float
    scores: tuple[ArmScore, ...]
    """On the rule's metric, control included, best first."""
    comparisons: tuple[Comparison, ...]
    left_out: tuple[LeftOut, ...]
    rule_digest: str
    sentences: tuple[str, ...] = ()
    """The verdict in words a client understands, the plainest first."""
    cases_needed: int | None = None
    """About how many cases in all would settle it, where it is not settled."""
    advice: AdviceRelation = AdviceRelation()
    notes: tuple[str, ...] = ()
    """What the experiments say beside the verdict, in sentences."""
    cautions: tuple[str, ...] = ()
    """What the error rate of the rule does not cover in this run, in sentences: earlier looks, luck of training."""
    exploratory: tuple[str, ...] = ()
    """What was changed after the first eval prediction; empty: nothing, the verdict is confirmatory."""
    stopped: tuple[Stopped, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()
    axes: tuple[Comparison, ...] = ()
    """The best arm against the others in facts and in form, each on its own metric; empty where there is no form."""
    under_other_metrics: tuple[OtherVerdict, ...] = ()
    """The rule applied to every other metric that could have decided."""
    standing: Standing | None = None
    """Under several criteria, where the scenario weighs them."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate tried on dev and what it scored there."""

    value: str
    score: float
    n: int = 0
    """Cases that it was tried on; 0: on all of them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting chosen on dev: what was tried, on how many dev cases, by which metric, and what was taken."""

    setting: str
    chosen: str
    metric: str
    n: int
    tried: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything an arm settled before it saw an eval case. Kept in the run folder, so nothing is settled twice."""

    arm: str
    shots: tuple[str, ...] = ()
    """Ids of the fixed shots, in prompt order."""
    k: int = 0
    """Shots (nearest) or passages (retrieval) put into a prompt."""
    source: str = ""
    """What retrieval reads: `documents`, `examples`, or nothing."""
    adapter: str | None = None
    """Folder of the LoRA adapter, relative to the run folder."""
    adapter_digest: str = ""
    train_seconds: float = 0.0
    train_tokens: int = 0
    train_examples: int = 0
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences for the report: what is unusual about this arm in this run."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A per-case value that needed a model to compute and is therefore stored, such as embedding similarity."""

    case_id: str
    arm: str
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What one stage of one arm took."""

    arm: str
    stage: str
    """`prepare` or `answer`."""
    seconds: float
    peak_memory_mb: float
    """Largest memory of the whole process during the stage; what earlier stages left behind counts too."""


@dataclass(frozen=True, slots=True)
class StoredScenario:
    """What a run folder keeps of the scenario, beside its cases and rule."""

    name: str
    kind: str
    instruction: str
    labels: tuple[str, ...]
    keys: tuple[str, ...]
    arms: tuple[str, ...]
    """Arms that take part, control first, then in ladder order."""
    eval_cases: int
    train_examples: int
    dev_examples: int
    documents: int
    max_new_tokens: int
    framing: str
    seed: int
    inferred: tuple[Inference, ...] = ()
    warnings: tuple[str, ...] = ()
    removed: tuple[RemovedRow, ...] = ()
    quick: bool = False
    held_to_labels: bool = False
    """Every arm could answer with one of the labels only."""
    held_to_schema: str = ""
    """The JSON schema that every arm's answers were held to; empty: they were free."""
    repair: bool = False
    """Answers that could not be read were asked for once more, in every arm."""
    seeds: int = 1
    """Training seeds of every tuned arm."""
    experiments: tuple[str, ...] = ()
    """Experiments that were asked for."""
    stop_early: bool = False
    criteria: Criteria | None = None
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run asked of an endpoint, timed requests included."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    estimated: int = 0
    """Requests whose tokens the endpoint did not count: estimated from the text's length."""
    money: float | None = None
    """At the prices that were named; None where none were."""
    currency: str = ""
    price_in: float | None = None
    """A million prompt tokens."""
    price_out: float | None = None
    jobs: int = 0
    """Fine-tuning jobs that trained something."""
    trained: int = 0
    """Tokens that they were billed for; of one whose tokens are not known, the most that it can have had."""
    training_money: float | None = None
    """What they cost, part of `money` where that is known; None: there were none."""
    tuned_price_in: float | None = None
    """A million prompt tokens of the tuned model, where it has prices of its own."""
    tuned_price_out: float | None = None
    batched: int = 0
    """Requests of these that were sent in batches ..."""
    batch_money: float | None = None
    """... and the money of `money` that went to them, at the price of batches."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where and with what a run was made."""

    started: str
    """ISO 8601, UTC."""
    command: str
    versions: dict[str, str]
    python: str
    platform: str
    device: str
    dtype: str
    threads: int
    cores: int
    load_average: float
    memory_total_mb: int
    model: str
    model_digest: str
    embedder: str
    embedder_digest: str
    seed: int
    git_revision: str
    input_digests: dict[str, str]
    code_digest: str
    peak_memory_mb: float = 0.0
    seconds: float = 0.0
    taken_from: str = ""
    """The earlier run of the same kind whose answers and times these are; empty: they were made here."""
    endpoint: str = ""
    """Address of the server that answered; empty: the weights were on this machine."""
    spent: Spent | None = None
    """What was asked of it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an arm costs to run, measured."""

    arm: str
    tokens_in: float
    """Mean prompt tokens of a request."""
    tokens_out: float
    latency_p50: float | None
    """Seconds, one request at a time; None where it was not measured."""
    latency_p95: float | None
    latency_n: int
    train_seconds: float
    train_tokens: int
    peak_memory_mb: float
    first_token_p50: float | None = None
    """Seconds to the first token; None where answers were not streamed."""
