"""Runs made up by hand, one for each kind of verdict, for the tests of the report."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

from harness.records import (
    CONTROL,
    AdviceRelation,
    ArmScore,
    CaseScore,
    Choice,
    Comparison,
    Contradiction,
    Cost,
    LeftOut,
    Passage,
    Prediction,
    Provenance,
    Recipe,
    StoredScenario,
    Trial,
    Verdict,
    VerdictKind,
)
from harness.report.data import ReportData
from harness.scenario import Case, DecisionRule, Inference, RemovedRow

CASES = 40
RULE = DecisionRule(metric="exact_match", margin=0.05)

RIGHT_UP_TO = {"rag_lora": 30, "rag": 22, "lora": 14, "few_shot": 12, "prompt": 10, "dummy": 1}
"""Arm -> number of cases that it gets right, in the winner's run."""

_CITIES = ("Porto", "Lyon", "Graz", "Bergen", "Ghent", "Turku", "Basel", "Cork")


def winner() -> ReportData:
    """RAG + LoRA ahead of everything; one arm left out, one leak removed, one inferred setting."""
    data = _run(RIGHT_UP_TO)
    verdict = _verdict(data, VerdictKind.WINNER, "rag_lora", ("rag_lora",))
    sentences = (
        "RAG + LoRA answers best: 75 % of the questions exactly, against 55 % for RAG, the next best.",
        "The lead of 20 points is larger than the 5 points that count, and chance is an unlikely explanation.",
    )
    found = "an accepted answer stands in 75 % of the answers of RAG + LoRA and in 20 % of those of LoRA."
    advice = AdviceRelation(
        "refuted",
        "rag",
        reasons=("RAG + LoRA beats RAG by 20 points, beyond chance.",),
        contradicted=(Contradiction("gap", "form", "typed", f"The misses are missing facts: {found}"),),
        hypothesis="On the eval set, retrieval (RAG) beats every cheaper approach.",
        date="2026-11-20",
    )
    left_out = (LeftOut("nearest_shots", "asked for only 3 of 40 cases"),)
    return replace(data, verdict=replace(verdict, sentences=sentences, advice=advice, left_out=left_out))


def tie() -> ReportData:
    """Three arms that the data could not tell apart; graded metric; the cheapest is recommended."""
    data = _run({"rag": 31, "few_shot": 30, "prompt": 30, "dummy": 2}, metric="token_f1", graded=True)
    verdict = _verdict(data, VerdictKind.TIE, "prompt", ("rag", "few_shot", "prompt"))
    sentences = (
        "The prompt, few-shot and RAG do the job equally well: no gap of 5 points between them.",
        "Use the prompt: it is the cheapest of the three to run and to change.",
    )
    return replace(data, verdict=replace(verdict, sentences=sentences))


def none_useful() -> ReportData:
    """The best arm misses the target."""
    data = _run({"rag": 4, "prompt": 2, "dummy": 3})
    rule = replace(RULE, target=0.6)
    verdict = _verdict(data, VerdictKind.NONE_USEFUL, None, ("rag", "prompt"))
    sentences = ("None of the arms beats the answer that is the same for every case, so none is recommended.",)
    return replace(data, rule=rule, verdict=replace(verdict, sentences=sentences))


def not_enough_cases() -> ReportData:
    """Twelve cases, where the rule asks for thirty; a quick run."""
    data = _run({"rag": 7, "prompt": 5, "dummy": 0}, cases=12)
    verdict = _verdict(data, VerdictKind.NOT_ENOUGH_CASES, None, ("rag", "prompt"))
    sentences = ("12 cases cannot tell the arms apart; the rule asks for at least 30.",)
    scenario = replace(data.scenario, quick=True, warnings=("eval.jsonl: only 12 cases",))
    return replace(data, scenario=scenario, verdict=replace(verdict, sentences=sentences, cases_needed=240))


