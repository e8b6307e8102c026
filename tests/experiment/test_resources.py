"""What a run will take is predicted, and too little is said before the start."""

import shutil
from collections import namedtuple
from dataclasses import dataclass, replace

import psutil
import pytest
from fakes import FakeEmbedder, FakeEngine, FakeWatcher, fake_run, prepared, tiny_scenario

from harness.errors import UserError
from harness.experiment.options import RunOptions
from harness.experiment.resources import MEASURED_MB, Needs, Room, needs, room, too_little
from harness.experiment.run import prepare
from harness.scenario import Case, Document, Experiments

pytestmark = pytest.mark.usefixtures("own_cache")

LADDER = ("dummy", "prompt", "few_shot", "nearest_shots", "rag", "lora")
WITH_DOCUMENTS = (*LADDER, "rag_lora")


@dataclass(frozen=True)
class Measured:
    """A quick run of the bundled model on two cores: its data's shape, and what it took."""

    instruction: int
    """Characters."""
    input: int
    output: int
    cases: int
    documents: tuple[int, int]
    """How many, characters in all."""
    arms: tuple[str, ...]
    experiments: tuple[str, ...]
    seeds: int
    memory_mb: float
    """Largest that was seen of any process of the run."""
    disk_mb: float


MEASURED = {
    "banking77": Measured(
        1780, 57, 20, 100, (0, 0), LADDER,
        ("learning_curve", "harm", "consistency", "form", "tuned_embedder", "full_tuning", "classifier"), 2,
        7219.8, 394,
    ),
    "claims": Measured(435, 83, 68, 96, (0, 0), LADDER, ("form", "consistency", "judge"), 1, 3207.0, 12.1),
    "harbour": Measured(
        97, 48, 10, 104, (52, 49_980), WITH_DOCUMENTS,
        (
            "learning_curve", "facts_change", "harm", "consistency", "documents_in_weights", "retrieval",
            "tuned_embedder", "full_tuning",
        ), 3, 7572.8, 491,
    ),
    "snips": Measured(705, 49, 113, 80, (0, 0), LADDER, ("learning_curve", "form", "harm"), 1, 4112.3, 39.4),
    "xquad": Measured(
        57, 61, 19, 60, (1_500, 1_115_329), WITH_DOCUMENTS,
        ("retrieval", "harm", "documents_in_weights", "tuned_embedder"), 1, 7477.2, 117.7,
    ),
    "claims, four arms": Measured(
        435, 83, 68, 48, (0, 0), ("dummy", "prompt", "nearest_shots", "lora"), (), 1, 2737.7, 9.8
    ),
    "xquad, arms only": Measured(57, 61, 19, 40, (1_500, 1_115_329), WITH_DOCUMENTS, (), 1, 4224.8, 19.4),
    "medquad": Measured(42, 50, 369, 40, (2_500, 1_490_923), WITH_DOCUMENTS, (), 1, 4555.2, 19.6),
    "awsdocs": Measured(57, 63, 42, 40, (2_134, 1_533_645), WITH_DOCUMENTS, (), 1, 3528.5, 19.4),
    "e2e": Measured(61, 126, 129, 40, (0, 0), LADDER, (), 1, 3164.1, 9.9),
    "disflqa": Measured(61, 84, 59, 40, (0, 0), LADDER, (), 1, 2455.6, 9.8),
}  # fmt: skip
"""November 2026, AMD EPYC, bf16; memory from usage.jsonl and provenance.json, disk from `du`."""


def shaped(run):
    """A scenario of that shape."""
    count, characters = run.documents
    row = {"input": "x" * run.input, "output": "y" * run.output}
    return replace(
        tiny_scenario(),
        instruction="i" * run.instruction,
        cases=tuple(Case(f"e{n}", **row) for n in range(run.cases)),
        train=tuple(Case(f"t{n}", **row) for n in range(50)),
        documents=tuple(Document(f"d{n}", "", "z" * (characters // count)) for n in range(count)),
        experiments=Experiments(seeds=run.seeds, run=run.experiments),
    )


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("what", ["memory_mb", "disk_mb"])
def test_memory_and_disk_are_predicted_within_30_percent_of_what_was_measured(name, what):
    run = MEASURED[name]
    found = needs(shaped(run), run.arms, run.experiments, quick=True, weights_mb=MEASURED_MB)
    off = getattr(found, what) / getattr(run, what) - 1
    print(f"{name} {what}: {getattr(found, what):,.0f} predicted, {getattr(run, what):,.0f} measured, {off:+.0%}")
    assert abs(off) < 0.3


def test_more_of_anything_takes_more():
    small = shaped(MEASURED["xquad"])
    base = needs(small, LADDER, (), quick=True, weights_mb=281)
    for arms, experiments, weights in (
        (WITH_DOCUMENTS, (), 281),
        (LADDER, ("full_tuning",), 281),
        (LADDER, (), 3_000),
    ):
        more = needs(small, arms, experiments, quick=True, weights_mb=weights)
        assert more.memory_mb > base.memory_mb
        assert more.disk_mb > base.disk_mb
    assert needs(small, ("dummy", "prompt"), (), quick=True, weights_mb=281).memory_mb < base.memory_mb


def test_enough_is_not_mentioned():
    assert too_little(Needs(100, 10, 5), Room(101, 16, 16, shared=True)) == ()
    assert too_little(Needs(100, 10, 5), Room(101, None, None, shared=True)) == ()


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (Room(2048, 999, 999, shared=True), "needs about 4.9 GB of memory and 2.0 GB are free"),
        (Room(9999, 300, 999, shared=False), "the run folder needs about 394 MB, and 300 MB of its disk are free"),
        (Room(9999, 400, 400, shared=True), "about 394 MB and 60 MB beside it for later runs, and 400 MB of its disk"),
        (Room(9999, 999, 0, shared=False), "and 1 MB of its disk are free: what does not fit is not kept"),
    ],
)
def test_too_little_is_said_with_figures(there, said):
    (sentence,) = too_little(Needs(5_000, 394, 60), there)
    assert said in sentence


Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def little_disk(monkeypatch):
    return lambda mb: monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, int(mb * 2**20)))


