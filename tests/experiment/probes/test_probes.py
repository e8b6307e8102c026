"""Experiments on fakes: what is answered, what is kept, what is said."""

import json
import re
import time
from dataclasses import dataclass, replace

import pytest
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, tiny_bench, tiny_scenario, write_scenario_files

from harness import api
from harness.experiment.options import RunOptions
from harness.experiment.probes.base import QUICK_CASES, Ground, some_cases
from harness.experiment.probes.harm import general_items
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.registry import PROBES, probe
from harness.records import Finding, Recipe, Usage
from harness.scenario import EXPERIMENTS, Kind
from harness.scenario_file.read import Overrides
from harness.stats.paired import Interval
from harness.store import RunFolder


def readings(finding, measure):
    return {(r.arm, r.condition): r.value for r in finding.readings if r.measure == measure}


# the family


@pytest.mark.parametrize("name", PROBES)
def test_every_experiment_has_its_name_a_question_and_an_effort(name):
    one, scenario = probe(name), tiny_scenario(train=60)
    arms = ("dummy", "prompt", "nearest_shots", "rag", "lora", "rag_lora")
    assert one.name == name
    assert one.question.endswith("?")
    effort = one.effort(scenario, arms, quick=False)
    assert effort.trainings >= 0
    assert effort.answers >= 0
    assert effort.what


def test_every_experiment_that_can_be_named_is_there():
    assert set(PROBES) == {"seeds", *EXPERIMENTS}


@pytest.mark.parametrize("name", [*EXPERIMENTS, "seeds"])
def test_an_experiment_without_what_it_needs_says_why(name):
    bare = tiny_scenario(train=0, documents=False)
    why = probe(name).missing(bare, ("dummy",))
    assert why is None if name == "consistency" else why


HELD_ALREADY = "every arm is held to the form already in the main run"


@pytest.mark.parametrize(
    ("name", "scenario", "why"),
    [
        (
            "form",
            {"kind": Kind.LABELS, "held_to_labels": True},
            "every arm is held to the form already in the main run",
        ),
        ("form", {"kind": Kind.JSON, "held_to_schema": True}, "every arm is held to the form already in the main run"),
        ("tuned_embedder", {"documents": ()}, "pairs come from labels or from documents, and there are neither"),
        ("tuned_embedder", {"train": ()}, "fewer than 20 training examples"),
        ("tuned_embedder", {"kind": Kind.LABELS, "documents": ()}, None),
    ],
)
def test_an_experiment_says_what_of_the_scenario_is_in_its_way(name, scenario, why):
    made = replace(tiny_scenario(cases=10, train=60), **scenario)
    assert probe(name).missing(made, ("prompt", "nearest_shots", "rag")) == why


def test_of_many_cases_an_experiment_asks_a_drawn_part_in_their_order():
    made = tiny_scenario(cases=100)
    part = some_cases(made, quick=True)
    places = [made.cases.index(case) for case in part]
    assert len(part) == QUICK_CASES
    assert places == sorted(places)
    assert part == some_cases(made, quick=True)
    assert part != some_cases(replace(made, seed=1), quick=True)
    assert some_cases(made, quick=False) == made.cases
    few = replace(made, experiments=replace(made.experiments, cases=7))
    assert len(some_cases(few, quick=False)) == len(some_cases(few, quick=True)) == 7


def test_what_cannot_be_run_is_reported_with_its_reason_and_stops_nothing(found):
    done = found("classifier", "form", "consistency")
    assert done["classifier"].could_not == "answers are short_answer, not labels"
    assert "there is no form to hold them to" in done["form"].sentences[0]
    assert not done["consistency"].could_not


def test_a_variant_that_breaks_costs_only_itself(found):
    class Breaking(FakeEngine):
        def tuner(self, folder, **named):
            made = super().tuner(folder, **named)
            made.fails = "experiments" in str(folder)
            return made

    done = found("learning_curve", engine=Breaking())
    assert any("could not be run: RuntimeError" in sentence for sentence in done["learning_curve"].sentences)
    assert {r.arm for r in done["learning_curve"].readings} == {"nearest_shots"}


def test_experiments_change_no_prediction_of_the_main_run(whole, found, tmp_path):
    found("consistency", "retrieval", out="with")
    fake_run(whole, tmp_path / "without", overrides=Overrides(seeds=1), remember=False)
    first, second = ((tmp_path / name / "predictions.jsonl").read_text() for name in ("with", "without"))
    cut = [[line.split('"seconds"')[0] for line in text.splitlines()] for text in (first, second)]
    assert cut[0] == cut[1]


