"""How much is lost by asking little: python -m tests.bench.interview [--people N]

Draws people with complete answers from what is usual (`advisor/knowledge/usual.toml`), interviews each, and compares
the advice after the few questions with the advice on all answers. Prints the share that agree, the odds that the full
answers give to the early advice, and how many questions were put.
"""

from __future__ import annotations

import argparse
from statistics import fmean, quantiles

from advisor.answers import combine
from advisor.interview import Action, Given, interview
from advisor.questionnaire import load_questionnaire
from advisor.recommend import WORLDS, recommend, worlds_for
from advisor.rules import load_knowledge


class Person:
    """Knows every answer."""

    def __init__(self, answers):
        self._answers = answers

    def ask(self, question, place):
        """Answer."""
        return Given(self._answers[question.key])

    def enough(self, place, because):
        """Take the advice."""
        return Action.STOP

    def settle(self, question, conflict):
        """Never needed: nothing is measured."""
        return True


def people(n):
    """Complete sets of answers, evenly spread over the worlds."""
    known, worlds = load_knowledge(), worlds_for({}, load_knowledge())
    for place in range(0, WORLDS, max(1, WORLDS // n)):
        yield {key: _value(key, int(worlds.codes[key][place])) for key in known.usual_keys}


def _value(key, code):
    values = load_questionnaire().question(key).values
    return values[code] if values else code


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=128)
    same, asked, left = [], [], []
    for answers in people(parser.parse_args().people):
        outcome = interview(combine(), Person(answers), keep=lambda _answers: None)
        early, full = recommend(outcome.answers.values), recommend(answers)
        same.append(early.approach == full.approach)
        asked.append(outcome.asked)
        left.append(full.standing(early.approach).probability / full.standing(full.approach).probability)
    low, middle, high = quantiles(asked, n=4)
    print(f"{len(same)} people: the early advice is the full one in {fmean(same):.0%}")
    print(f"questions: mean {fmean(asked):.1f}, quartiles {low:.0f} {middle:.0f} {high:.0f}, most {max(asked)}")
    print(f"odds of the early advice over the best one's, on all answers: mean {fmean(left):.2f}")


if __name__ == "__main__":
    main()
