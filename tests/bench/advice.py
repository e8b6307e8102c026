"""How good the advice is, on use cases with known outcomes: python -m tests.bench.advice CASES.jsonl [--json]

A case is one JSON object a line: `answers` (the questionnaire's keys; an absent one is unknown), `outcome` (an
approach), `also_acceptable` (list), `group` (cases of one source share it).

strict_top1   the advised approach is the outcome
lenient_top1  it is the outcome or acceptable
top2          one of the two likeliest approaches is the outcome or acceptable
brier         mean over cases of the sum over approaches of (odds - 1 for the outcome, 0 else)^2, 0..2 (Brier 1950)

Nothing is learned from the cases, so there is nothing to cross-validate; the interval is a bootstrap over groups.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.recommend import recommend
from advisor.records import APPROACHES, Value

Odds = dict[str, float]
Predict = Callable[[Mapping[str, Value]], Odds]


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A use case whose outcome is known."""

    id: str
    title: str
    answers: dict[str, Value]
    outcome: str
    acceptable: frozenset[str]
    group: str


def read_cases(path: Path) -> list[KnownCase]:
    """Read a case file."""
    return [_case(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _case(raw: dict) -> KnownCase:
    fine = frozenset((raw["outcome"], *raw.get("also_acceptable", ())))
    title, group = raw.get("title", raw["id"]), raw.get("group", raw["id"])
    return KnownCase(raw["id"], title, raw["answers"], raw["outcome"], fine, group)


def advised(answers: Mapping[str, Value]) -> Odds:
    """The advisor's odds; nothing but what ships."""
    return {one.approach: one.probability for one in recommend(answers).standings}


def one_line(answers: Mapping[str, Value]) -> Odds:
    """The rule that everybody knows, with certainty."""
    if answers.get("gap") in ("facts", "both") or (answers.get("task") == "facts_qa" and "gap" not in answers):
        choice = "rag"
    elif answers.get("gap") == "form" or answers.get("task") in ("classification", "extraction"):
        few = answers.get("labelled_examples")
        choice = "few_shot" if few is not None and int(few) < 300 else "fine_tuning"
    else:
        choice = "prompting"
    return {name: float(name == choice) for name in APPROACHES}


def majority(cases: Sequence[KnownCase]) -> Predict:
    """Always the commonest outcome, with the outcomes' shares as odds (of these very cases: an upper bound)."""
    counts = Counter(case.outcome for case in cases)
    shares = {name: counts[name] / len(cases) for name in APPROACHES}
    return lambda _answers: shares


def ranked(odds: Odds) -> list[str]:
    """Likeliest first; ties to the cheaper approach."""
    return sorted(APPROACHES, key=lambda name: -odds[name])


def scores(cases: Sequence[KnownCase], predict: Predict) -> dict[str, float]:
    """The four figures."""
    found = [(case, predict(case.answers)) for case in cases]
    n = len(found)
    return {
        "strict_top1": sum(ranked(odds)[0] == case.outcome for case, odds in found) / n,
        "lenient_top1": sum(ranked(odds)[0] in case.acceptable for case, odds in found) / n,
        "top2": sum(bool(case.acceptable & set(ranked(odds)[:2])) for case, odds in found) / n,
        "brier": sum(_brier(case, odds) for case, odds in found) / n,
    }


def _brier(case: KnownCase, odds: Odds) -> float:
    return sum((odds[name] - (name == case.outcome)) ** 2 for name in APPROACHES)


def calibration(cases: Sequence[KnownCase]) -> list[dict]:
    """For each band, over all approaches of all cases: how often the approach was the outcome, and mean odds."""
    bands: dict[str, list[tuple[float, bool, bool]]] = {}
    for case in cases:
        for one in recommend(case.answers).standings:
            right = (one.probability, one.approach == case.outcome, one.approach in case.acceptable)
            bands.setdefault(one.band, []).append(right)
    return [
        {
            "band": band,
            "n": len(found),
            "mean_odds": sum(p for p, _, _ in found) / len(found),
            "right": sum(strict for _, strict, _ in found) / len(found),
            "acceptable": sum(lenient for _, _, lenient in found) / len(found),
        }
        for band, found in sorted(bands.items(), key=lambda item: -max(p for p, _, _ in item[1]))
    ]


def confusion(cases: Sequence[KnownCase]) -> dict[str, dict[str, int]]:
    """Outcome -> advised -> cases."""
    table = {name: dict.fromkeys(APPROACHES, 0) for name in APPROACHES}
    for case in cases:
        table[case.outcome][recommend(case.answers).approach] += 1
    return table


def interval(cases: Sequence[KnownCase], *, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of lenient top-1, resampling groups (cases of one source are no independent news)."""
    groups: dict[str, list[bool]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(recommend(case.answers).approach in case.acceptable)
    rng, names, means = random.Random(seed), list(groups), []
    for _ in range(draws):
        drawn = [hit for name in rng.choices(names, k=len(names)) for hit in groups[name]]
        means.append(sum(drawn) / len(drawn))
    means.sort()
    return means[int(0.025 * draws)], means[int(0.975 * draws) - 1]


def evaluate(cases: Sequence[KnownCase]) -> dict:
    """Everything, ready for JSON; the advisor's four figures stand at the top."""
    low, high = interval(cases)
    return {
        "cases": len(cases),
        "groups": len({case.group for case in cases}),
        **scores(cases, advised),
        "lenient_top1_interval": [low, high],
        "baselines": {"majority": scores(cases, majority(cases)), "one_line_rule": scores(cases, one_line)},
        "calibration": calibration(cases),
        "confusion": confusion(cases),
        "misses": [
            {"id": case.id, "title": case.title, "outcome": case.outcome, "advised": recommend(case.answers).approach}
            for case in cases
            if recommend(case.answers).approach not in case.acceptable
        ],
    }


def show(found: dict) -> None:
    """Print as tables."""
    print(f"{found['cases']} cases from {found['groups']} sources\n")
    print(f"{'':16}{'strict':>8}{'lenient':>9}{'top-2':>8}{'Brier':>8}")
    for name, row in (("advisor", found), *found["baselines"].items()):
        print(f"{name:16}{row['strict_top1']:8.2f}{row['lenient_top1']:9.2f}{row['top2']:8.2f}{row['brier']:8.2f}")
    low, high = found["lenient_top1_interval"]
    print(f"\nlenient top-1, 95 % interval over sources: {low:.2f} to {high:.2f}")
    print(f"\n{'band':16}{'n':>5}{'mean odds':>11}{'right':>8}{'acceptable':>12}")
    for row in found["calibration"]:
        print(f"{row['band']:16}{row['n']:5}{row['mean_odds']:11.2f}{row['right']:8.2f}{row['acceptable']:12.2f}")
    print("\noutcome (down), advised (across)")
    print(f"{'':16}" + "".join(f"{name[:9]:>11}" for name in APPROACHES))
    for outcome, row in found["confusion"].items():
        print(f"{outcome:16}" + "".join(f"{row[name]:11}" for name in APPROACHES))
    for miss in found["misses"]:
        print(f"miss: {miss['title']}: advised {miss['advised']}, outcome {miss['outcome']}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = evaluate(read_cases(options.cases))
    print(json.dumps(found, indent=1)) if options.json else show(found)


if __name__ == "__main__":
    main()
