"""The records that flow from answers to the written advice. Frozen, no behaviour beyond what the fields imply.

Odds are probabilities, 0..1; weights are points of evidence (see `recommend`); money is in the price table's currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SCHEMA_VERSION = 1

APPROACHES = ("prompting", "few_shot", "rag", "fine_tuning", "rag_fine_tuning")
"""Cheapest to run and change first; breaks ties."""

APPROACH_NAMES = {
    "prompting": "prompting",
    "few_shot": "few-shot prompting",
    "rag": "retrieval (RAG)",
    "fine_tuning": "fine-tuning",
    "rag_fine_tuning": "retrieval with fine-tuning",
}
"""Approaches as they are called inside a sentence."""

ARMS_OF = {
    "prompting": ("prompt",),
    "few_shot": ("few_shot", "nearest_shots"),
    "rag": ("rag",),
    "fine_tuning": ("lora",),
    "rag_fine_tuning": ("rag_lora",),
}
"""The bake-off's arms that put an approach on trial."""

Value = str | int | bool
"""An answer's value: a choice, a whole number, or yes/no."""


class Source(StrEnum):
    """Where an answer came from, strongest first: an earlier one wins over a later one."""

    TYPED = "typed"
    FILE = "file"
    """`--answers FILE`."""
    FLAG = "flag"
    """`--set key=value`."""
    SESSION = "session"
    """An earlier session."""
    DATA = "data"
    """Measured from the user's own data."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer and where it came from."""

    key: str
    value: Value | None
    """None: "don't know" was said."""
    source: Source
    note: str = ""
    """More on the source: the file's name, or what was counted."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An answer that the data contradict: what was said stands, what was measured is shown beside it."""

    key: str
    said: Answer
    measured: Answer


@dataclass(frozen=True, slots=True)
class Vote:
    """One reason for or against one approach."""

    rule: str
    approach: str
    weight: float
    """Points of evidence as counted; below 0 it speaks against."""
    reason: str
    sources: tuple[str, ...]
    grade: str
    """A several measured results, B one or two, C vendor guidance or company choices, D reasoning."""


@dataclass(frozen=True, slots=True)
class Veto:
    """An absolute reason against an approach, whatever its odds."""

    rule: str
    approach: str
    reason: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One approach in the ranking."""

    approach: str
    probability: float
    """Odds that it is the right one, 0..1; 0 where vetoed. For machines: people are shown the band."""
    band: str
    votes: tuple[Vote, ...]
    """The reasons that counted, strongest (by size) first."""
    vetoes: tuple[Veto, ...]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The ranking, best first, vetoed approaches last."""

    approach: str
    runner_up: str | None
    """Best of the others that no veto stands against; None where all others are vetoed."""
    standings: tuple[Standing, ...]

    def standing(self, approach: str) -> Standing:
        """The standing of one approach."""
        return next(one for one in self.standings if one.approach == approach)


@dataclass(frozen=True, slots=True)
class Flip:
    """A single change of one answer that changes the advice."""

    key: str
    was: Value | None
    """None: not known before."""
    now: Value
    to: str
    """The approach advised then."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """By how much a reason's weight would have to change until the runner-up draws level."""

    rule: str
    reason: str
    weight: float
    """The lead that this reason gives the advised approach over the runner-up, in points of evidence."""
    needed: float
    """The lead at which the two draw level; the advice flips beyond it."""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question without an answer, and what an answer is worth."""

    key: str
    gain: float
    """Expected information about the right approach, in bits."""
    could_flip: bool
    """Whether some answer to it changes the advice."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What would change the advice."""

    flips: tuple[Flip, ...]
    """At most one a question, the smallest change; likeliest or smallest first."""
    reversals: tuple[Reversal, ...]
    """Smallest relative change first."""
    open_questions: tuple[OpenQuestion, ...]
    """Most informative first."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the system: prompt, retrieval, tuning, validation."""

    name: str
    use: str
    """`now`, `later` (only if the earlier ones fall short) or `no`."""
    reason: str


