"""Who takes which rows: all of them once, and as many passes for everybody."""

import pytest

from harness.tuning.examples import Row
from harness.tuning.team import ALONE, Team


def cut(rows):
    """Parts of two rows."""
    return [list(rows[i : i + 2]) for i in range(0, len(rows), 2)]


def rows_of(count):
    return [Row((n,), (n,)) for n in range(count)]


@pytest.mark.parametrize(("count", "size"), [(16, 2), (7, 2), (1, 2), (5, 4), (2, 4), (9, 3)])
def test_each_row_weighs_as_the_average_over_the_team_needs_it(count, size):
    rows = rows_of(count)
    shares = [Team(rank, size).shared(rows, cut) for rank in range(size)]
    assert len({len(share) for share in shares}) == 1
    weights = dict.fromkeys(rows, 0.0)
    for share in shares:
        for part, weight in share:
            for row in part:
                weights[row] += weight / size
    assert set(weights.values()) == {1.0}


def test_one_alone_takes_all_as_they_are_cut():
    rows = rows_of(5)
    assert ALONE.shared(rows, cut) == [(part, 1.0) for part in cut(rows)]
    assert ALONE.summed(0.25, 3) == (0.25, 3)
    assert ALONE.told("x") == "x"
