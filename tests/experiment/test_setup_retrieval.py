"""The bench's retrieval is chosen on training examples, kept in the run folder, and read back."""

from dataclasses import replace

import pytest
from fakes import FakeEmbedder, FakeModel, tiny_bench, tiny_scenario

from harness.experiment.options import RunOptions, Silent
from harness.experiment.setup import build_bench, with_retrieval
from harness.retrieval import choose
from harness.retrieval.choose import ChosenRetrieval
from harness.retrieval.settings import DEFAULT, RetrievalSettings
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("own_cache")


def built(tmp_path, scenario=None, *, embedder=True, quick=False):
    return build_bench(
        scenario or tiny_scenario(),
        model=FakeModel(),
        embedder=FakeEmbedder() if embedder else None,
        folder=RunFolder(tmp_path),
        options=RunOptions(use_cache=False, quick=quick),
        watcher=Silent(),
    )


def test_the_choice_is_on_the_bench_and_in_the_folder(tmp_path):
    bench = built(tmp_path)
    kept = RunFolder(tmp_path).read("retrieval.json", ChosenRetrieval)
    assert bench.retrieval == kept.settings == DEFAULT
    assert bench.retrieval_choice == (kept.choice,)
    assert kept.choice.n == 20, "train and dev"


def test_a_run_that_goes_on_reads_it_back(tmp_path, monkeypatch):
    built(tmp_path)
    folder = RunFolder(tmp_path)
    kept = folder.read("retrieval.json", ChosenRetrieval)
    folder.write("retrieval.json", replace(kept, settings=RetrievalSettings("hybrid", 75, reranked=True)))
    monkeypatch.setattr("harness.experiment.setup.choose_retrieval", None)
    assert built(tmp_path).retrieval == RetrievalSettings("hybrid", 75, reranked=True)


@pytest.mark.parametrize(
    ("changes", "embedder"),
    [
        ({"documents": False}, True),
        ({"arms": ("prompt", "lora", "nearest_shots")}, True),
        ({}, False),
    ],
    ids=["no documents", "no arm that searches", "no embedder"],
)
def test_nothing_is_chosen_where_nothing_searches_documents(changes, embedder, tmp_path):
    bench = built(tmp_path, tiny_scenario(**changes), embedder=embedder)
    assert (bench.retrieval, bench.retrieval_choice, bench.retrieval_note) == (DEFAULT, (), "")
    assert not RunFolder(tmp_path).has("retrieval.json")


@pytest.mark.parametrize("name", ["rag", "rag_lora"])
def test_one_arm_that_searches_is_enough(name, tmp_path):
    built(tmp_path, tiny_scenario(arms=(name,)))
    assert RunFolder(tmp_path).has("retrieval.json")


def test_where_nothing_can_be_chosen_the_note_is_on_the_bench(tmp_path):
    scenario = tiny_scenario()
    unknown = tuple(replace(case, context_id=None, output="nowhere") for case in scenario.train)
    bench = built(tmp_path, replace(scenario, train=unknown))
    assert bench.retrieval == DEFAULT
    assert bench.retrieval_choice == ()
    assert "not chosen" in bench.retrieval_note


def test_quick_is_passed_on(tmp_path):
    assert len(built(tmp_path, quick=True).retrieval_choice[0].tried) == 3


def test_eval_cases_have_no_part_in_it(tmp_path, monkeypatch):
    asked = []
    plain = choose.Retriever.search

    def search(self, queries, *, k, fresh=False):
        asked.extend(queries)
        return plain(self, queries, k=k, fresh=fresh)

    monkeypatch.setattr(choose.Retriever, "search", search)
    scenario = tiny_scenario()
    bench = tiny_bench(scenario)
    full = with_retrieval(bench, RunFolder(tmp_path / "a"), ("rag",))
    assert set(asked) == {case.input for case in scenario.train}
    changed = tuple(replace(c, input="other", output="x", context_id=None) for c in scenario.cases[:1])
    cut = with_retrieval(tiny_bench(replace(scenario, cases=changed)), RunFolder(tmp_path / "b"), ("rag",))
    assert (cut.retrieval, cut.retrieval_choice) == (full.retrieval, full.retrieval_choice)