@dataclass(frozen=True, slots=True)
class Risk:
    """Something to watch, and how."""

    name: str
    text: str
    watch: str
    """What to measure or do about it."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """One item of the data readiness list."""

    item: str
    state: str
    """`ready`, `weak`, `missing` or `unknown`."""
    have: str
    todo: str
    """Empty where nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder: what to try, when to stop there, when to go on."""

    approach: str
    title: str
    what: str
    stop_when: str
    go_on_when: str


@dataclass(frozen=True, slots=True)
class Assumption:
    """A number that the cost model needed and nobody gave."""

    name: str
    value: str
    because: str


@dataclass(frozen=True, slots=True)
class CostItem:
    """One line of an approach's bill."""

    name: str
    amount: float
    per: str
    """`once`, `month` or `request`."""
    how: str
    """The sum in words and numbers: 1,540 labels x 0.30."""


@dataclass(frozen=True, slots=True)
class ApproachCost:
    """What an approach costs in its first year."""

    approach: str
    once: float
    monthly: float
    """Fixed cost of a month, upkeep included, without requests."""
    per_request: float
    first_year: float
    items: tuple[CostItem, ...]


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From which volume on the second approach is cheaper than the first over the first year."""

    first: str
    second: str
    requests_per_day: float | None
    """None: at no volume."""
    text: str


@dataclass(frozen=True, slots=True)
class CostPoint:
    """First-year cost of each approach at one volume."""

    requests_per_day: float
    first_year: dict[str, float]


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What a request's tokens cost where a provider runs the model; what the bake-off prices its own counts with."""

    approach: str
    model: str
    """`tuned small model`."""
    read: float
    """A million tokens read, none of them cached."""
    written: float
    """A million tokens written."""
    beside: float
    """Paid for a request whatever its tokens: search, reranking."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The bill of every approach and where the lines cross."""

    currency: str
    prices_date: str
    """ISO date of the price table."""
    requests_per_day: float
    approaches: tuple[ApproachCost, ...]
    break_evens: tuple[BreakEven, ...]
    curve: tuple[CostPoint, ...]
    assumptions: tuple[Assumption, ...]
    token_prices: tuple[TokenPrice, ...] = ()
    """One an approach; empty where the model runs on machines of one's own."""


@dataclass(frozen=True, slots=True)
class Experience:
    """What earlier bake-offs say, and how far they moved the odds."""

    verdicts: int
    """Remembered verdicts that are like this use case."""
    confirmed: int
    """Of those with the same advice: borne out."""
    refuted: int
    undecided: int
    shifts: dict[str, float]
    """Approach -> points of evidence added; bounded."""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The advice as something that a bake-off can refute."""

    date: str
    """ISO date."""
    approach: str
    runner_up: str | None
    text: str
    arms: tuple[str, ...]
    """Arms worth running."""
    margin_that_pays: float | None = None
    """Smallest gain in accuracy, 0..1, at which the dearer of advised approach and runner-up pays for itself within a
    year; None where the price of a wrong answer is not known."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Everything that was advised. `advice.json` is this record."""

    created: str
    """ISO 8601, UTC."""
    title: str
    answers: tuple[Answer, ...]
    conflicts: tuple[Conflict, ...]
    recommendation: Recommendation
    sensitivity: Sensitivity
    layers: tuple[Layer, ...]
    tuning: str
    """Which kind of tuning, and which not: LoRA, full, an embedder, a small classifier."""
    ladder: tuple[Step, ...]
    risks: tuple[Risk, ...]
    readiness: tuple[Readiness, ...]
    costs: Costs
    experience: Experience
    hypothesis: Hypothesis
    asked: int
    """Questions asked in the session."""
    stopped_because: str
    knowledge_digest: str
    """SHA-256 of the rules that the advice rests on."""
    schema_version: int = SCHEMA_VERSION
