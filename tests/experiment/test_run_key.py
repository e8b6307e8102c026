"""What makes a run another run, and which folder it goes on in."""

import shutil
from dataclasses import replace

import pytest
from fakes import prepared, tiny_scenario, write_scenario_files

from harness.errors import RunFolderError
from harness.experiment.folder import begin, folder_for, run_key
from harness.experiment.options import RunOptions
from harness.scenario import EndpointWish, Experiments, TuningWish
from harness.store import RunFolder

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def ready(tmp_path):
    return prepared(write_scenario_files(tmp_path / "s", tiny_scenario(cases=14)), options=RunOptions())


def changed(ready, **settings):
    return run_key(replace(ready, scenario=replace(ready.scenario, **settings)), RunOptions())


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"held_to_labels": True}, "held to labels"),
        ({"tuning": TuningWish(rank=4)}, "tuning"),
        ({"held_to_schema": True}, "held to schema"),
        ({"held_to_schema": True, "schema": "{}"}, "held to schema"),
        ({"repair": True}, "repair"),
        ({"repair": True}, "keys"),
        ({"reranker": "bm25"}, "reranker"),
        ({"experiments": Experiments(stop_early=True)}, "early stopping"),
    ],
)
def test_a_setting_that_may_change_answers_is_part_of_the_key(ready, settings, part):
    plain = run_key(ready, RunOptions())
    found = changed(ready, **settings)
    assert part in found.parts
    assert part not in plain.parts
    assert found.key != plain.key


@pytest.mark.parametrize(
    ("settings", "part"),
    [({"instruction": "Be brief."}, "instruction"), ({"seed": 9}, "seed"), ({"max_new_tokens": 99}, "longest answer")],
)
def test_what_is_always_part_of_the_key_changes_it(ready, settings, part):
    plain, found = run_key(ready, RunOptions()), changed(ready, **settings)
    assert {name for name in found.parts if found.parts[name] != plain.parts[name]} == {part}


ENDPOINT = EndpointWish("http://localhost/v1", "m")


@pytest.mark.parametrize(
    ("settings", "part"),
    [({"window": 4096}, "window of the endpoint"), ({"length_field": "max_completion_tokens"}, "length_field of the")],
)
def test_a_setting_of_an_endpoint_that_changes_answers_is_named_where_it_was_changed(ready, tmp_path, settings, part):
    plain, other = changed(ready, endpoint=ENDPOINT), changed(ready, endpoint=replace(ENDPOINT, **settings))
    folder = RunFolder(tmp_path / "run")
    for first, second in ((plain, other), (other, plain)):
        folder.path.mkdir()
        begin(folder, first, ready)
        begin(folder, first, ready)
        with pytest.raises(RunFolderError, match=f"holds another run: {part}.* changed since it began"):
            begin(folder, second, ready)
        shutil.rmtree(folder.path)


def test_the_usual_settings_of_an_endpoint_and_those_of_patience_are_no_part_of_the_key(ready):
    """So folders of before there were such parts go on."""
    patient = replace(ENDPOINT, timeout=5.0, retries=9, concurrency=2, max_cost=3.0, window=8192)
    assert changed(ready, endpoint=patient).parts == run_key(ready, RunOptions()).parts


def test_the_same_run_has_the_same_key_and_goes_on_where_it_was_left(ready, tmp_path):
    options = RunOptions(runs_folder=tmp_path / "runs")
    key = run_key(ready, options)
    assert key.key == run_key(ready, options).key
    first = folder_for(key, ready.scenario, options)
    first.path.mkdir(parents=True)
    begin(first, key, ready)
    assert folder_for(key, ready.scenario, options).path == first.path
    other = replace(changed(ready, seed=9), created=key.created)
    assert folder_for(other, ready.scenario, options).path == first.path.with_name(f"{first.path.name}-2")
    later = replace(other, created="2031-02-03T04:05:06+00:00")
    assert folder_for(later, ready.scenario, options).path.name == "s-20310203-040506"


def test_a_folder_with_something_else_in_it_is_refused(ready, tmp_path):
    key, other = run_key(ready, RunOptions()), changed(ready, seed=9)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    begin(folder, key, ready)
    begin(folder, key, ready)
    with pytest.raises(RunFolderError, match="holds another run: seed changed since it began"):
        begin(folder, other, ready)
    odd = RunFolder(tmp_path / "odd")
    odd.path.mkdir()
    (odd.path / "letter.txt").write_text("x")
    with pytest.raises(RunFolderError, match=r"is not empty and holds no run \(found letter\.txt\)"):
        begin(odd, key, ready)