def test_the_finding_is_computed_again_without_a_model(found, tmp_path):
    first = found("consistency", "facts_change")
    again = {one.experiment: one for one in api.report_data(tmp_path / "run").findings}
    assert again == first


def test_a_run_that_was_stopped_in_an_experiment_goes_on_there(whole, tmp_path):
    asked = Overrides(experiments=("consistency",), seeds=1)
    engine = FakeEngine(FakeModel())
    calls = []

    def stop_once(prompts):
        calls.append(prompts)
        if len(calls) == 60:
            raise KeyboardInterrupt

    engine.fake.before_batch = stop_once
    with pytest.raises(KeyboardInterrupt):
        fake_run(whole, tmp_path / "run", overrides=asked, engine=engine, remember=False)
    assert not (tmp_path / "run" / "verdict.json").exists()
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
    stopped = api.report_data(tmp_path / "run").findings
    fake_run(whole, tmp_path / "other", overrides=asked, remember=False)
    whole_run = api.report_data(tmp_path / "other").findings
    assert [f.readings for f in stopped] == [f.readings for f in whole_run]


def test_an_experiment_asked_for_after_the_verdict_is_marked_so(whole, tmp_path):
    out = tmp_path / "run"
    fake_run(whole, out, overrides=Overrides(seeds=1), remember=False)
    watcher = FakeWatcher()
    fake_run(whole, out, overrides=Overrides(experiments=("consistency",), seeds=1), watcher=watcher, remember=False)
    data = api.report_data(out)
    assert [one.added_later for one in data.findings] == [True]
    assert not any(stage.startswith("answer") for stage in watcher.stages)


# what they find


def test_seeds_are_trained_apart_and_their_spread_is_in_the_verdict(found, tmp_path):
    engine = FakeEngine()
    done = found(seeds=3, engine=engine)
    assert {tuner.seed for tuner in engine.tuners} == {0, 1, 2}
    spread = {one.arm: one for one in api.report_data(tmp_path / "run").verdict.seeds}
    assert set(spread) == {"lora", "rag_lora"}
    assert len(spread["lora"].scores) == 3
    assert "over 3 training seeds" in done["seeds"].sentences[0]


def test_changed_facts_are_known_after_a_new_index_and_old_ones_are_told_before(found):
    done = found("facts_change")["facts_change"]
    old = readings(done, "old fact told")
    new = readings(done, "token_f1")
    assert old["rag", "nothing updated"] == 1.0
    assert old["rag", "index made anew"] == 0.0
    assert new["rag", "nothing updated"] == 0.0
    assert new["rag", "index made anew"] == 1.0
    assert new["lora", "nothing updated"] == 0.0
    assert new["lora", "trained anew"] == 1.0
    assert any("training anew took" in sentence for sentence in done.sentences)


def test_the_time_of_a_new_index_is_that_of_making_it(whole, tmp_path):
    asked = Overrides(experiments=("facts_change",), seeds=1, arms=("prompt", "rag"))
    start = time.perf_counter()
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
    took = time.perf_counter() - start
    [usage] = RunFolder(tmp_path / "run" / "experiments" / "facts_change").lines("usage.jsonl", Usage)
    assert (usage.arm, usage.stage) == ("rag", "index")
    assert 0 < usage.seconds < took


def test_freshness_is_the_score_on_changed_facts_after_the_cheap_update(whole, tmp_path):
    with (whole / "scenario.toml").open("a") as stream:
        stream.write("[criteria]\nquality = 1\nfreshness = 2\n")
    asked = Overrides(experiments=("facts_change",), seeds=1, arms=("prompt", "rag", "lora"))
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
    standing = api.report_data(tmp_path / "run").verdict.standing
    fresh = {one.arm: (one.value, one.measured) for one in standing.values if one.criterion == "freshness"}
    assert fresh == {"prompt": (0.0, "0 points"), "rag": (1.0, "100 points"), "lora": (0.0, "0 points")}
    assert standing.weights == {"quality": 1, "freshness": 2}
    assert standing.unmeasured == ()


