"""Where answers may end, and what they are held to."""

import json
from dataclasses import replace

import pytest
from fakes import FakeModel, tiny_bench, tiny_scenario

from harness.arms.base import Request
from harness.experiment.latency import timed_request
from harness.records import Recipe
from harness.scenario import Case, Kind

ROWS = tuple(Case(str(n), f"Text {n}", json.dumps({"queue": "a", "n": n})) for n in range(20))
HELD = replace(tiny_scenario(documents=False), kind=Kind.JSON, cases=ROWS[:4], train=ROWS[4:], keys=("queue", "n"))


def test_answers_are_held_to_the_schema_that_was_given_and_else_to_one_of_the_examples():
    given = tiny_bench(replace(HELD, held_to_schema=True, schema='{"type": "object"}')).stop
    made = tiny_bench(replace(HELD, held_to_schema=True)).stop
    assert given.schema == '{"type": "object"}'
    assert set(json.loads(made.schema)["properties"]) == {"queue", "n"}
    assert given.name.startswith("held to schema ")
    assert given.name != made.name, "answers held to another schema are not taken from the cache"
    assert tiny_bench(HELD).stop.schema == ""


@pytest.mark.parametrize(("second", "tokens"), [("yes", 2), ("maybe so", 3)])
def test_the_time_of_a_request_has_its_repair_in_it(second, tokens):
    scenario = replace(tiny_scenario(documents=False), kind=Kind.LABELS, labels=("yes", "no"), repair=True)
    model = FakeModel(canned={"That answer cannot be used": second}, default="perhaps")
    bench = tiny_bench(scenario, model=model)

    class Plain:
        name = "plain"

        def requests(self, recipe, cases, *, bench, fresh=False):
            return [Request() for _ in cases]

    sample = timed_request(Plain(), Recipe("plain"), scenario.cases[0], bench=bench)
    assert sample.tokens_out == tokens
    assert len(model.jobs) == 2
    once = tiny_bench(replace(scenario, repair=False), model=model)
    alone = timed_request(Plain(), Recipe("plain"), scenario.cases[0], bench=once)
    assert alone.tokens_out == 1
    assert sample.tokens_in > 2 * alone.tokens_in, "the second request repeats the first"
