"""How experiments write numbers in sentences."""

import pytest

from harness.experiment.probes.words import LONGEST_CAUSE, about, cause, gap, moved, size
from harness.stats.paired import Interval

UP, DOWN, OPEN = Interval(0.03, 0.01, 0.05), Interval(-0.03, -0.05, -0.01), Interval(-0.03, -0.08, 0.02)


def test_a_difference_is_said_with_its_sign_or_in_words():
    assert gap(OPEN) == "−3 points (−8 to 2)"
    assert size(UP) == gap(UP)
    assert size(DOWN) == gap(UP)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (UP, f"{gap(UP)} more"),
        (DOWN, f"{gap(UP)} less"),
        (OPEN, "no difference shown (−3 points (−8 to 2))"),
        (Interval(0.03, 0.0, 0.06), "no difference shown (3 points (0 to 6))"),
        (Interval(-0.03, -0.06, 0.0), "no difference shown (−3 points (−6 to 0))"),
    ],
)
def test_a_move_is_claimed_only_where_the_interval_leaves_out_zero(found, said):
    assert moved(found) == said
    assert moved(UP, more="ahead") == f"{gap(UP)} ahead"


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "about 10"), (137, "about 140"), (999, "about 1,000"), (1_234, "about 1,200"), (56_789, "about 57,000")],
)
def test_counts_do_not_pretend_to_be_exact(count, said):
    assert about(count) == said


def test_a_cause_is_short_and_has_no_full_stop():
    assert cause("No  such\nfile.") == "No such file"
    assert len(cause("word " * 100)) <= LONGEST_CAUSE
    assert cause("word " * 100).endswith(" …")