@pytest.mark.parametrize(("changed", "contradicted"), [(1, True), (0, False)])
def test_facts_said_to_be_static_are_contradicted_by_changed_answers(whole, tmp_path, changed, contradicted):
    rows = [json.loads(line) for line in (whole / "after" / "eval.jsonl").read_text().splitlines()]
    for row in rows[changed:]:
        row["output"] = row["output"].removeprefix("New")
    (whole / "after" / "eval.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with (whole / "scenario.toml").open("a") as stream:
        stream.write('[advice]\ndate = "2026-11-25"\napproach = "rag"\nhypothesis = "It wins."\n')
        stream.write('[advice.answers]\nfact_change_rate = "static"\n[advice.sources]\nfact_change_rate = "typed"\n')
    asked = Overrides(experiments=("facts_change",), seeds=1, arms=("prompt", "rag"))
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
    [done] = api.report_data(tmp_path / "run").findings
    found = [(one.key, one.said, one.source, one.found) for one in done.contradicted]
    sentence = (
        f"The folder after/ changes the answers of {changed} of 10 eval questions; facts that change are not static."
    )
    assert found == ([("fact_change_rate", "static", "typed", sentence)] if contradicted else [])


def test_of_long_texts_it_is_not_asked_whether_the_old_fact_is_told(whole, tmp_path):
    text = (whole / "scenario.toml").read_text()
    (whole / "scenario.toml").write_text(text.replace('kind = "short_answer"', 'kind = "free_text"'))
    asked = Overrides(experiments=("facts_change",), seeds=1, arms=("prompt", "rag"))
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
    [done] = api.report_data(tmp_path / "run").findings
    assert {r.measure for r in done.readings if r.unit != "seconds"} == {"token_f1"}


def test_bounds_of_retrieval_come_from_the_right_and_from_wrong_documents(found):
    done = found("retrieval")["retrieval"]
    scores = readings(done, "token_f1")
    assert scores["rag", "oracle passages"] == 1.0
    assert scores["rag", "a wrong corpus"] == 0.0
    assert ("rag", "BM25") in scores


def test_misses_are_split_into_those_of_retrieval_and_of_generation(found):
    engine = FakeEngine(FakeModel(canned={"What is the capital of Landia1?": "nonsense"}))
    done = found("retrieval", engine=engine)["retrieval"]
    said = next(sentence for sentence in done.sentences if sentence.startswith("RAG missed"))
    assert ": 0 by retrieval" in said
    assert done.bearing


def test_a_miss_whose_document_was_not_retrieved_is_one_of_retrieval(whole, found):
    """Asked of Landia1, where the answer is said to stand in the document on Landia50; one case names no document."""
    rows = [json.loads(line) for line in (whole / "eval.jsonl").read_text().splitlines()]
    rows[1] |= {"context_id": "d50", "output": "City50"}
    del rows[2]["context_id"]
    (whole / "eval.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = found("retrieval")["retrieval"]
    said = next(sentence for sentence in done.sentences if sentence.startswith("RAG missed"))
    assert said.startswith("RAG missed 1 of 9 cases whose document is known: 1 by retrieval")


def test_of_an_experiment_that_was_not_run_nothing_is_found(whole, tmp_path):
    fake_run(whole, tmp_path / "run", overrides=Overrides(seeds=1, arms=("prompt", "rag")), remember=False)
    evidence = Evidence(RunFolder(tmp_path / "run"), "retrieval")
    assert probe("retrieval").finding(evidence).readings == ()
    assert probe("retrieval").finding(evidence).sentences == ()


def test_an_arm_that_answers_other_words_otherwise_is_seen_to(found):
    engine = FakeEngine(FakeModel(canned={"Tell me.": "nonsense"}))
    done = found("consistency", engine=engine)["consistency"]
    shares = {(r.arm, r.measure): r.value for r in done.readings}
    assert shares["rag", "same answer, paraphrase"] == 0.0
    assert shares["rag", "same answer, other spacing"] == 1.0


def test_a_strict_answer_is_contradicted_also_where_no_answer_stayed_the_same(whole, tmp_path, monkeypatch):
    with (whole / "scenario.toml").open("a") as stream:
        stream.write('[advice]\ndate = "2026-11-25"\napproach = "rag"\nhypothesis = "It wins."\n')
        stream.write('[advice.answers]\nconsistency = "strict"\n')
    fake_run(whole, tmp_path / "run", overrides=Overrides(experiments=("consistency",), seeds=1), remember=False)
    monkeypatch.setattr(Evidence, "mean", lambda self, values, *, right_or_wrong: Interval(0.0, 0.0, 0.0))
    done = probe("consistency").finding(Evidence(RunFolder(tmp_path / "run"), "consistency"))
    assert [(one.key, one.said) for one in done.contradicted] == [("consistency", "strict")]


def test_an_arm_is_given_as_many_right_passages_as_it_retrieves(tmp_path):
    bench = tiny_bench(folder=tmp_path)
    recipe = Recipe("rag", k=bench.retrieval.count() + 2, source="documents")
    ground = Ground(RunFolder(tmp_path), bench, FakeEngine(), {"rag": recipe}, RunOptions(), FakeWatcher())
    oracle = next(v for v in probe("retrieval").variants(ground) if v.condition == "oracle passages")
    asked = oracle.how.requests(recipe, oracle.cases, bench=bench)
    assert {len(request.passages) for request in asked} == {recipe.k}


def test_only_answers_can_decline(found):
    """Ten questions: one answer declines, one is empty, one ends in an error."""
    model = FakeModel(canned={"Landia1?": "I do not know.", "Landia2?": ""}, fails_on=("Landia3?",))
    done = found("harm", engine=FakeEngine(model))["harm"]
    [declined] = [r for r in done.readings if r.measure == "declined" and r.arm == "rag"]
    assert (declined.value, declined.n, declined.failed) == (1 / 8, 8, 2)
    said = next(s for s in done.sentences if s.startswith("RAG, asked"))
    assert said == (
        "RAG, asked 10 questions that no passage answers, declines in 13 % (2 to 47 %) of 8 answers, as far as English "
        "phrases such as “I do not know” and “not mentioned” show; the other answers hold no such phrase. Not counted "
        "among the answers: 1 empty and 1 ended in an error."
    )


def test_an_arm_that_answers_nothing_declines_nothing(found):
    done = found("harm", engine=FakeEngine(FakeModel(fails_on=("capital of Landia",))))["harm"]
    assert not [r for r in done.readings if r.measure == "declined"]
    assert any("questions that no passage answers, answered none. Not counted" in s for s in done.sentences)


def test_documents_in_the_weights_are_set_against_the_index(found):
    done = found("documents_in_weights")["documents_in_weights"]
    assert {r.arm for r in done.readings} == {"lora_documents", "rag", "rag_lora", "lora"}
    assert any("against RAG" in sentence for sentence in done.sentences)


def test_the_curve_has_a_point_for_every_share_of_the_examples(found):
    done = found("learning_curve")["learning_curve"]
    sizes = [r.condition for r in done.readings if r.arm == "nearest_shots"]
    assert len(sizes) >= 3
    assert sizes[-1] == "48 examples"
    assert any("twice the labels" in sentence for sentence in done.sentences)


@dataclass
class Learner(FakeModel):
    """Tuned on n examples it is wrong on a share of the questions that shrinks with the root of n."""

    share: float = 0.4
    """Wrong after 48 examples."""

    def reply(self, prompt):
        number = int(re.findall(r"Landia(\d+)", prompt)[-1])
        wrong = self.share * (48 / len(self.memory)) ** 0.5 if self.memory else 1.0
        return f"City{number}" if number < 60 * (1 - wrong) else "unknown"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (0.5, r"by the fitted curve\. \(Each size"),
        (0.62, r"; to reach the target at 62 points it would take about 10 more labels \(wide open\)\."),
        (1.0, r"; to reach the target at 100 points there is no number of labels that these cases let us defend\."),
    ],
)
def test_how_many_labels_the_target_is_away_is_said_where_the_cases_let_it_be_defended(tmp_path, target, said):
    folder = write_scenario_files(tmp_path / "s", tiny_scenario(cases=60, train=60, documents=False))
    with (folder / "scenario.toml").open("a") as stream:
        stream.write(f"target = {target}\n")
    asked = Overrides(experiments=("learning_curve",), seeds=1, arms=("prompt", "lora"))
    fake_run(folder, tmp_path / "run", overrides=asked, engine=FakeEngine(Learner()), remember=False)
    [done] = api.report_data(tmp_path / "run").findings
    (outlook,) = (
        one for one in done.sentences if one.startswith("For LoRA, twice the labels (96) would add something")
    )
    assert re.search(said, outlook)