def could_not_compare() -> ReportData:
    """No arm answered: no scores, no comparisons, no costs."""
    data = _run({})
    verdict = replace(
        _verdict(data, VerdictKind.COULD_NOT_COMPARE, None, ()),
        sentences=("No arm gave an answer, so there is nothing to compare.",),
        left_out=(LeftOut("prompt", "the model could not be loaded"), LeftOut("rag", "the model could not be loaded")),
    )
    return replace(data, verdict=verdict, costs=(), recipes=())


def failed_arm() -> ReportData:
    """The tuned arm raised on most of its cases; the advice was confirmed all the same."""
    data = _run({"rag": 31, "few_shot": 12, "lora": 4, "dummy": 2})
    broken = {f"q{i:03}" for i in range(CASES) if not 3 <= i < 7}
    scored = tuple(
        replace(one, answer="", failed=True, values=dict.fromkeys(one.values, 0.0))
        if one.arm == "lora" and one.case_id in broken
        else one
        for one in data.case_scores
    )
    made = tuple(
        replace(one, text="", finish="error", error="RuntimeError: the input is longer than the model's window")
        if one.arm == "lora" and one.case_id in broken
        else one
        for one in data.predictions
    )
    scores = _arm_scores(scored, {"rag": 0, "few_shot": 0, "lora": 0, "dummy": 0}, failed={"lora": len(broken)})
    data = replace(data, case_scores=scored, predictions=made, scores=scores)
    verdict = _verdict(data, VerdictKind.WINNER, "rag", ("rag",))
    sentences = (
        "RAG is the best choice: it is significantly better than each of few-shot and LoRA.",
        f"LoRA failed on {len(broken)} of {CASES} cases; each counts as 0.",
    )
    advice = AdviceRelation("confirmed", "rag", hypothesis="On the eval set, retrieval (RAG) wins.", date="2026-11-20")
    return replace(data, verdict=replace(verdict, sentences=sentences, advice=advice))


ALL_KINDS = (winner, tie, none_useful, not_enough_cases, could_not_compare, failed_arm)


def with_text(text: str) -> ReportData:
    """The winner's run with `text` everywhere where a user's or a model's words may come in."""
    data = winner()
    return replace(
        data,
        scenario=replace(
            data.scenario,
            name=text,
            instruction=text,
            framing=text,
            warnings=(text,),
            labels=(text,),
            inferred=(Inference(text, text, text, text),),
            removed=(RemovedRow(text, text, "exact"),),
        ),
        cases=tuple(replace(case, input=text, output=text, references=(f"{text}2",)) for case in data.cases),
        case_scores=tuple(replace(score, answer=text) for score in data.case_scores),
        predictions=tuple(replace(made, text=f"raw {text}", error=text) for made in data.predictions),
        passages={name: replace(one, title=text, text=text) for name, one in data.passages.items()},
        recipes=tuple(
            replace(one, notes=(text,), choices=(Choice(text, text, text, 3, (Trial(text, 0.5),)),))
            for one in data.recipes
        ),
        verdict=replace(data.verdict, sentences=(text,), left_out=(LeftOut(text, text),)),
        provenance=replace(data.provenance, command=text, model=text, input_digests={text: text}),
    )


