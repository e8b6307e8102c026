"""What the error rate of the rule does not cover in a run: earlier looks at the same cases, luck of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.experiment.score import FurtherSeeds
from harness.experiment.wording import listed, name_of
from harness.publish import numbers
from harness.records import Look
from harness.store import RunFolder

LOOKS = "looks.json"


def cautions(folder: RunFolder, *, arms: tuple[str, ...], seeds: FurtherSeeds) -> tuple[str, ...]:
    """One sentence for each; `arms` are those that the verdict compares."""
    trained = {recipe.arm for recipe in folder.recipes() if recipe.adapter}
    runs = {arm: 1 + len(seeds.get(arm, ())) for arm in arms if arm in trained}
    return (*_looks(folder), *_luck(runs, wanted=folder.scenario().seeds))


def _looks(folder: RunFolder) -> Iterator[str]:
    """Simulated with two equal arms and exact McNemar: one look at 60 cases calls a false winner in 3 % of trials,
    looks at 60, 120 and 240 cases in 8 %, five looks up to 300 cases in 10 %."""
    looks = folder.read(LOOKS, tuple[Look, ...]) if folder.has(LOOKS) else ()
    if not looks:
        return
    before = "One verdict was" if len(looks) == 1 else f"{len(looks)} verdicts were"
    first = looks[0]
    yield (
        f"{before} drawn from these cases before (the first from {first.cases:,} cases on {first.created[:10]}). The "
        f"error rate of {numbers.rate(folder.rule().rule.alpha)} is that of one look; by simulation three looks at "
        "growing numbers of cases call a false winner two to three times as often as one. Where it matters, confirm "
        "the verdict on cases that nobody has seen."
    )


def _luck(runs: Mapping[str, int], *, wanted: int) -> Iterator[str]:
    once = [name_of(arm) for arm, count in runs.items() if count == 1]
    twice = [name_of(arm) for arm, count in runs.items() if count == 2]
    asked = f" ({wanted} seeds were asked for)" if wanted > 2 else ""
    if once:
        was = "was" if len(once) == 1 else "were each"
        yield (
            f"{_upper(listed(once))} {was} trained from one seed{asked if wanted > 1 else ''}: intervals and p values "
            "allow for the choice of cases, not for the luck of training."
        )
    if twice:
        was = "was" if len(twice) == 1 else "were each"
        yield (
            f"{_upper(listed(twice))} {was} trained from two seeds{asked}, too few to know the luck of training: by "
            "simulation equal arms are then told apart in up to 9 % of trials instead of 5 %."
        )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
