"""The picture of cost against volume."""

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import hypothesis.strategies as st
import pytest
from hypothesis import given

from advisor.costs import cost_of
from advisor.prices import read_prices
from advisor.records import APPROACHES
from advisor.render.chart import COLOURS, apart, cost_chart_svg

NAMES = {approach: f"The {approach.replace('_', ' ')} way" for approach in APPROACHES}
COSTS = cost_of({"task": "classification", "requests_per_day": 40_000, "gap": "form"}, prices=read_prices(None))


def svg(costs=COSTS, names=NAMES, advised="fine_tuning", runner_up="prompting"):
    return cost_chart_svg(costs, names=names, advised=advised, runner_up=runner_up)


def words(picture):
    return [element.text for element in ET.fromstring(picture).iter() if element.tag.endswith("}text")]


def in_one_line(picture):
    return " ".join(word for word in words(picture) if word)


def test_the_same_costs_give_the_same_bytes():
    assert svg() == svg()


def test_the_file_does_not_tell_when_or_with_what_it_was_drawn():
    assert "<metadata>" not in svg()
    assert "Matplotlib" not in svg()


def test_each_line_has_its_name_and_its_own_colour():
    picture = svg()
    assert set(NAMES.values()) <= set(words(picture))
    assert len(set(COLOURS.values())) == len(APPROACHES)
    assert all(colour.lower() in picture.lower() for colour in COLOURS.values())


def test_the_asked_volume_is_named():
    assert "this use case: 40,000 a day" in words(svg())


def test_the_break_even_of_the_advised_and_the_runner_up_is_said():
    even = next(one for one in COSTS.break_evens if {one.first, one.second} == {"fine_tuning", "prompting"})
    assert even.requests_per_day
    assert even.text in in_one_line(svg())
    assert even.text not in in_one_line(svg(runner_up=None))


@pytest.mark.parametrize("advised", APPROACHES)
def test_each_break_even_of_the_advised_is_marked(advised):
    volumes = [one.requests_per_day for one in COSTS.break_evens if advised in (one.first, one.second)]
    inside = [one for one in volumes if one and 10 <= one <= 1e6]
    assert svg(advised=advised, runner_up=None).count("<use ") == len(inside) + ticks()


def test_the_break_even_with_the_runner_up_is_marked_beside_its_sentence_too():
    assert svg().count("<use ") == svg(runner_up=None).count("<use ") + 1


def ticks():
    """Marks that every picture has."""
    nothing = replace(COSTS, break_evens=())
    return svg(nothing, runner_up=None).count("<use ")


def test_screen_readers_get_a_title_and_the_numbers():
    root = ET.fromstring(svg())
    assert root.get("role") == "img"
    named = {
        element.get("id"): element.text for element in root if element.get("id") in root.get("aria-labelledby").split()
    }
    assert len(named) == 2
    assert "At 40,000 requests a day: The prompting way" in named["cost-description"]
    assert "Advised: The fine tuning way." in named["cost-description"]


def test_names_are_text_and_never_markup_or_formulae():
    odd = {**NAMES, "rag": "<b>R&D</b> $x_1$ \\frac"}
    assert odd["rag"] in words(svg(names=odd, advised="rag"))


@pytest.mark.parametrize(
    "answers",
    [
        {"requests_per_day": 0},
        {"requests_per_day": 1},
        {"requests_per_day": 3_000_000_000, "privacy": "on_premises"},
        {"requests_per_day": 300, "privacy": "on_premises", "input_tokens": 9000},
        {"input_tokens": 200_000, "task": "summarisation"},
    ],
)
@pytest.mark.parametrize("advised", ["prompting", "rag_fine_tuning"])
def test_labels_never_overlap_and_nothing_leaves_the_picture(answers, advised):
    picture = svg(cost_of(answers, prices=read_prices(None)), advised=advised, runner_up="few_shot")
    heights = sorted(height for name, height in text_heights(picture) if name in NAMES.values())
    assert len(heights) == len(APPROACHES)
    assert all(later - earlier > 11 for earlier, later in pairwise(heights))
    assert heights[0] > 0
    assert heights[-1] < 352.8


def text_heights(picture):
    for element in ET.fromstring(picture).iter():
        if element.tag.endswith("}text"):
            place = re.search(r"translate\(\S+ (\S+)\)", element.get("transform", ""))
            yield element.text, float(place.group(1) if place else element.get("y", 0))


def test_free_of_charge_can_be_drawn_too():
    free = read_prices(None)
    figures = {name: 1.0 if "speed" in name or "peak" in name else 0.0 for name in free.figures}
    assert "this use case" in svg(cost_of({}, prices=type(free)(free.date, "USD", figures)))


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5).map(sorted))
def test_labels_are_moved_apart_in_order_and_stay_inside(places):
    moved = apart(places, gap=0.1)
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in pairwise(moved))
    assert moved[0] >= -1e-9
    assert moved[-1] <= 1


def test_labels_with_room_stay_where_they_are():
    assert apart([0.1, 0.3, 0.5], gap=0.1) == [0.1, 0.3, 0.5]
