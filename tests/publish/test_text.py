import pytest

from harness.publish.text import joined, one_line, shortened, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("bell\x07 nul\x00 del\x7f", "bell␇ nul␀ del␡"),
        ("a\r\nb\rc", "a\nb␍c"),
        ("csi\x9b1m", "csi<U+009B>1m"),
        ("right\u202eleft", "right<U+202E>left"),
        ("isolate\u2066x", "isolate<U+2066>x"),
        ("lone \ud800", "lone \ufffd"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("שלום مرحبا 👩‍💻", "שלום مرحبا 👩‍💻"),
    ],
)
def test_characters_that_act_are_shown_as_signs_and_all_others_stay(text, shown):
    assert visible(text) == shown


def test_a_line_break_is_shown_where_only_one_line_fits():
    assert one_line("  first \n  second\tword\n") == "first ⏎ second word"


def test_a_long_text_says_how_much_is_missing():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("a" * 1500, 5) == "aaaaa … [1,495 more characters]"


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_names_are_joined_as_in_a_sentence(names, text):
    assert joined(names) == text