def test_harm_is_looked_for_in_tuned_and_reading_arms(found):
    done = found("harm")["harm"]
    measures = {r.measure for r in done.readings}
    assert {"general ability", "declined", "leaked"} <= measures
    assert any("of its own training examples" in sentence for sentence in done.sentences)


@dataclass
class Forgetful(FakeModel):
    """Knows the general questions until it is tuned; then it knows all but so many of them."""

    forgets: int = 0

    def reply(self, prompt):
        items = [one for one in general_items() if one.match == "word"]
        known = items[self.forgets :] if self.memory else items
        answers = {one.input: one.accepted[0] for one in known}
        return next(
            (answer for asked, answer in answers.items() if f"\n{asked}<|end|>" in prompt), super().reply(prompt)
        )


@pytest.mark.parametrize(
    ("forgets", "said"),
    [
        (0, "kept its general ability, or lost no more than 10 points: "),
        (3, "may or may not have lost general ability: −"),
        (25, "forgot some of its general ability: −"),
    ],
)
def test_a_loss_of_general_ability_is_shown_ruled_out_or_neither(whole, tmp_path, forgets, said):
    asked = Overrides(experiments=("harm",), seeds=1, arms=("prompt", "lora"))
    engine = FakeEngine(Forgetful(forgets=forgets))
    fake_run(whole, tmp_path / "run", overrides=asked, engine=engine, remember=False)
    [done] = api.report_data(tmp_path / "run").findings
    (sentence,) = (one for one in done.sentences if one.startswith("LoRA") and "general ability" in one)
    assert sentence.startswith(f"LoRA {said}")
    assert sentence.endswith(f" on {len(general_items())} simple tasks.")


