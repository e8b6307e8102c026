"""A redacted report holds nothing personal, in any format; everything else of it stays."""

import re
import zipfile
from dataclasses import replace
from types import MappingProxyType

import builders
import pytest
from pypdf import PdfReader

from harness.lines import AllOf
from harness.publish.write import FORMATS
from harness.records import Passage
from harness.report.redact import all_redacted, redacted
from harness.report.write import Form, write_reports
from harness.score_table import table_of

SENSITIVE = {
    "mail": ("jane.doe@firm.example", "[email]"),
    "phone": ("+44 20 7946 0958", "[phone]"),
    "card": ("4111 1111 1111 1111", "[card]"),
    "iban": ("DE89 3704 0044 0532 0130 00", "[iban]"),
    "id": ("536-90-4399", "[id number]"),
    "key": ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
}
TEXT = "; ".join(found for found, _ in SENSITIVE.values())
MASKED = "; ".join(mask for _, mask in SENSITIVE.values())


@pytest.mark.parametrize(
    "kind", ["winner", "tie", "none_useful", "not_enough_cases", "could_not_compare", "failed_arm"]
)
def test_where_nothing_is_personal_nothing_changes(kind):
    data = getattr(builders, kind)()
    assert redacted(data) == data


def test_every_text_of_the_records_is_masked():
    data = builders.with_text(TEXT)
    done = redacted(replace(data, others=(data,)))
    assert not [found for found, _ in SENSITIVE.values() if found in repr(done)]
    assert MASKED in repr(done)
    assert done.cases[0].input == data.cases[0].input.replace(TEXT, MASKED)


def test_what_is_read_from_disk_is_masked_too():
    data = builders.with_text(TEXT)
    arms = {}
    for one in data.predictions:
        arms.setdefault(one.arm, {})[one.case_id] = one
    read = replace(
        data,
        cases=[*data.cases],
        case_scores=data.case_table,
        predictions=AllOf(arms),
        passages=MappingProxyType(data.passages),
    )
    held = redacted(replace(data, predictions=tuple(AllOf(arms)), case_scores=tuple(data.case_table), cases=read.cases))
    done = redacted(read)
    assert tuple(done.predictions) == held.predictions
    assert replace(done, predictions=held.predictions) == held


def test_the_original_is_not_touched():
    data = builders.with_text(TEXT)
    before = repr(data)
    redacted(data)
    assert repr(data) == before


def test_ids_that_are_masked_stay_apart_and_find_what_they_found():
    data = builders.winner()
    first, second = (case.id for case in data.cases[:2])
    names = {first: "a@x.example", second: "b@x.example"}
    cases = tuple(replace(case, id=names.get(case.id, case.id)) for case in data.cases)
    scores = tuple(replace(score, case_id=names.get(score.case_id, score.case_id)) for score in data.case_scores)
    made = tuple(replace(one, case_id=names.get(one.case_id, one.case_id)) for one in data.predictions)
    done = redacted(replace(data, cases=cases, case_scores=scores, predictions=made))
    assert [case.id for case in done.cases[:2]] == ["[email]", "[email] 2"]
    assert len(done.case_score_of) == len(data.case_score_of)
    assert done.case_score_of["[email] 2", "rag"].answer == data.case_score_of[second, "rag"].answer


def test_many_ids_that_are_masked_alike_stay_apart_from_those_that_look_so():
    data = builders.large(cases=3000, arms=2)
    names = ["[email]", "[email] 3", "[email] x", *(f"m{n}@x.example" for n in range(2997))]
    cases = tuple(replace(case, id=name) for case, name in zip(data.cases, names, strict=True))
    done = redacted(replace(data, cases=cases, case_scores=(), predictions=()))
    found = [case.id for case in done.cases]
    assert found[:6] == ["[email]", "[email] 3", "[email] x", "[email] 2", "[email] 4", "[email] 5"]
    assert len(set(found)) == 3000


def test_runs_side_by_side_mask_an_id_that_both_have_alike_and_others_apart():
    data = builders.winner()

    def run(*names):
        ids = {case.id: name for case, name in zip(data.cases, names, strict=False)}
        cases = tuple(replace(case, id=ids.get(case.id, case.id)) for case in data.cases)
        return replace(data, cases=cases, case_scores=(), predictions=())

    one, other = run("jo@x.example", "ann@x.example"), run("bob@x.example", "jo@x.example")
    beside = redacted(replace(one, others=(other,)))
    apart = all_redacted([one, other])
    for first, second in ((beside, beside.others[0]), apart):
        assert [case.id for case in first.cases[:2]] == ["[email]", "[email] 2"]
        assert [case.id for case in second.cases[:2]] == ["[email] 3", "[email]"]


def test_groups_are_masked_in_the_table_of_scores_too():
    data = builders.winner()
    cases = tuple(replace(case, group=f"g{n % 2}@x.example") for n, case in enumerate(data.cases))
    grouped = replace(data, cases=cases, case_scores=table_of(data.case_scores, cases))
    done = redacted(grouped)
    assert done.case_table.roll.grouped([0, 1, 2]) == ("group [email]", "group [email] 2", "group [email]")
    assert table_of(tuple(done.case_scores), done.cases).roll.grouped([0, 1]) == ("group [email]", "group [email] 2")


def test_passages_are_found_by_their_masked_ids():
    data = builders.winner()
    name = "mail from jo@firm.example"
    passages = {name: Passage(name, name, "Re: call +44 20 7946 0958", "text")}
    predictions = (replace(data.predictions[0], passages=(name,)), *data.predictions[1:])
    done = redacted(replace(data, passages=passages, predictions=predictions))
    assert done.passages[done.predictions[0].passages[0]].title == "Re: call [phone]"


@pytest.mark.parametrize("kind", FORMATS)
def test_no_format_says_what_was_masked(kind, tmp_path):
    [path] = write_reports(redacted(builders.with_text(TEXT)), tmp_path, form=Form((kind,)))
    said = re.sub(r"\s+", " ", text_of(path))
    assert not [found for found, _ in SENSITIVE.values() if found in said]
    assert "[email]" in said.replace("\\", "")


def text_of(path):
    if path.suffix == ".pdf":
        return "\n".join(page.extract_text() for page in PdfReader(path).pages)
    if path.suffix in (".docx", ".pptx"):
        with zipfile.ZipFile(path) as parts:
            return " ".join(parts.read(name).decode() for name in parts.namelist() if name.endswith(".xml"))
    return path.read_text(encoding="utf-8")
