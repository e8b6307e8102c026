"""The price table that comes with the product, and what is said about a user's own."""

import tomllib

import pytest

from advisor.costs import cost_of
from advisor.errors import AnswerProblems, UserError
from advisor.prices import default_prices_text, read_prices


@pytest.fixture
def written(tmp_path):
    """Write a price table; its path."""

    def write(content):
        path = tmp_path / "prices.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def problems_of(path):
    with pytest.raises(AnswerProblems) as caught:
        read_prices(path)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


# ---- the table that comes with the product


def test_the_printed_table_given_back_changes_nothing(written):
    assert read_prices(written(default_prices_text())) == read_prices(None)


def test_every_figure_says_where_it_comes_from():
    section, figures = "", 0
    for line in default_prices_text().splitlines():
        section = line.split("]")[0] if line.startswith("[") else section
        if "=" in line and not line.startswith("#"):
            figures += 1
            plain = section == "[people" or line.startswith(("hours", "passage_tokens"))
            assert "#" in line or plain, f"{section}] {line} has no comment"
    assert figures == len(read_prices(None).figures) + 2


@pytest.mark.parametrize(
    ("anchor", "figure", "expected"),
    [
        ("Manus: a million tokens cost 3.00 uncached", "tokens.frontier_in", 3.00),
        ("Manus: and 0.30 cached", "tokens.cached_ratio", 0.30 / 3.00),
        ("contextual retrieval: 1.02 a million tokens of documents", "retrieval.context", 1.02),
        ("worked example of the evidence base: 0.30 a label", "labels.category", 0.30),
        ("Ray's example: 3.5M tokens in 14 minutes on 16 A10G", "tuning.gpu_speed", 3.5e6 / (14 * 60 * 16)),
        ("Roots Automation: an A100 for 30,000 a year", "hosting.medium_hour", 30_000 / 8760),
        ("Airtrain: an L4 for 515 a month", "hosting.small_hour", 515 / 730),
    ],
)
def test_figures_agree_with_their_published_anchors(anchor, figure, expected):
    assert read_prices(None)[figure] == pytest.approx(expected, rel=0.02), anchor


def test_a_tuned_system_costs_as_much_more_to_build_as_in_amazons_ladder():
    prices = read_prices(None)
    ladder = (120 + 180) / (50 + 80)
    assert prices["people.fine_tuning_once"] / prices["people.prompting_once"] == pytest.approx(ladder, rel=0.01)


def test_the_date_is_the_tables_own():
    assert read_prices(None).date == str(tomllib.loads(default_prices_text())["meta"]["date"])


# ---- a user's own table


def test_a_users_lines_are_laid_over_the_default(written):
    prices = read_prices(written("[people]\nday = 640\n"))
    assert prices["people.day"] == 640
    assert prices.figures == {**read_prices(None).figures, "people.day": 640.0}


@pytest.mark.parametrize("day", ['"2027-02-03"', "2027-02-03"])
def test_the_users_date_may_be_text_or_a_date(written, day):
    assert read_prices(written(f"[meta]\ndate = {day}\n")).date == "2027-02-03"


def test_a_byte_order_mark_does_no_harm(written):
    assert read_prices(written(b"\xef\xbb\xbf[people]\nday = 1\n"))["people.day"] == 1


def test_an_empty_file_changes_nothing(written):
    assert read_prices(written("")) == read_prices(None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[tokens]\nfrontier_inn = 1\n", 'unknown price "tokens.frontier_inn", did you mean "tokens.frontier_in"?'),
        ("[token]\nfrontier_in = 1\n", 'unknown section "token", did you mean "tokens"?; there are meta, tokens, '),
        ("day = 3\n", '"day" stands outside any section; write it below [tokens], [people] or another one'),
        ('[people]\nday = "800"\n', 'people.day must be a number; got "800"'),
        ("[people]\nday = true\n", "people.day must be a number; got true"),
        ("[people.day]\nday = 1\n", "people.day must be a number; got a table"),
        ("[people]\nday = -1\n", "people.day must be from 0 to 1,000,000,000; got -1"),
        ("[people]\nday = nan\n", "people.day must be from 0 to 1,000,000,000; got nan"),
        ("[people]\nday = inf\n", "people.day must be from 0 to 1,000,000,000; got inf"),
        (f"[people]\nday = 1{'0' * 400}\n", "people.day must be from 0 to 1,000,000,000; got a number of more than"),
        ("[labels]\noverlap = 20\n", "labels.overlap must be from 0 to 1; got 20"),
        ("[hosting]\nsmall_speed = 0\n", "hosting.small_speed must be at least 0.01; got 0"),
        ('[meta]\ndate = "soon"\n', 'meta.date must be a date such as "2026-11-25"; got "soon"'),
        ('[meta]\ncurrency = ""\n', 'meta.currency must be a currency such as "EUR"; got ""'),
        ("[meta]\ncurrency = 3\n", 'meta.currency must be a currency such as "EUR"; got 3'),
        ("[meta]\ndat = 3\n", 'unknown line "meta.dat", did you mean "meta.date"?'),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(written, content, problem):
    found = problems_of(written(content))
    assert found[0].startswith(problem)


def test_all_problems_are_listed_at_once(written):
    found = problems_of(written('day = 1\n[tokens]\nsmal_in = 1\nsmall_in = "x"\n[labels]\nlabel = 1\ntext = -2\n'))
    assert len(found) == 5


def test_amounts_in_two_currencies_are_not_mixed(written):
    (problem,) = problems_of(written('[meta]\ncurrency = "EUR"\n[people]\nday = 700\n'))
    assert problem.startswith(
        'meta.currency is "EUR", so every amount must be given in it, but these are still in USD:'
    )
    assert "tokens.frontier_in" in problem
    assert "people.day" not in problem
    assert "hosting.small_speed" not in problem


def test_a_whole_table_in_another_currency_is_taken(written):
    prices = read_prices(written(default_prices_text().replace('"USD"', '"EUR"')))
    assert cost_of({}, prices=prices).currency == "EUR"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[people]\nday = \n", r"is no TOML: Invalid value \(at line 2"),
        ("[people]\nday = 1\nday = 2\n", r"is no TOML: .*line 3"),
        (f"[people]\nday = {'9' * 5000}\n", "is no TOML"),
        ("a = " + "[" * 100_000, "is no TOML"),
        ("[people]\nday = 1".encode("utf-16"), "is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_toml_is_said_with_its_line(written, content, message):
    with pytest.raises(UserError, match=message):
        read_prices(written(content))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(UserError, match=r"none\.toml cannot be read \(No such file or directory\); expected a price"):
        read_prices(tmp_path / "none.toml")
