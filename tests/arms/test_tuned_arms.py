"""Arms that tune otherwise than `lora`: on the documents too, or all weights."""

import re
from dataclasses import replace

import pytest
from fakes import FakeTuner, tiny_bench, tiny_scenario

from harness.arms.base import Request
from harness.arms.full_tuning import FullTuningArm
from harness.arms.lora import LoraArm
from harness.arms.lora_documents import LONGEST, LoraDocumentsArm, document_rows, repeats
from harness.errors import ArmFailed
from harness.scenario import Document

both = pytest.mark.parametrize("arm", [FullTuningArm(), LoraDocumentsArm()], ids=lambda arm: arm.name)


@pytest.fixture
def bench(tmp_path):
    return tiny_bench(folder=tmp_path)


def seen(bench):
    """(arm, training texts, dev texts) of the one tuning."""
    (call,) = bench.tuner.seen
    return call


@both
def test_it_answers_with_the_plain_prompt_whatever_the_answers_are(arm, bench):
    recipe = arm.prepare(bench)
    assert recipe.arm == arm.name
    assert arm.requests(recipe, bench.scenario.cases, bench=bench) == [Request()] * len(bench.scenario.cases)


@both
def test_no_eval_row_is_learnt_from_and_dev_rows_are_held_out(arm, bench):
    arm.prepare(bench)
    _, examples, held = seen(bench)
    assert len(held) == len(bench.dev)
    learnt = " ".join(text.prompt for text in examples)
    assert not any(case.input in learnt for case in (*bench.scenario.cases, *bench.dev))


@both
def test_eval_cases_have_no_part_in_preparing(arm, tmp_path):
    scenario = tiny_scenario()
    full, cut = (tiny_bench(each, folder=tmp_path) for each in (scenario, replace(scenario, cases=scenario.cases[:1])))
    assert arm.prepare(full) == arm.prepare(cut)
    assert seen(full) == seen(cut)


@both
def test_without_a_tuner_it_fails_with_a_sentence(arm, bench):
    with pytest.raises(ArmFailed, match="cannot be tuned here"):
        arm.prepare(replace(bench, tuner=None))


def test_full_tuning_learns_what_lora_learns(bench, tmp_path):
    other = tiny_bench(folder=tmp_path)
    FullTuningArm().prepare(bench)
    LoraArm().prepare(other)
    assert seen(bench)[1:] == seen(other)[1:]


def test_every_passage_is_learnt_once_and_the_pairs_are_at_least_half(bench):
    recipe = LoraDocumentsArm().prepare(bench)
    _, examples, _ = seen(bench)
    outputs = {case.output for case in bench.train}
    passages = [text for text in examples if text.answer not in outputs]
    assert sorted(text.answer for text in passages) == sorted(p.text for p in bench.passages)
    assert len({text.prompt for text in passages}) == len(bench.passages)
    assert 2 * len(passages) <= len(examples)
    pairs = [text for text in examples if text.answer in outputs]
    assert len(pairs) == repeats(len(passages), len(bench.train)) * len(bench.train)
    assert examples[: len(passages)] != tuple(passages), "they are shuffled"
    assert f"{len(passages)} passages" in recipe.notes[0]
    assert f"{len(bench.train)} training pairs" in recipe.notes[0]


@pytest.mark.parametrize(("passages", "pairs", "times"), [(10, 20, 1), (10, 10, 1), (11, 10, 2), (30, 10, 3)])
def test_pairs_are_repeated_only_where_there_are_fewer(passages, pairs, times):
    assert repeats(passages, pairs) == times


def test_the_same_seed_makes_the_same_rows_and_another_seed_another_order(tmp_path):
    rows = []
    for seed in (0, 0, 1):
        bench = tiny_bench(folder=tmp_path)
        LoraDocumentsArm().prepare(replace(bench, scenario=replace(bench.scenario, seed=seed)))
        rows.append(seen(bench)[1])
    assert rows[0] == rows[1] != rows[2]


@pytest.mark.parametrize(
    ("titles", "asked"),
    [
        (["A", "B"], ['What does the document "A" say?', 'What does the document "B" say?']),
        (["A", "A"], ['What does part 1 of the document "A" say?', 'What does part 2 of the document "A" say?']),
        (["", ""], ["Recite passage 1 of the documents.", "Recite passage 2 of the documents."]),
    ],
)
def test_each_passage_has_a_question_of_its_own(titles, asked, tmp_path):
    documents = tuple(Document(f"d{n}", title, f"Text {n}.") for n, title in enumerate(titles))
    rows = document_rows(tiny_bench(replace(tiny_scenario(), documents=documents), folder=tmp_path))
    assert [re.search(r"<\|user\|>\n(.*?)<\|end\|>", row.prompt).group(1) for row in rows] == asked


def test_a_long_passage_is_cut_at_a_word(bench):
    from harness.arms.lora_documents import _cut

    text = " ".join(f"word{n}" for n in range(3 * LONGEST))
    cut = _cut(text, bench)
    assert text.startswith(cut + " ")
    assert LONGEST - 1 <= bench.model.count_tokens(cut) <= LONGEST
    assert _cut("short", bench) == "short"


def test_a_long_passage_without_spaces_is_cut_anywhere(bench):
    from harness.arms.lora_documents import _cut

    class Letters(type(bench.model)):
        def count_tokens(self, text):
            return len(text)

    assert _cut("字" * 500, replace(bench, model=Letters())) == "字" * LONGEST


def test_what_did_not_fit_the_budget_is_said(bench, tmp_path):
    class Tight(FakeTuner):
        def __call__(self, arm, examples, **options):
            return super().__call__(arm, examples[: len(examples) // 4], **options)

    recipe = LoraDocumentsArm().prepare(replace(bench, tuner=Tight(tmp_path)))
    assert re.search(r"about 2\d % of these rows fitted the tuning budget", recipe.notes[0])
