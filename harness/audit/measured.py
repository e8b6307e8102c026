"""What a scenario's data can tell about the questionnaire's questions, without a model.

A question is answered only where the data are clear; every other one is left to the person. Where no source is given,
the thresholds are judgments: four rows in five is clear, one in five is rare, anything between is left open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.audit.answerability import answerability
from harness.audit.labels import class_counts, contradictions
from harness.audit.leaks import exact_leaks, without_leaks
from harness.audit.signs import MOST_ANSWERS, MOST_ROWS, Signs, read_signs
from harness.audit.text import Places, normalised
from harness.audit.tokens import estimate_corpus_tokens, estimate_tokens
from harness.scenario import Case, Document, Kind, Scenario
from harness.scenario_file.infer import are_numbers, closed_set, json_object, word_count
from harness.scenario_file.limits import draw

CLEAR = 0.8
RARE = 0.2
GROUNDED = 0.6
"""Share of the answers held by documents from which on they are the source: people also answer in their own words."""
FEWEST_ROWS = 8
"""Rows below which the job is not read from the data."""
FEWEST_FREE_ROWS = 20
"""Rows below which outputs that all differ do not show that there is no fixed list of answers."""
FEWEST_REPEATED_ROWS = 20
"""Rows with an input that stands more than once, below which contradictions are counted but not judged."""
FEWEST_FOR_CLEAN = 60
"""Repeated inputs without a contradiction that show fewer than 5 % of them (95 %): 3/n, the rule of three
(Hanley and Lippman-Hand 1983, "If nothing goes wrong, is everything all right?")."""
MIXED_FROM = 0.05
NOISY_FROM = 0.2
"""Shares of contradictory repeated inputs from which labels are mixed, and noisy."""
LONG_INPUT = 100
"""Words of an input from which its much shorter answer can be a summary."""

_VERDICTS = frozenset({"yes", "no", "true", "false", "y", "n", "ja", "nein", "oui", "non", "sí", "si"})
_SHORT_LINE = 8
_RARE_KEY = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """One answer to the questionnaire that the data give."""

    key: str
    value: str | int | bool
    because: str
    """One short sentence with the counts."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The numbers behind the answers. None: there was nothing to measure it by."""

    kind: Kind | None
    """None without a row."""
    labelled_rows: int
    """Training rows that can be used: without those that stand in the eval set and those that repeat another."""
    leaked_rows: int
    """Training rows whose input stands in the eval set."""
    repeated_rows: int
    """Of the others, those that have input and output of an earlier one."""
    eval_examples: int
    """Eval rows without those that have input and output of an earlier one."""
    classes: int | None
    """Size of the label set, 0 where there is none; None where the data do not show it."""
    labels_per_class_min: int | None
    """Usable training rows of the rarest label, which may be 0; None without labels or training rows."""
    labels_per_class_median: float | None
    repeated_inputs: int
    """Different inputs that stand more than once, in train and eval together."""
    repeated_input_rows: int
    """Rows that have one of these."""
    contradictory_inputs: int
    """Repeated inputs whose outputs contradict one another; not looked for in free text."""
    contradictory_share: float | None
    """Of the repeated inputs, 0..1; None for free text, and below 20 rows with a repeated input."""
    eval_answers_in_corpus: float | None
    """Share of up to 200 eval answers that some document holds, 0..1."""
    train_answers_in_corpus: float | None
    documents: int
    """0: none were given, which does not say that there are none."""
    corpus_tokens: int | None
    """Estimate; None without documents."""
    format: str
    """The commonest form of the outputs, in words; empty without a row."""
    format_share: float | None
    """Share of the outputs in this form, 0..1."""
    input_tokens_median: int | None
    """Estimate."""
    input_tokens_p95: int | None
    """Estimate."""
    output_tokens_median: int | None
    """Estimate."""
    instruction_tokens: int | None
    """Estimate; None where the user gave no instruction, or one that had to be completed."""


@dataclass(frozen=True, slots=True)
class _View:
    """A scenario with what was counted in it."""

    scenario: Scenario
    facts: DataFacts
    rows: tuple[Case, ...]
    """Usable training rows and eval rows."""
    signs: Signs | None
    """None below 8 rows."""
    labels: tuple[str, ...]
    """The label set; also of JSON objects that hold nothing but a label."""


