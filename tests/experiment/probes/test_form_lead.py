"""How much of a lead is form, on constructed answers."""

from dataclasses import dataclass, field

import pytest

from harness.experiment.probes.form import HELD, REPAIRED, FormProbe
from harness.records import Reading
from harness.stats.paired import paired_interval


@dataclass(frozen=True)
class Run:
    """One arm right on the first so many of 100 cases."""

    arm: str
    right: int
    cases: tuple = ()

    def values(self, metric):
        return {str(i): float(i < self.right) for i in range(100)}


@dataclass
class Constructed:
    """Stands for the stored evidence: arms as they ran, and held to the form."""

    main: dict
    held: dict
    metric: str = "accuracy"
    is_share: bool = True
    seconds: float = 0.0
    repaired: dict = field(default_factory=dict)

    def of(self, condition):
        return {HELD: self.held, REPAIRED: self.repaired}[condition]

    def difference(self, first, second):
        return paired_interval([first[name] - second[name] for name in first], alpha=0.05, resamples=999)

    def reading(self, one):
        return Reading(one.arm, "", self.metric, one.right / 100, 0.0, 1.0, n=100)

    def failures(self):
        return ()


CASES = tuple(type("Named", (), {"id": str(i)})() for i in range(100))


def finding(free, held):
    main, bound = ({arm: Run(arm, n, CASES) for arm, n in found.items()} for found in (free, held))
    return FormProbe().finding(Constructed(main, bound))


@pytest.mark.parametrize(
    ("free", "held", "said"),
    [
        ({"prompt": 60, "lora": 62}, {"prompt": 60, "lora": 62}, "No lead of tuning is shown as run"),
        ({"prompt": 30, "lora": 70}, {"prompt": 85, "lora": 70}, "tuning is behind: its lead was form."),
        ({"prompt": 30, "lora": 70}, {"prompt": 35, "lora": 70}, "of the lead is form; the rest is not."),
        ({"prompt": 20, "lora": 80}, {"prompt": 65, "lora": 80}, "of the lead is form; something is left."),
        ({"prompt": 30, "lora": 70}, {"prompt": 70, "lora": 70}, "Held to the form no lead is shown: about 100 %"),
    ],
)
def test_what_is_left_of_a_lead_is_said(free, held, said):
    found = finding(free, held)
    assert said in found.bearing[0]
    assert found.bearing[0].startswith("LoRA against the best untuned arm: ")
    assert found.sentences[0] == found.bearing[0]
    assert len(found.readings) == 2 * len(free)


def test_the_rival_is_the_best_untuned_arm_of_each_condition():
    found = finding({"prompt": 40, "rag": 30, "lora": 80}, {"prompt": 40, "rag": 60, "lora": 80})
    assert "as run (the plain prompt)" in found.bearing[0]
    assert "held to the form (RAG, 60 %)" in found.bearing[0]


def test_without_a_tuned_or_an_untuned_arm_there_is_no_lead_to_explain():
    assert finding({"prompt": 40, "rag": 30}, {"prompt": 40, "rag": 60}).bearing == ()
    assert finding({"lora": 40}, {"lora": 60}).bearing == ()
