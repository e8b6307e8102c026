"""Choosing on dev: all options in one go, the worse half dropped early, the first of equals taken."""

from dataclasses import replace

from fakes import FakeModel, tiny_bench

from harness.scenario import Case

CASES = tuple(Case(f"c{k}", f"case {k}", "yes") for k in range(30))


class Scripted(FakeModel):
    """A prompt says itself how it is answered."""

    def reply(self, prompt):
        return prompt.split("|")[1]


def bench():
    return tiny_bench(model=Scripted())


def prompts(**shares):
    """For each option a prompt a case; the first so many of every ten are answered rightly."""
    return {
        n: [f"{n} {i}|{'yes' if i % 10 < share else 'no'}" for i in range(len(CASES))] for n, share in shares.items()
    }


def test_the_option_that_scores_best_is_taken():
    choice = bench().contest("x", prompts(a=2, b=8, c=5), cases=CASES)
    assert (choice.chosen, choice.n) == ("b", 30)


def test_the_first_of_equals_is_taken():
    assert bench().contest("x", prompts(a=5, b=5, c=5), cases=CASES).chosen == "a"


def test_the_worse_half_is_tried_on_a_third_of_the_cases_only():
    made = bench()
    choice = made.contest("x", prompts(a=0, b=10, c=9, d=1), cases=CASES)
    assert {trial.value: trial.n for trial in choice.tried} == {"a": 10, "b": 0, "c": 0, "d": 10}
    assert sum(len(batch) for batch in made.model.answered) == 4 * 10 + 2 * 20


def test_what_equals_the_last_one_kept_is_kept_too():
    choice = bench().contest("x", prompts(a=5, b=5, c=5, d=0), cases=CASES)
    assert [trial.n for trial in choice.tried] == [0, 0, 0, 10]


def test_two_options_or_few_cases_are_tried_in_full():
    assert [t.n for t in bench().contest("x", prompts(a=0, b=9), cases=CASES).tried] == [0, 0]
    few = {name: made[:20] for name, made in prompts(a=0, b=9, c=1).items()}
    assert [t.n for t in bench().contest("x", few, cases=CASES[:20]).tried] == [0, 0, 0]


def test_all_options_are_asked_in_one_go():
    made = bench()
    made.contest("x", prompts(a=0, b=9), cases=CASES)
    assert len(made.model.jobs) == 1


def test_an_option_that_fails_counts_as_wrong():
    class Failing(Scripted):
        def reply(self, prompt):
            if prompt.startswith("a"):
                raise RuntimeError("broken")
            return super().reply(prompt)

    made = replace(bench(), model=Failing())
    assert made.contest("x", prompts(a=10, b=1), cases=CASES).chosen == "b"
