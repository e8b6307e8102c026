"""Experiments that fail in part or as a whole: what is kept, what is tried again, and what the verdict says of it."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from fakes import FakeEngine, FakeModel, FakeWatcher, fake_run, tiny_scenario, write_scenario_files

from harness import api
from harness.experiment.experiments import stands
from harness.experiment.probes import consistency, judge
from harness.experiment.probes.read import Done
from harness.experiment.probes.seeds import SeedsProbe
from harness.judging.judge import Judgment
from harness.scenario import ErrorBudget
from harness.scenario_file.read import Overrides
from harness.store import RunFolder

SEEDS = Overrides(arms=("prompt", "lora"), seeds=3)
JUDGED = Overrides(arms=("prompt", "rag"), seeds=1, experiments=("judge",))
ASKED_TO_JUDGE = "Which answer is better?"


@dataclass
class ShortOfMemory(FakeEngine):
    """Tuning from these seeds fails."""

    seeds: tuple[int, ...] = (1, 2)

    def tuner(self, folder, **named):
        made = super().tuner(folder, **named)
        made.fails = named["seed"] in self.seeds
        return made


@dataclass
class Judging(FakeModel):
    """Judges that the first answer shown is better; comparisons that hold one of `unreachable` fail."""

    unreachable: tuple[str, ...] = ()
    says: str = "A"
    asked: list[str] = field(default_factory=list)

    def start(self, prompts, **named):
        self.fails_on = self.unreachable if all(ASKED_TO_JUDGE in p for p in prompts) else ()
        return super().start(prompts, **named)

    def reply(self, prompt):
        if ASKED_TO_JUDGE not in prompt:
            return super().reply(prompt)
        self.asked.append(prompt)
        return self.says


def finding(out, name):
    return next(one for one in api.report_data(out).findings if one.experiment == name)


def notes(out):
    return " ".join(api.report_data(out).verdict.notes)


def done(out, name):
    return RunFolder(out).read(f"experiments/{name}/done.json", Done)


# variants that fail


def test_seeds_that_failed_are_missing_from_the_verdict_and_it_says_so(scenario, out):
    fake_run(scenario, out, engine=ShortOfMemory(), overrides=SEEDS, remember=False)
    assert (
        "LoRA: 1 of 3 training seeds could be run (seed 1 and seed 2: RuntimeError: the fake tuner fails); its "
        "interval knows nothing of the luck of training."
    ) in api.report_data(out).verdict.notes
    assert done(out, "seeds").partly
    assert "the fake tuner fails" in done(out, "seeds").broken
    assert not stands(RunFolder(out), "seeds")


def test_an_arm_with_some_of_its_seeds_says_how_many(scenario, out):
    fake_run(scenario, out, engine=ShortOfMemory(seeds=(2,)), overrides=SEEDS, remember=False)
    assert "LoRA: 2 of 3 training seeds could be run (seed 2: RuntimeError" in notes(out)
    assert "knows less of the luck of training than was asked for" in notes(out)
    assert len(api.report_data(out).verdict.seeds[0].scores) == 2


def test_the_same_command_tries_only_the_failed_variants_again(scenario, out):
    fake_run(scenario, out, engine=ShortOfMemory(seeds=(2,)), overrides=SEEDS, remember=False)
    engine, watcher = FakeEngine(), FakeWatcher()
    fake_run(scenario, out, engine=engine, watcher=watcher, overrides=SEEDS, remember=False)
    assert [tuner.seed for tuner in engine.tuners if tuner.seen] == [2]
    assert "could be run" not in notes(out)
    assert len(api.report_data(out).verdict.seeds[0].scores) == 3
    assert done(out, "seeds") == Done(inputs=done(out, "seeds").inputs)
    assert stands(RunFolder(out), "seeds")
    assert not any("the verdict is drawn again" in note for note in watcher.notes)


def test_a_whole_run_is_not_begun_again(scenario, out):
    fake_run(scenario, out, overrides=SEEDS, remember=False)
    engine = FakeEngine(model_is_there=False)
    fake_run(scenario, out, engine=engine, overrides=SEEDS, remember=False)
    assert engine.tuners == []


def test_seeds_that_broke_as_a_whole_are_said_beside_the_verdict_too(scenario, out, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(SeedsProbe, "variants", lambda self, ground: 1 / 0)
        fake_run(scenario, out, overrides=SEEDS, remember=False)
    assert "LoRA: 1 of 3 training seeds could be run (ZeroDivisionError: division by zero)" in notes(out)
    assert finding(out, "seeds").could_not
    assert not done(out, "seeds").partly
    fake_run(scenario, out, overrides=SEEDS, remember=False)
    assert "could be run" not in notes(out)


def test_a_variant_that_keeps_failing_is_stopped_by_the_error_budget(scenario, out):
    class Broken(FakeEngine):
        @contextmanager
        def adapted(self, adapter):
            self.fake.fails_on = ("Landia",) if adapter is not None and "seed-1" in str(adapter) else ()
            with super().adapted(adapter):
                yield
            self.fake.fails_on = ()

    fake_run(scenario, out, engine=Broken(), overrides=SEEDS, max_errors=ErrorBudget(3, 0.5), remember=False)
    made = RunFolder(next((out / "experiments" / "seeds").glob("*seed-1"))).predictions()["lora"]
    assert 3 <= len(made) < 10
    assert "LoRA: 2 of 3 training seeds could be run (seed 1: ArmFailed: it was stopped after" in notes(out)
    fake_run(scenario, out, overrides=SEEDS, remember=False)
    assert "could be run" not in notes(out)


def test_a_variant_that_cannot_be_answered_costs_only_itself_and_is_tried_again(scenario, out):
    class NoAdapter(FakeEngine):
        def adapted(self, adapter):
            if adapter is not None and "seed-1" in str(adapter):
                raise RuntimeError("out of memory")
            return super().adapted(adapter)

    fake_run(scenario, out, engine=NoAdapter(), overrides=SEEDS, remember=False)
    assert "LoRA: 2 of 3 training seeds could be run (seed 1: RuntimeError: out of memory)" in notes(out)
    engine = FakeEngine()
    fake_run(scenario, out, engine=engine, overrides=SEEDS, remember=False)
    assert not any(tuner.seen for tuner in engine.tuners), "it was trained already"
    assert len(api.report_data(out).verdict.seeds[0].scores) == 3


def test_what_was_answered_is_reported_with_what_was_not(tmp_path, out):
    path = write_scenario_files(tmp_path / "s", tiny_scenario(cases=10, train=60))
    asked = Overrides(arms=("prompt", "nearest_shots", "lora"), seeds=1, experiments=("learning_curve",))
    engine = FakeEngine()
    watcher = FakeWatcher()

    def tuner(folder, **named):
        made = FakeEngine.tuner(engine, folder, **named)
        made.fails = "experiments" in str(folder)
        return made

    engine.tuner = tuner
    fake_run(path, out, engine=engine, watcher=watcher, overrides=asked, remember=False)
    found = finding(out, "learning_curve")
    assert {r.arm for r in found.readings} == {"nearest_shots"}
    assert found.sentences[-1] == (
        "Not all of it could be run: RuntimeError: the fake tuner fails. The same command tries it again."
    )
    assert not found.could_not
    assert any("Part of the experiment learning_curve could not be run" in note for note in watcher.notes)
    fake_run(path, out, overrides=asked, remember=False)
    found = finding(out, "learning_curve")
    assert {r.arm for r in found.readings} == {"nearest_shots", "lora"}
    assert not found.added_later, "it was asked for before the verdict"


def test_an_experiment_of_which_nothing_was_answered_could_not_be_run(tmp_path, out):
    path = write_scenario_files(tmp_path / "s", tiny_scenario(cases=10, train=20))
    asked = Overrides(arms=("rag", "lora"), seeds=1, experiments=("documents_in_weights",))

    class Failing(FakeEngine):
        def tuner(self, folder, **named):
            made = super().tuner(folder, **named)
            made.fails = "experiments" in str(folder)
            return made

    fake_run(path, out, engine=Failing(), overrides=asked, remember=False)
    found = finding(out, "documents_in_weights")
    assert found.could_not == "RuntimeError: the fake tuner fails"
    assert found.sentences == ("It could not be run: RuntimeError: the fake tuner fails",)


def test_an_experiment_stands_where_it_was_asked_for_could_be_run_and_is_whole(scenario, out):
    asked = Overrides(arms=("prompt", "rag"), seeds=1, experiments=("retrieval", "classifier"))
    fake_run(scenario, out, overrides=asked, remember=False)
    folder = RunFolder(out)
    assert stands(folder, "retrieval")
    assert not stands(folder, "classifier"), "answers are no labels"
    assert not stands(folder, "facts_change"), "nobody asked for it"
    folder.write("experiments/retrieval/begun.json", "other input")
    assert not stands(folder, "retrieval")


# findings that cannot be worked out


def test_a_finding_that_cannot_be_worked_out_costs_neither_the_verdict_nor_the_others(scenario, out, monkeypatch):
    asked = Overrides(arms=("prompt", "rag"), seeds=1, experiments=("consistency", "retrieval"))
    with monkeypatch.context() as patch:
        patch.setattr(consistency.ConsistencyProbe, "finding", lambda self, evidence: {}["lost"])
        fake_run(scenario, out, overrides=asked, remember=False)
        broken, whole = (finding(out, name) for name in ("consistency", "retrieval"))
        assert broken.could_not == "KeyError: 'lost'"
        assert broken.sentences == ("What it answered could not be worked out: KeyError: 'lost'",)
        assert whole.readings
        api.score(out)
        assert api.report_data(out).verdict.arm == "rag"
    api.score(out)
    assert finding(out, "consistency").readings, "the answers are all there"


# a judge that cannot be reached


def judged(out):
    return tuple(RunFolder(out).lines("experiments/judge/judgments.jsonl", Judgment))


def test_comparisons_that_the_judge_did_not_reply_to_are_not_kept_as_unreadable(scenario, out):
    engine = FakeEngine(Judging(unreachable=("Landia3?", "Landia4?")))
    fake_run(scenario, out, engine=engine, overrides=JUDGED, remember=False)
    assert {j.case_id for j in judged(out)} == {f"e{n}" for n in range(10)} - {"e3", "e4"}
    found = finding(out, "judge")
    assert "the judge did not reply to 2 of 10 comparisons (RuntimeError" in done(out, "judge").broken
    assert found.sentences[-1].startswith("Not all of it could be run: the judge did not reply to 2 of 10 comparisons")
    assert {r.n for r in found.readings if r.measure == "win rate"} == {8}
    assert not stands(RunFolder(out), "judge")


def test_the_next_run_asks_the_judge_for_the_rest(scenario, out):
    fake_run(scenario, out, engine=FakeEngine(Judging(unreachable=("Landia3?",))), overrides=JUDGED, remember=False)
    engine = FakeEngine(Judging())
    fake_run(scenario, out, engine=engine, overrides=JUDGED, remember=False)
    assert len(engine.fake.asked) == 2, "one comparison, both orders"
    assert all("Landia3?" in prompt for prompt in engine.fake.asked)
    assert [j.case_id for j in judged(out)] == [f"e{n}" for n in range(10)]
    assert stands(RunFolder(out), "judge")
    assert "Not all of it" not in finding(out, "judge").sentences[-1]
    again = FakeEngine(Judging())
    fake_run(scenario, out, engine=again, overrides=JUDGED, remember=False)
    assert again.fake.asked == []


def test_a_judge_session_that_is_killed_loses_only_the_comparisons_under_way(scenario, out, monkeypatch):
    monkeypatch.setattr(judge, "AT_ONCE", 4)

    def killed_at(prompts):
        if any("Landia5?" in prompt and ASKED_TO_JUDGE in prompt for prompt in prompts):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fake_run(scenario, out, engine=FakeEngine(Judging(before_batch=killed_at)), overrides=JUDGED, remember=False)
    engine = FakeEngine(Judging())
    fake_run(scenario, out, engine=engine, overrides=JUDGED, remember=False)
    assert len(engine.fake.asked) == 12, "six comparisons, both orders: four were on disk"
    assert [j.case_id for j in judged(out)] == [f"e{n}" for n in range(10)]
    assert sorted(path.name for path in (out / "experiments" / "judge").glob("judg*")) == [
        "judge.json",
        "judgments.jsonl",
    ]


def test_a_judge_that_was_never_reached_has_no_finding(scenario, out):
    engine = FakeEngine(Judging(unreachable=(ASKED_TO_JUDGE,)))
    fake_run(scenario, out, engine=engine, overrides=JUDGED, remember=False)
    found = finding(out, "judge")
    assert found.could_not.startswith("the judge did not reply to 10 of 10 comparisons")
    assert not found.bearing
    assert not found.readings


def test_replies_that_cannot_be_read_are_judgments_and_are_counted(scenario, out):
    fake_run(scenario, out, engine=FakeEngine(Judging(says="Hm.")), overrides=JUDGED, remember=False)
    assert stands(RunFolder(out), "judge")
    assert any("no verdict that could be read in any of 10 comparisons" in s for s in finding(out, "judge").sentences)


@pytest.mark.parametrize("name", ["done.json", "judgments.jsonl"])
def test_the_files_of_an_experiment_are_where_readers_look_for_them(scenario, out, name):
    fake_run(scenario, out, engine=FakeEngine(Judging()), overrides=JUDGED, remember=False)
    assert (out / "experiments" / "judge" / name).is_file()