def test_findings_are_records(found):
    assert all(isinstance(one, Finding) for one in found("consistency").values())


def test_a_label_task_is_set_against_a_classifier(tmp_path):
    import msgspec

    folder = tmp_path / "labels"
    folder.mkdir()
    rows = [{"input": f"{word} number {n}", "output": label} for n in range(30) for word, label in WORDS]
    (folder / "train.jsonl").write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in rows[:60]))
    (folder / "eval.jsonl").write_bytes(
        b"".join(msgspec.json.encode({**r, "input": f"{r['input']} please"}) + b"\n" for r in rows[60:])
    )
    asked = Overrides(experiments=("classifier", "form", "harm"), seeds=1)
    fake_run(folder, tmp_path / "run", overrides=asked, remember=False)
    data = api.report_data(tmp_path / "run")
    done = {one.experiment: one for one in data.findings}
    assert readings(done["classifier"], "accuracy")["classifier", "logistic regression"] == 1.0
    assert data.verdict.notes
    assert not any(r.measure == "leaked" for r in done["harm"].readings), "every label is an output of the training set"
    assert {r.condition for r in done["form"].readings} == {"as run", "held to the form", "repaired once"}


WORDS = (("apple", "fruit"), ("carrot", "vegetable"), ("salmon", "fish"))


def test_scenarios_without_experiments_have_no_findings(tmp_path):
    folder = write_scenario_files(tmp_path / "plain", tiny_scenario(cases=10, train=20))
    fake_run(folder, tmp_path / "run", overrides=Overrides(seeds=1), remember=False)
    assert api.report_data(tmp_path / "run").findings == ()


# what is done again, and what is not


def test_without_all_seeds_there_is_no_verdict(whole, tmp_path):
    from harness.errors import RunFolderError

    fake_run(whole, tmp_path / "run", overrides=Overrides(seeds=2), remember=False)
    for name in ("experiments/seeds/done.json", "verdict.json"):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(RunFolderError, match="still to be trained from further seeds"):
        api.score(tmp_path / "run")


def test_a_changed_input_of_an_experiment_has_it_run_again(whole, tmp_path):
    asked = Overrides(experiments=("consistency", "retrieval"), seeds=1)
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
    lines = (whole / "paraphrases.jsonl").read_text().splitlines()
    (whole / "paraphrases.jsonl").write_text(lines[0] + "\n")
    watcher = FakeWatcher()
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False, watcher=watcher)
    assert "experiment consistency" in watcher.stages
    assert "experiment retrieval" not in watcher.stages
    done = {one.experiment: one for one in api.report_data(tmp_path / "run").findings}["consistency"]
    assert {r.n for r in done.readings if r.measure == "same answer, paraphrase"} == {1}


def test_an_experiment_that_broke_is_tried_again(whole, tmp_path, monkeypatch):
    from harness.experiment.probes import consistency

    asked = Overrides(experiments=("consistency",), seeds=1)
    with monkeypatch.context() as patch:
        patch.setattr(consistency, "_cased", lambda text: 1 / 0)
        fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
        assert "ZeroDivisionError" in api.report_data(tmp_path / "run").findings[0].could_not
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
    assert not api.report_data(tmp_path / "run").findings[0].could_not