def measure(scenario: Scenario) -> tuple[DataFacts, tuple[Measured, ...]]:
    """Measure a scenario; it may lack eval cases, training rows or documents, or all of them.

    The answers come in no particular order, at most one a key.
    """
    view = _view(scenario)
    task = _task(view)
    found = [task, _gap(view, task.value if task else None), *_sizes(view), _label_quality(view.facts)]
    found += [_consistency(view), _question_shape(view, task.value if task else None)]
    return view.facts, tuple(one for one in found if one)


# Counting


def _view(scenario: Scenario) -> _View:
    leaked = exact_leaks(scenario.train, scenario.cases)
    train, cases = _different(without_leaks(scenario.train, leaked)), _different(scenario.cases)
    rows = (*train, *cases)
    labels = _label_set(scenario, rows)
    facts = _facts(scenario, train, cases, labels=labels, leaked=len(leaked))
    enough = len(rows) >= FEWEST_ROWS
    signs = read_signs(train, cases, scenario.documents, kind=scenario.kind) if enough else None
    return _View(scenario, facts, rows, signs, labels)


def _facts(
    scenario: Scenario, train: Sequence[Case], cases: Sequence[Case], *, labels: Sequence[str], leaked: int
) -> DataFacts:
    rows = (*train, *cases)
    inputs = sorted(estimate_tokens(case.input) for case in _some(rows))
    outputs = [estimate_tokens(case.output) for case in _some(rows)]
    counts = _label_rows(train, labels)
    contradictory, repeated, repeated_rows = _repeats(scenario)
    judged = scenario.kind is not Kind.FREE_TEXT and repeated_rows >= FEWEST_REPEATED_ROWS
    in_eval, in_train = _answers_in_corpus(cases, train, documents=scenario.documents)
    form, share = _format(rows, scenario.kind, labels=labels)
    return DataFacts(
        kind=scenario.kind if rows else None,
        labelled_rows=len(train),
        leaked_rows=leaked,
        repeated_rows=len(scenario.train) - leaked - len(train),
        eval_examples=len(cases),
        classes=_classes(rows, scenario.kind, labels=labels),
        labels_per_class_min=min(counts) if counts else None,
        labels_per_class_median=float(median(counts)) if counts else None,
        repeated_inputs=repeated,
        repeated_input_rows=repeated_rows,
        contradictory_inputs=contradictory,
        contradictory_share=contradictory / repeated if judged else None,
        eval_answers_in_corpus=in_eval,
        train_answers_in_corpus=in_train,
        documents=len(scenario.documents),
        corpus_tokens=estimate_corpus_tokens(scenario.documents) if scenario.documents else None,
        format=form,
        format_share=share,
        input_tokens_median=round(median(inputs)) if inputs else None,
        input_tokens_p95=inputs[round(0.95 * (len(inputs) - 1))] if inputs else None,
        output_tokens_median=round(median(outputs)) if outputs else None,
        instruction_tokens=estimate_tokens(scenario.instruction) if _has_own_instruction(scenario) else None,
    )