def large(*, cases: int, arms: int, words: int = 30) -> ReportData:
    """Many cases and arms with texts of some length, all different."""
    names = ("dummy", *(f"arm_{i}" for i in range(1, arms)))
    data = _run({name: cases * i // (2 * arms) for i, name in enumerate(names)}, cases=cases)
    filler = " ".join(f"word{i}" for i in range(words))
    return replace(
        data,
        cases=tuple(replace(case, input=f"{case.input} {filler}") for case in data.cases),
        case_scores=tuple(replace(one, answer=f"{one.arm} {one.case_id} {filler}") for one in data.case_scores),
        verdict=_verdict(data, VerdictKind.TIE, names[1], names[1:3]),
    )


def _run(right: dict[str, int], *, cases: int = CASES, metric: str = "exact_match", graded: bool = False) -> ReportData:
    """A run in which each arm gets its first cases right, shifted a little so that the arms differ."""
    made = tuple(_case(i) for i in range(cases))
    scored = tuple(
        _case_score(i, arm, (i + 3 * place) % cases < count, graded=graded)
        for place, (arm, count) in enumerate(right.items())
        for i in range(cases)
    )
    rule = replace(RULE, metric=metric)
    return ReportData(
        scenario=_scenario(tuple(right), cases),
        rule=rule,
        cases=made,
        verdict=Verdict(VerdictKind.TIE, None, (), metric, rule.margin, rule.alpha, (), (), (), rule.digest),
        scores=_arm_scores(scored, right, failed={"prompt": 2}),
        case_scores=scored,
        predictions=tuple(_prediction(score, i % cases) for i, score in enumerate(scored)),
        passages={f"p{i}": _passage(i) for i in range(len(_CITIES))},
        recipes=tuple(_recipe(arm) for arm in right),
        costs=tuple(_cost(arm, place) for place, arm in enumerate(right)),
        provenance=_provenance(),
    )


def _case(i: int) -> Case:
    city = _CITIES[i % len(_CITIES)]
    return Case(f"q{i:03}", f"In which city is branch {i}?", city, references=(f"{city} (branch {i})",))


def _case_score(i: int, arm: str, right: bool, *, graded: bool) -> CaseScore:
    city = _CITIES[i % len(_CITIES)]
    failed = arm == "prompt" and i in (5, 6) and not right
    answer = "" if failed else city if right else f"I think it is {_CITIES[(i + 1) % len(_CITIES)]}."
    overlap = (0.2 if i % 3 else 0.45) if graded and not failed else 0.0
    value = 1.0 if right else overlap
    values = {"exact_match": float(right), "token_f1": value, "contains": float(right or (i % 9 == 0 and not failed))}
    return CaseScore(f"q{i:03}", arm, answer, failed, values)


def _arm_scores(
    scored: tuple[CaseScore, ...], right: dict[str, int], *, failed: dict[str, int]
) -> tuple[ArmScore, ...]:
    def one(arm: str, metric: str) -> ArmScore:
        values = [score.values[metric] for score in scored if score.arm == arm]
        mean = fmean(values)
        low, high = max(0.0, mean - 0.13), min(1.0, mean + 0.12)
        return ArmScore(arm, metric, mean, low, high, len(values), failed.get(arm, 0))

    return tuple(one(arm, metric) for metric in ("exact_match", "token_f1", "contains") for arm in right)


def _prediction(score: CaseScore, i: int) -> Prediction:
    passages = (f"p{i % len(_CITIES)}", f"p{(i + 1) % len(_CITIES)}") if score.arm.startswith("rag") else ()
    finish = "fixed" if score.arm == "dummy" else "length" if score.arm == "prompt" and i % 13 == 4 else "stop"
    text = f" {score.answer}\n" if i % 5 else f"Answer: {score.answer}\nThat is all."
    return Prediction(score.case_id, score.arm, text, 120, 9, 0.4, passages, finish)


def _passage(i: int) -> Passage:
    city = _CITIES[i]
    return Passage(
        f"p{i}", f"branches-{i}.md", f"Branches in {city}", f"Our branch {i} is in {city}.\nIt opened in 2019."
    )


def _recipe(arm: str) -> Recipe:
    if arm == "dummy":
        return Recipe(arm)
    choice = Choice("framing", "plain", "exact_match", 30, (Trial("plain", 0.4), Trial("list", 0.3667)))
    notes = ("Trained on prompts shaped like retrieval.",) if arm == "rag_lora" else ()
    recipe = Recipe(arm, choices=(choice,) if arm != "prompt" else (), notes=notes)
    if "lora" in arm:
        recipe = replace(recipe, adapter=f"adapters/{arm}", adapter_digest="ab" * 32)
        rates = Choice(
            "learning rate", "0.0004", "minus dev loss", 20, (Trial("0.0002", -1.2345), Trial("0.0004", -0.98))
        )
        recipe = replace(recipe, train_seconds=200.4, train_tokens=51_234, train_examples=180)
        recipe = replace(recipe, choices=(*recipe.choices, rates))
    if arm.startswith("rag"):
        recipe = replace(recipe, k=4, source="documents")
    return replace(recipe, k=3, shots=("t1", "t7", "t9")) if arm == "few_shot" else recipe


def _cost(arm: str, place: int) -> Cost:
    trained = 200.4 if "lora" in arm else 0.0
    if arm == "dummy":
        return Cost(arm, 0.0, 2.0, None, None, 0, 0.0, 0, 0.0)
    return Cost(arm, 612.25 - 90 * place, 7.4, 0.84 + 0.1 * place, 1.4, 20, trained, 51_234, 1480.0 + place)


def _scenario(arms: tuple[str, ...], cases: int) -> StoredScenario:
    return StoredScenario(
        name="branches",
        kind="short_answer",
        instruction="Answer the question with the city's name only.",
        labels=(),
        keys=(),
        arms=arms,
        eval_cases=cases,
        train_examples=180,
        dev_examples=30,
        documents=48,
        max_new_tokens=24,
        framing="plain",
        seed=7,
        inferred=(
            Inference("kind", "short answer", "outputs are 1 to 3 words long", 'kind = "..." in scenario.toml'),
            Inference("margin", "0.05", "the default", "margin = ... under [rule] in scenario.toml"),
        ),
        removed=(
            RemovedRow("t33", "q004", "exact"),
            RemovedRow("t34", "q005", "near duplicate", 0.97123),
        ),
    )


def _verdict(data: ReportData, kind: VerdictKind, arm: str | None, tied: tuple[str, ...]) -> Verdict:
    metric = data.rule.metric
    scores = sorted((one for one in data.scores if one.metric == metric), key=lambda one: -one.value)
    pairs = [
        _comparison(first, second, place)
        for place, (first, second) in enumerate(
            (first, second) for i, first in enumerate(scores) for second in scores[i + 1 :] if len(scores) < 8
        )
    ]
    told = [one for one in scores if one.arm != CONTROL][:2]
    metrics = ("contains", "in_form") if len(told) == 2 else ()
    axes = tuple(replace(_comparison(*told, place), metric=metric) for place, metric in enumerate(metrics))
    return replace(
        data.verdict,
        kind=kind,
        arm=arm,
        tied=tied,
        scores=tuple(scores),
        comparisons=tuple(pairs),
        left_out=(),
        axes=axes,
    )


def _comparison(first: ArmScore, second: ArmScore, place: int) -> Comparison:
    gap = first.value - second.value
    p = 0.0004 if gap > 0.4 else 0.0213 if gap > 0.15 else 0.41
    right_or_wrong = first.metric == "exact_match"
    return Comparison(
        metric=first.metric,
        first=first.arm,
        second=second.arm,
        n=first.n,
        first_failed=first.failed,
        second_failed=second.failed,
        difference=gap,
        low=gap - 0.15,
        high=gap + 0.14,
        low_equivalence=gap - (0.12 if gap > 0.1 else 0.04),
        high_equivalence=gap + (0.12 if gap > 0.1 else 0.02),
        p=p,
        p_adjusted=min(1.0, p * (1 + place % 5)),
        method="exact McNemar" if right_or_wrong else "permutation",
        first_only=round(gap * first.n) + 3 if right_or_wrong else None,
        second_only=3 if right_or_wrong else None,
    )


def _provenance() -> Provenance:
    return Provenance(
        started="2026-03-02T09:15:00Z",
        command="bakeoff run branches",
        versions={"torch": "2.9.0", "transformers": "5.1.0"},
        python="3.11.9",
        platform="Linux x86_64",
        device="cpu",
        dtype="float32",
        threads=2,
        cores=2,
        load_average=0.72,
        memory_total_mb=24_000,
        model="SmolLM2-135M-Instruct",
        model_digest="b1" * 32,
        embedder="all-MiniLM-L6-v2",
        embedder_digest="53" * 32,
        seed=7,
        git_revision="0123abcd",
        input_digests={"eval.jsonl": "aa" * 32, "train.jsonl": "bb" * 32, "corpus.jsonl": "cc" * 32},
        code_digest="cd" * 32,
        peak_memory_mb=1733.0,
        seconds=305.2,
    )