def test_what_is_free_is_looked_up_where_the_folder_will_be(tmp_path, little_disk):
    found = room(tmp_path / "not" / "yet" / "there")
    assert found.memory_mb > 0
    assert found.disk_mb == pytest.approx(shutil.disk_usage(tmp_path).free / 2**20, rel=0.05)
    little_disk(7)
    assert room(tmp_path).disk_mb == 7


def test_too_little_memory_is_a_warning_of_the_plan_before_anything_is_run(scenario, out, monkeypatch):
    here = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: here._replace(available=300 * 2**20))
    ready = prepare(
        scenario,
        options=RunOptions(out=out),
        engine_for=lambda name: FakeEngine(),
        load_embedder=lambda name: FakeEmbedder(),
    )
    assert "of memory and 300 MB are free" in ready.plan.warnings[0]
    assert not out.exists()


def test_a_run_that_clearly_cannot_be_written_is_refused_before_it_begins(scenario, out, little_disk):
    needed = prepared(scenario, options=RunOptions(quick=True)).plan.disk_mb
    little_disk(needed * 0.4)
    with pytest.raises(UserError, match=r"Nothing was begun: the run folder .* MB more, and .* of its disk are free"):
        fake_run(scenario, out, quick=True)
    assert not out.exists()
    little_disk(needed * 0.6)
    fake_run(scenario, out, quick=True)
    little_disk(0)
    fake_run(scenario, out, quick=True, engine=FakeEngine(model_is_there=False), watcher=FakeWatcher())


def test_memory_of_the_run_is_the_largest_of_all_its_processes(scenario, out):
    folder = fake_run(scenario, out, quick=True).folder
    folder.write("provenance.json", replace(folder.provenance(), peak_memory_mb=99_999.0))
    for lost in ("verdict.json", "whole.json"):
        (out / lost).unlink(missing_ok=True)
    assert fake_run(scenario, out, quick=True).folder.provenance().peak_memory_mb == 99_999.0


def test_documents_take_memory_until_they_are_kept_on_disk():
    few = shaped(MEASURED["xquad"])
    half, many, more = (replace(few, documents=few.documents * times) for times in (20, 100, 200))
    none, held, on_disk, hardly_more = (
        needs(one, LADDER, (), quick=True, weights_mb=281).memory_mb
        for one in (replace(few, documents=few.documents[:1]), half, many, more)
    )
    assert held > none + 100
    assert on_disk < none + 500
    assert on_disk < hardly_more < on_disk + 50


@pytest.mark.parametrize(
    ("limit", "used", "there"),
    [
        (f"{3 * 2**20}\n", f"{2**20}\n", 2.0),
        ("max\n", "1\n", 64.0),
        (f"{2**20}\n", f"{3 * 2**20}\n", 0.0),
        ("odd\n", "1\n", 64.0),
        (None, None, 64.0),
    ],
)
def test_what_a_container_leaves_counts_where_it_is_less_than_what_is_free(tmp_path, monkeypatch, limit, used, there):
    for name, content in (("memory.max", limit), ("memory.current", used)):
        if content is not None:
            (tmp_path / name).write_text(content)
    free = namedtuple("free", "available")(64 * 2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr("harness.experiment.resources.CONTAINER", tmp_path)
    assert room(tmp_path).memory_mb == there


def test_where_nobody_can_say_how_much_disk_is_free_it_is_not_too_little(tmp_path, monkeypatch):
    def unknown(path):
        raise OSError("not supported")

    monkeypatch.setattr(shutil, "disk_usage", unknown)
    found = room(tmp_path)
    assert (found.disk_mb, found.cache_mb) == (None, None)
    assert too_little(Needs(0.0, 1e9, 1e9), found) == ()