def test_several_wordings_of_one_case_all_count(whole, found):
    text = (whole / "paraphrases.jsonl").read_text()
    (whole / "paraphrases.jsonl").write_text(text + text.splitlines()[0].replace("Tell me.", "Say") + "\n")
    done = found("consistency")["consistency"]
    assert {r.n for r in done.readings if r.measure == "same answer, paraphrase"} == {6}


def test_pairs_that_are_the_questions_themselves_are_no_update(whole, found):
    rows = [json.loads(line) for line in (whole / "after" / "eval.jsonl").read_text().splitlines()]
    text = "".join(json.dumps({"input": row["input"], "output": row["output"]}) + "\n" for row in rows)
    (whole / "after" / "train.jsonl").write_text(text)
    done = found("facts_change")["facts_change"]
    assert not any(r.condition == "trained anew" for r in done.readings)


def test_criteria_weigh_the_arms_and_say_what_was_not_measured(whole, tmp_path):
    with (whole / "scenario.toml").open("a") as stream:
        stream.write("[criteria]\nquality = 2\ncost = 1\nfreshness = 1\n")
    fake_run(whole, tmp_path / "run", overrides=Overrides(seeds=2), remember=False)
    standing = api.report_data(tmp_path / "run").verdict.standing
    assert set(standing.weights) == {"quality", "cost"}
    assert standing.unmeasured == ("freshness",)
    assert sum(standing.best_probability.values()) == pytest.approx(1)
    api.report(tmp_path / "run")
    assert "Weighed and not measured in this run, so left out: freshness." in (tmp_path / "run/report.md").read_text()


def test_questions_that_stand_in_the_training_examples_are_asked_of_no_arm(whole, found):
    """Trained on "e0" as it was, an arm would be asked for "e0" as it is now."""
    with (whole / "after" / "eval.jsonl").open("a") as stream:
        stream.write('{"id": "x1", "input": "WHAT is the capital of Landia20?", "output": "NewCity20"}\n')
        stream.write('{"id": "x2", "input": "What is capital of Landia21?", "output": "NewCity21"}\n')
    done = found("facts_change")["facts_change"]
    assert {r.n for r in done.readings if r.unit != "seconds"} == {5}
    assert (
        "2 of 7 questions of after/eval.jsonl stand in the training examples, exactly or nearly, so they are asked of "
        "no arm."
    ) in done.sentences


def test_where_every_changed_question_stands_in_the_training_examples_nothing_can_be_asked(whole, found):
    (whole / "after" / "eval.jsonl").write_text(
        '{"id": "x1", "input": "What is the capital of Landia20?", "output": "NewCity20"}\n'
    )
    done = found("facts_change")["facts_change"]
    assert done.could_not == "every question of after/eval.jsonl stands in the training examples, exactly or nearly"


def test_pairs_of_a_question_that_is_not_asked_may_be_trained_on(whole, found):
    row = '{"id": "x1", "input": "What is the capital of Landia20?", "output": "NewCity20"}\n'
    with (whole / "after" / "eval.jsonl").open("a") as stream:
        stream.write(row)
    (whole / "after" / "train.jsonl").write_text(row)
    done = found("facts_change")["facts_change"]
    assert any(r.condition == "trained anew" for r in done.readings)


def test_a_judge_that_says_nothing_readable_leaves_a_report_all_the_same(found):
    done = found("judge")["judge"]
    assert any("no verdict that could be read" in s or "could be read" in s for s in done.sentences)


def test_a_tuned_embedder_is_made_once_and_set_against_the_one_as_it_came(whole, tmp_path, monkeypatch):
    from fakes import FakeEmbedder

    from harness.experiment.probes import tuned_embedder
    from harness.tuning import embedder as tuning

    made = []

    def tune(base, pairs, *, out, seed, notify):
        made.append(len(pairs))
        return tuning.TunedEmbedder(out, "d" * 64, 1.5, len(pairs), 2, 0.1)

    monkeypatch.setattr(tuning, "tune_embedder", tune)
    monkeypatch.setattr(tuned_embedder, "SentenceEmbedder", lambda name: FakeEmbedder())
    asked = Overrides(experiments=("tuned_embedder",), seeds=1)
    fake_run(whole, tmp_path / "run", overrides=asked, remember=False)
    [done] = api.report_data(tmp_path / "run").findings
    assert [r.condition for r in done.readings] == ["tuned embedder", "as run"]
    assert f"on {made[0]} pairs, in 1.5 s." in done.sentences[-1]
