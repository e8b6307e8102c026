"""What is likely personal or secret is found, what only looks so is not, and examples give nothing away."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from harness.audit.personal import (
    Piece,
    Sensitive,
    document_pieces,
    masked,
    masked_example,
    personal_problems,
    row_pieces,
    sensitive,
)
from harness.scenario import Case, Document

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA7Zk3\n" * 6 + "-----END RSA PRIVATE KEY-----"

PLANTED = [
    ("write to jane.doe+x@mail.example.co.uk, please", "write to [email], please"),
    ("<o'brien@firm.example>", "<o'[email]>"),
    ("+44 20 7946 0958", "[phone]"),
    ("+44 7700 900123", "[phone]"),
    ("ring +1 (202) 555-0123 now", "ring [phone] now"),
    ("(212) 555-0123", "[phone]"),
    ("212-555-0123", "[phone]"),
    ("Tel.: 030 1234567", "Tel.: [phone]"),
    ("mobile 07700 900123", "mobile [phone]"),
    ("0049 30 1234567", "[phone]"),
    ("card 4111 1111 1111 1111.", "card [card]."),
    ("5555555555554444", "[card]"),
    ("3782 822463 10005", "[card]"),
    ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [iban]"),
    ("GB29NWBK60161331926819 is mine", "[iban] is mine"),
    ("SSN 536-90-4399", "SSN [id number]"),
    ("AB123456C", "[id number]"),
    ("RSSMRA85T10A562S", "[id number]"),
    ("DNI 54362315K", "DNI [id number]"),
    ("CPF 390.533.447-05", "CPF [id number]"),
    ("NHS number: 943 476 5870", "NHS number: [id number]"),
    ("BSN 111222333", "BSN [id number]"),
    ("password: hunter2secret!", "password: [secret]"),
    ("my password is Sommer2024!", "my password is [secret]"),
    ("api_key = 'a1b2c3d4e5f6'", "api_key = '[secret]'"),
    ("AWS AKIAIOSFODNN7EXAMPLE", "AWS [secret]"),
    (f"Bearer {JWT}", "Bearer [secret]"),
    ("https://user:pa55word@host.example/x", "https://user:[secret]/x"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[secret]"),
    ("token sk-proj-abcdefghijklmnop1234567890", "token [secret]"),
    (f"key:\n{PRIVATE_KEY}\nend", "key:\n[secret]\nend"),
]

HARMLESS = [
    "order 4111 1111 1111 1112 of 2024-05-06",  # the check digit is wrong
    "DE89 3704 0044 0532 0130 01",
    "version 10.12.2024, ticket 123-45-6789012, ISBN 978-3-16-148410-0",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "id 123e4567-e89b-12d3-a456-426614174000",
    "git@github.com:owner/name.git",
    "the year 1984 and 3,141,592 people at 51.5074, -0.1278",
    "Enter your password: it has at least eight characters.",
    "price: 12345678 EUR",
    "@handle on the forum, a@b",
    "0123456789" * 3,
    "",
]


@pytest.mark.parametrize(("text", "expected"), PLANTED)
def test_what_is_planted_is_masked(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_so_stays(text):
    assert masked(text) == text


def test_a_masked_text_holds_nothing_more_to_mask():
    for text, _ in PLANTED:
        assert masked(masked(text)) == masked(text)


def test_hits_are_in_order_and_apart():
    text = "\n".join(text for text, _ in PLANTED)
    hits = sensitive(text)
    assert len(hits) >= len(PLANTED)
    assert all(first.end <= second.start for first, second in pairwise(hits))


@pytest.mark.parametrize(("text", "_expected"), PLANTED)
def test_an_example_shows_its_owner_and_nobody_else_what_it_is(text, _expected):
    for hit in sensitive(text):
        shown, found = masked_example(text, hit), text[hit.start : hit.end]
        assert found not in shown
        kept = [part for part in shown.split(" (")[0].replace("@", "…").replace(".", "…").split("…") if len(part) > 3]
        assert not [part for part in kept if part != found.rsplit(".", 1)[-1]]


def test_rows_are_counted_by_kind_with_places():
    rows = [Case("1", "mail a.b@c.example", "no", line=1), Case("2", "no", "x@y.example z@y.example", line=2)]
    [problem] = personal_problems(row_pieces(rows), file="train.jsonl", what="row")
    assert str(problem) == (
        "train.jsonl:1: 3 likely e-mail addresses in 2 of 2 rows, such as a…@c….example (line 1), x…@y….example "
        "(line 2), z…@y….example (line 2); a model that learns or reads them can repeat them: take them out or mask "
        "them"
    )


def test_documents_are_named_and_secrets_are_to_be_changed():
    documents = [Document("a.txt", "A", "nothing", "corpus/a.txt"), Document("b.txt", "B", JWT, "corpus/b.txt")]
    [problem] = personal_problems(document_pieces(documents), file="corpus.jsonl", what="document")
    assert (problem.file, problem.level) == ("corpus/b.txt", "warning")
    assert "1 likely password, key or token in 1 of 2 documents, such as ey… (" in problem.message
    assert problem.message.endswith("take them out, and change those that are real")


def test_of_a_large_corpus_some_documents_are_looked_at():
    documents = [Document(str(n), "", "x" * 1_000_000, "corpus.jsonl") for n in range(40)]
    assert len(document_pieces(documents)) == 10


@pytest.mark.parametrize(
    "text", ["a" * 300_000, "1 " * 200_000, "a.b-c@" * 60_000, "x1" * 150_000, "-----BEGIN " * 30_000]
)
def test_long_texts_take_no_more_than_their_length(text):
    sensitive(text)  # with a pattern that looks back over what it has read this would take hours


def test_the_scenarios_that_come_with_the_project_raise_no_alarm():
    files = sorted((Path(__file__).parents[2] / "scenarios").glob("*/*.jsonl"))
    texts = [
        str(value)
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        for value in json.loads(line).values()
    ]
    assert len(texts) > 1000
    assert not [text for text in texts if any(hit.kind is not Sensitive.PHONE for hit in sensitive(text))]


def test_a_piece_says_where_it_stands():
    assert row_pieces([Case("t1", "a", "b")])[0] == Piece("a\nb", "t1")
