"""Words of any script."""

import pytest

from harness.retrieval.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What's the EC2 limit?", ["what", "s", "the", "ec2", "limit"]),
        ("Größe, ÄPFEL!", ["grösse", "äpfel"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Привет, мир", ["привет", "мир"]),
        ("東京", ["東", "京"]),
        ("in 東京 today", ["in", "東", "京", "today"]),
        ("iPhone用", ["iphone", "用"]),
        ("ﬁne １２", ["fine", "12"]),
        ("", []),
        (" …!", []),
    ],
)
def test_words_are_folded_and_bare_and_characters_where_nothing_parts_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("東京都", ["東京", "京都"]), ("東", ["東"]), ("one two", ["one", "two"])]
)
def test_runs_of_characters_where_they_are_asked_for(text, expected):
    assert words(text, width=2) == expected
