"""Arms and bench read the documents as they were settled to be searched."""

from dataclasses import replace

import pytest
from fakes import tiny_bench, tiny_scenario

from harness.arms.rag import RagArm
from harness.arms.rag_lora import RagLoraArm
from harness.records import Choice
from harness.retrieval.settings import RetrievalSettings
from harness.scenario import Case, Document


def long_scenario(**changes):
    """Six documents of 400 words; the answer of each stands in its middle."""
    documents = tuple(
        Document(f"d{n}", "", f"{'pad' + str(n)} " * 200 + f"Landia{n} has City{n}. " + "end " * 197) for n in range(6)
    )
    return tiny_scenario(documents=True, **changes), documents


def bench_of(words, way="dense", **changes):
    scenario, documents = long_scenario()
    return tiny_bench(replace(scenario, documents=documents), retrieval=RetrievalSettings(way, words), **changes)


@pytest.mark.parametrize("words", [75, 150, 300])
def test_passages_are_cut_at_the_settled_size(words):
    sizes = [len(p.text.split()) for p in bench_of(words).passages]
    assert max(sizes) <= words
    assert max(sizes) > words / 2


@pytest.mark.parametrize(
    ("words", "quick", "tried"),
    [
        (75, False, ["2", "4", "8"]),
        (150, False, ["1", "2", "4"]),
        (300, False, ["1", "2"]),
        (75, True, ["4"]),
        (300, True, ["1"]),
    ],
)
def test_rag_tries_numbers_of_passages_that_make_up_the_same_words(words, quick, tried):
    bench = bench_of(words, quick=quick)
    recipe = RagArm().prepare(bench)
    assert str(recipe.k) in tried
    assert [t.value for t in recipe.choices[-1].tried] == (tried if not quick else [])


@pytest.mark.parametrize(("words", "k"), [(75, 4), (150, 2), (300, 1)])
def test_rag_lora_tunes_with_300_words_of_passages(words, k, tmp_path):
    assert RagLoraArm().prepare(bench_of(words, folder=tmp_path, tuner=tiny_bench(folder=tmp_path).tuner)).k == k


def test_rag_says_how_retrieval_was_chosen_or_why_it_was_not():
    choice = Choice("retrieval", "bm25, 150 words", "hit rate at 300 words", 20)
    recipe = RagArm().prepare(tiny_bench(retrieval_choice=(choice,), retrieval_note="Not chosen."))
    assert recipe.choices[0] == choice
    assert recipe.notes == ("Not chosen.",)
    without = RagArm().prepare(tiny_bench(tiny_scenario(documents=False), retrieval_choice=(choice,)))
    assert [c.setting for c in without.choices] == ["passages"]


def test_without_documents_the_examples_stay_as_they_are():
    bench = tiny_bench(tiny_scenario(documents=False))
    cut = replace(bench, retrieval=RetrievalSettings("bm25", 75))
    assert cut.passages == bench.passages
    assert len(cut.passages) == len(bench.train)


def test_the_bench_searches_the_settled_way():
    case = "unrelated pad3 Landia3"
    found = {way: bench_of(75, way).retrieve([case], k=2)[0] for way in ("dense", "bm25", "hybrid")}
    assert found["bm25"][0].document_id == "d3"
    assert found["bm25"] != found["dense"] or found["bm25"] != found["hybrid"]


# passages that are known to be right or wrong


@pytest.mark.parametrize("words", [75, 150, 300])
@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_oracle_passages_hold_the_answer_first_then_come_the_documents_others_then_the_nearest(words, k):
    bench = bench_of(words)
    for case in bench.scenario.cases:
        found = bench.oracle(case, k=k)
        own = [p for p in bench.passages if p.document_id == case.context_id]
        assert len(found) == len({p.id for p in found}) == k
        assert case.output in found[0].text
        assert {p.id for p in found[: len(own)]} <= {p.id for p in own}
        assert not {p.document_id for p in found[len(own) :]} & {case.context_id}


def test_oracle_gives_a_budgets_worth_unless_told_otherwise():
    assert [len(bench_of(words).oracle(bench_of(words).scenario.cases[0])) for words in (75, 150, 300)] == [4, 2, 1]


@pytest.mark.parametrize("context", [None, "nowhere"])
def test_without_a_known_document_there_are_no_oracle_passages(context):
    bench = bench_of(150)
    assert bench.oracle(replace(bench.scenario.cases[0], context_id=context), k=2) == ()


def test_wrong_passages_are_of_other_documents_without_the_answer_and_drawn_with_seed_and_case():
    bench = bench_of(75)
    drawn = {}
    for case in bench.scenario.cases:
        found = bench.wrong(case, 3)
        assert len({p.id for p in found}) == 3
        assert not any(p.document_id == case.context_id or case.output in p.text for p in found)
        assert found == bench.wrong(case, 3)
        drawn[case.id] = found
    assert len(set(drawn.values())) > 1
    other = replace(bench, scenario=replace(bench.scenario, seed=1))
    assert any(other.wrong(case, 3) != drawn[case.id] for case in bench.scenario.cases)


def test_wrong_passages_hold_no_accepted_answer_where_no_document_is_named():
    bench = bench_of(150)
    case = Case("c", "Which?", "nothing", references=("City2", "City4"))
    assert not {p.text for p in bench.wrong(case, 99) if "City2" in p.text or "City4" in p.text}
    assert len(bench.wrong(case, 99)) == len(bench.passages) - 2