def _different(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Leave out the rows that have input, output and document of an earlier one."""
    first: dict[tuple[str, str, str | None], Case] = {}
    for case in cases:
        first.setdefault((normalised(case.input), normalised(case.output), case.context_id), case)
    return tuple(first.values())


def _some(rows: Sequence[Case]) -> Sequence[Case]:
    return draw(rows, 5 * MOST_ROWS, seed=0) if len(rows) > 5 * MOST_ROWS else rows


def _label_set(scenario: Scenario, rows: Sequence[Case]) -> tuple[str, ...]:
    if scenario.kind is Kind.LABELS:
        return scenario.labels or tuple(dict.fromkeys(case.output for case in rows))
    if scenario.kind is not Kind.JSON:
        return ()
    values = [_only_value(case.output) for case in rows]
    labels = [value for value in values if value is not None]
    return tuple(dict.fromkeys(labels)) if len(labels) == len(rows) and labels and closed_set(labels) else ()


def _only_value(output: str) -> str | None:
    """The text of a JSON object with one key, such as {"label": "refund"}."""
    found = json_object(output) or {}
    value = next(iter(found.values()), None)
    return value if len(found) == 1 and isinstance(value, str) else None


def _label_rows(train: Sequence[Case], labels: Sequence[str]) -> list[int]:
    counts = class_counts([replace(case, output=_only_value(case.output) or case.output) for case in train])
    return [counts[label] for label in labels] if train else []


def _classes(rows: Sequence[Case], kind: Kind, *, labels: Sequence[str]) -> int | None:
    """Count the labels; 0 where most outputs are like no other."""
    if labels:
        return len(labels)
    free = kind in (Kind.SHORT_ANSWER, Kind.FREE_TEXT) and len(rows) >= FEWEST_FREE_ROWS
    return 0 if free and 2 * _once(rows) > len(rows) else None


def _once(rows: Sequence[Case]) -> int:
    counts = Counter(normalised(case.output) for case in rows)
    return sum(count == 1 for count in counts.values())


def _repeats(scenario: Scenario) -> tuple[int, int, int]:
    """Give (contradictory inputs, repeated inputs, rows with a repeated input) of train and eval as read."""
    places = Places((scenario.train_file, scenario.train), (scenario.eval_file, scenario.cases))
    by_document = scenario.kind is Kind.SHORT_ANSWER  # as `contradictions` does
    counts = Counter((normalised(place.case.input), place.case.context_id if by_document else None) for place in places)
    repeated = [count for count in counts.values() if count > 1]
    return sum(1 for _ in contradictions(places, scenario.kind)), len(repeated), sum(repeated)


def _answers_in_corpus(
    cases: Sequence[Case], train: Sequence[Case], *, documents: Sequence[Document]
) -> tuple[float | None, float | None]:
    """Give the shares of eval and of training answers that some document holds, in one walk through the documents."""
    if not documents:
        return None, None
    judged = [replace(case, id=f"eval {case.id}") for case in draw(cases, MOST_ANSWERS, seed=0)]
    learned = [replace(case, id=f"train {case.id}") for case in draw(train, MOST_ANSWERS, seed=0)]
    missing = {case.id for case in answerability([*judged, *learned], documents).missing}
    return _found_share(judged, missing), _found_share(learned, missing)


def _found_share(cases: Sequence[Case], missing: set[str]) -> float | None:
    checked = answerability(cases, ()).checked  # those whose answer is a text, not yes or no
    return 1 - sum(case.id in missing for case in cases) / checked if checked else None


def _has_own_instruction(scenario: Scenario) -> bool:
    written = any(one.setting == "instruction" for one in scenario.inferred)
    return bool(scenario.instruction.strip()) and not written


def _format(rows: Sequence[Case], kind: Kind, *, labels: Sequence[str]) -> tuple[str, float | None]:
    """Name the commonest form of the outputs, and the share that has it."""
    if not rows:
        return "", None
    if kind is Kind.JSON:
        keys = _usual_keys(rows)
        fit = sum(_fits(case.output, keys) for case in rows)
        return f"JSON object with the keys {', '.join(sorted(keys))}", fit / len(rows)
    if kind is Kind.LABELS:
        return f"one of {len(labels)} labels", sum(case.output in labels for case in rows) / len(rows)
    form, count = Counter(_shape(case.output) for case in rows).most_common(1)[0]
    return form, count / len(rows)


def _usual_keys(rows: Sequence[Case]) -> set[str]:
    objects = [found for case in rows if (found := json_object(case.output)) is not None]
    counts = Counter(key for found in objects for key in found)
    return {key for key, count in counts.items() if count >= _RARE_KEY * len(objects)}


def _fits(output: str, keys: set[str]) -> bool:
    found = json_object(output)
    return found is not None and set(found) <= keys


def _shape(output: str) -> str:
    if "\n" in output:
        return "several lines"
    if are_numbers([output]):
        return "a number"
    return f"one line of up to {_SHORT_LINE} words" if word_count(output) <= _SHORT_LINE else "one longer line"


# The job


def _task(view: _View) -> Measured | None:
    kind = view.facts.kind
    if view.signs is None or kind is None:
        return None
    if kind is Kind.JSON and not view.labels:
        return _extraction(view, view.signs)
    if view.labels:
        return _classification(view, view.signs)
    return _answering(view, view.signs) or (_writing(view.signs) if kind is Kind.FREE_TEXT else _short(view.signs))


def _classification(view: _View, signs: Signs) -> Measured | None:
    """Labels, unless they are verdicts, choices or counts that answer a question: those take reasons or facts."""
    names = {label.casefold().strip(".()") for label in view.labels}
    answers = names <= _VERDICTS or are_numbers(view.labels) or all(len(name) == 1 for name in names)
    if (answers and signs.asks >= 0.5) or signs.with_document >= 0.5:
        return None
    n = len(view.labels)
    return Measured("task", "classification", f"{_rows(view)} use only {n} different {'label' if n == 1 else 'labels'}")


def _extraction(view: _View, signs: Signs) -> Measured | None:
    if signs.explained is None or signs.explained < CLEAR:
        return None
    where = f"{_percent(signs.explained)} of their values stand in the input or come from a short list"
    return Measured("task", "extraction", f"{_rows(view)} are JSON objects, and {where}")


def _answering(view: _View, signs: Signs) -> Measured | None:
    """Questions whose answers stand in the documents; or numbers that have to be worked out from those of the input."""
    if signs.asks < CLEAR:
        return None
    if _facts_missing(signs):
        return Measured("task", "facts_qa", f"the inputs are questions, and {_held(signs)}")
    given = signs.copied if signs.copied is not None else 1
    if not view.scenario.documents and signs.numbers and signs.reckoning >= CLEAR and given <= RARE:
        counted = f"the answers are numbers, and only {_percent(given)} of them stand among the numbers of the input"
        return Measured("task", "reasoning", counted)
    return None


def _short(signs: Signs) -> Measured | None:
    """A piece of the input that is always the same kind of piece: no question, or always the same."""
    copied = signs.copied or 0
    if copied < CLEAR or RARE < signs.asks < CLEAR or (signs.asks >= CLEAR and signs.one_question < CLEAR):
        return None
    return Measured("task", "extraction", f"{_percent(copied)} of the answers stand in their input word for word")


def _writing(signs: Signs) -> Measured | None:
    """Text made of text or of data; the first that is clear."""
    if signs.code >= CLEAR:
        return Measured("task", "code", f"{_percent(signs.code)} of the outputs begin as program code or a query does")
    if signs.fields >= CLEAR:
        made = f"{_percent(signs.fields)} of the inputs are fields with values, and the outputs are text"
        return Measured("task", "generation", made)
    words = f"an output has {_percent(signs.overlap)} of its words in common with its input"
    if signs.overlap > 0.5 and signs.same_length >= CLEAR:
        return Measured("task", "rewriting", f"typically {words}, at a similar length")
    if signs.input_words >= LONG_INPUT and signs.length_ratio <= 1 / 3 and signs.covered >= GROUNDED:
        shorter = f"the outputs are {_percent(signs.length_ratio)} as long as their inputs"
        return Measured("task", "summarisation", f"{shorter}, and {_percent(signs.covered)} of their words stand there")
    return None


def _gap(view: _View, task: object) -> Measured | None:
    """Facts where documents hold what the inputs do not; form where nothing but the way of answering can be learned."""
    signs = view.signs
    if signs is None or (view.facts.kind is Kind.LABELS and view.scenario.documents):
        return None
    if _facts_missing(signs):
        if view.facts.kind is Kind.JSON:
            return Measured("gap", "both", f"{_held(signs)}, and the outputs are JSON with keys of your own")
        return Measured("gap", "facts", _held(signs))
    if signs.in_corpus is not None and signs.in_corpus > RARE:
        return None
    because = _form(view, task)
    return Measured("gap", "form", because) if because else None


def _form(view: _View, task: object) -> str:
    """Say why it is the form that has to be learned; empty where that is not plain."""
    if task == "classification":
        return f"the answers are {len(view.labels)} labels, and how to use them is a habit, not a fact to look up"
    if task == "extraction" and view.facts.kind is Kind.JSON:
        return "what the JSON says comes from the input or from short lists, so only its form can be new to a model"
    if task in ("rewriting", "generation"):
        return "what the outputs say comes from the inputs, so only the way of writing can be new to a model"
    return ""


def _facts_missing(signs: Signs) -> bool:
    """Whether documents hold the answers and the inputs do not."""
    in_inputs = signs.copied if signs.copied is not None else 1
    return (signs.in_corpus or 0) >= GROUNDED and in_inputs <= RARE and signs.covered < 0.5


def _held(signs: Signs) -> str:
    return (
        f"documents hold {_percent(signs.in_corpus or 0)} of the answers that were looked for, the inputs"
        f" {_percent(signs.copied or 0)}"
    )


def _question_shape(view: _View, task: object) -> Measured | None:
    """One place, where each row names one document and that one holds the answer; otherwise nobody can tell."""
    signs = view.signs
    if signs is None or task != "facts_qa" or signs.with_document < CLEAR or (signs.own_document or 0) < GROUNDED:
        return None
    told = f"the one document that a row names holds {_percent(signs.own_document or 0)} of the answers"
    return Measured("question_shape", "lookup", told)


# Numbers


def _sizes(view: _View) -> Iterator[Measured]:
    scenario, facts = view.scenario, view.facts
    if scenario.train:
        yield Measured("labelled_examples", facts.labelled_rows, _labelled(scenario, facts))
    if scenario.cases or scenario.train:
        yield Measured("eval_examples", facts.eval_examples, _judged(scenario, facts))
    if facts.classes is not None:
        yield Measured("classes", facts.classes, _class_words(facts))
    if facts.corpus_tokens is not None:
        yield Measured("corpus_tokens", facts.corpus_tokens, _corpus_words(facts))
    if facts.input_tokens_median is not None:
        half = f"half of {len(view.rows):,} inputs have about {facts.input_tokens_median:,} tokens or fewer"
        because = f"{half}, nineteen in twenty {facts.input_tokens_p95:,} (estimated)"
        yield Measured("input_tokens", facts.input_tokens_median, because)
    if facts.instruction_tokens is not None:
        because = f"the instruction in scenario.toml has about {facts.instruction_tokens:,} tokens (estimated)"
        yield Measured("instruction_tokens", facts.instruction_tokens, because)


def _labelled(scenario: Scenario, facts: DataFacts) -> str:
    text = f"{_count(facts.labelled_rows, 'row')} of {scenario.train_file}"
    left_out = []
    if facts.leaked_rows:
        left_out.append(f"{facts.leaked_rows:,} more stand in {scenario.eval_file} too")
    if facts.repeated_rows:
        left_out.append(f"{facts.repeated_rows:,} repeat another")
    return f"{text}; {' and '.join(left_out)}, which does not count" if left_out else text


def _judged(scenario: Scenario, facts: DataFacts) -> str:
    if not scenario.cases:
        return f"there is no {scenario.eval_file} beside {scenario.train_file}"
    repeated = len(scenario.cases) - facts.eval_examples
    text = f"{_count(facts.eval_examples, 'row')} of {scenario.eval_file}"
    return f"{text}; {repeated:,} repeat another, which does not count" if repeated else text


def _class_words(facts: DataFacts) -> str:
    if not facts.classes:
        return "more than half of the outputs stand only once, so there is no fixed list"
    labels = "1 label" if facts.classes == 1 else f"{facts.classes:,} labels"
    if facts.labels_per_class_min is None:
        return f"{labels} in use"
    each = f"half of them have {facts.labels_per_class_median:g} training rows or fewer"
    return f"{labels}; {each}, the rarest {facts.labels_per_class_min:,}"


def _corpus_words(facts: DataFacts) -> str:
    text = f"about {facts.corpus_tokens:,} tokens (estimated) in {_count(facts.documents, 'document')}"
    share = facts.eval_answers_in_corpus
    if share is None:
        share = facts.train_answers_in_corpus
    return text if share is None else f"{text}, which hold {_percent(share)} of the answers"


def _label_quality(facts: DataFacts) -> Measured | None:
    """From repeated inputs only, and clean only where there are many of them that are no copy of the whole table."""
    share = facts.contradictory_share
    if share is None:
        return None
    because = f"{facts.contradictory_inputs:,} of {facts.repeated_inputs:,} inputs that stand more than once have"
    because += " different outputs"
    if share >= MIXED_FROM:
        return Measured("label_quality", "noisy" if share >= NOISY_FROM else "mixed", because)
    copied = facts.repeated_input_rows > (facts.labelled_rows + facts.eval_examples) / 2
    return None if copied or facts.repeated_inputs < FEWEST_FOR_CLEAN else Measured("label_quality", "clean", because)


def _consistency(view: _View) -> Measured | None:
    """JSON is written for programs to read; whether labels are, the data do not say."""
    share = view.facts.format_share
    if view.facts.kind is not Kind.JSON or view.signs is None or share is None or share < CLEAR:
        return None
    return Measured("consistency", "strict", f"{_percent(share)} of the outputs are JSON with the same few keys")


def _rows(view: _View) -> str:
    return f"the outputs of {_count(len(view.rows), 'row')}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _percent(share: float) -> str:
    """Never 0 % or 100 % where it is not quite."""
    rounded = min(max(round(100 * share), 1 if share else 0), 100 if share >= 1 else 99)
    return f"{rounded} %"
