"""The plan says what fits the device, and what would, before anything is loaded."""

from dataclasses import replace

import pytest
from fakes import FakeEmbedder, FakeEngine, tiny_scenario
from tiny_llama import save_tiny_llama

from harness.cli.show import plan_sentences
from harness.engines.local import LocalEngine
from harness.errors import InputProblems, UserError
from harness.experiment import resources
from harness.experiment.options import RunOptions
from harness.experiment.resources import fit_sentence, fits, fits_here, refuse_processes
from harness.experiment.run import prepare
from harness.models.shape import Shape
from harness.scenario import TuningWish
from harness.scenario_file.read import read_scenario

LLAMA_7B = Shape(6_738_415_616, layers=32, width=4096, wide=11_008, queries=4096, keys=4096, vocabulary=32_000)
ARMS = ("prompt", "rag", "lora")
GB = 1024


def on_gpu(gigabytes, *, arms=ARMS, **wish):
    scenario = replace(tiny_scenario(), tuning=TuningWish(**wish))
    return fits(scenario, arms, LLAMA_7B, device="cuda", number=2, there_mb=gigabytes * GB)


@pytest.mark.parametrize(
    ("gigabytes", "wish", "answers", "tunes"),
    [(80, {}, True, True), (12, {}, False, False), (24, {"bits": 4}, True, True), (4, {"bits": 4}, False, False)],
)
def test_a_7b_model_on_a_gpu(gigabytes, wish, answers, tunes):
    assert [(fit.what, fit.fits) for fit in on_gpu(gigabytes, **wish)] == [
        ("answering", answers),
        ("tuning an adapter", tunes),
    ]


def test_what_would_make_it_fit_is_said():
    answered, tuned = map(fit_sentence, on_gpu(12))
    assert answered.startswith("Answering needs about ")
    assert "weights 12.6 GB" in answered
    assert "the GPU has 12.0 GB: it does not fit: with bits = 4 under [tuning] it would take about" in tuned
    assert fit_sentence(on_gpu(4, bits=4)[1]).endswith("the GPU has 4.0 GB: it does not fit: take a smaller model.")
    assert fit_sentence(on_gpu(80)[0]).endswith("the GPU has 80.0 GB: it fits.")


def test_layers_are_computed_again_before_it_is_said_not_to_fit():
    (_, roomy), (_, tight) = on_gpu(80), on_gpu(18)
    assert roomy.fits
    assert tight.fits
    assert dict(tight.parts)["activations"] < 0.5 * dict(roomy.parts)["activations"]


def test_where_no_arm_is_tuned_only_answering_is_looked_at():
    assert [fit.what for fit in on_gpu(80, arms=("prompt",))] == ["answering"]


def test_weights_that_are_elsewhere_are_not_looked_at():
    assert fits_here(FakeEngine(), tiny_scenario(), ARMS) == ()


@pytest.mark.model
def test_the_plan_has_it_and_warns_where_it_does_not_fit(scenario, out, tmp_path, monkeypatch):
    folder = save_tiny_llama(tmp_path / "tiny")

    def planned():
        return prepare(
            scenario,
            options=RunOptions(out=out),
            engine_for=lambda name: LocalEngine(str(folder)),
            load_embedder=lambda name: FakeEmbedder(),
        ).plan

    plan = planned()
    assert [fit.fits for fit in plan.fits] == [True, True]
    assert {fit_sentence(fit) for fit in plan.fits} < set(plan_sentences(plan))
    monkeypatch.setattr(resources, "device_memory", lambda device: 2**20)
    plan = planned()
    assert "it does not fit: take a smaller model" in plan.warnings[0]


def test_four_bits_are_read_from_the_scenario_and_reach_the_engine(scenario, out):
    with (scenario / "scenario.toml").open("a") as file:
        file.write("\n[tuning]\nbits = 4\n")
    assert read_scenario(scenario).tuning.bits == 4
    (scenario / "scenario.toml").write_text((scenario / "scenario.toml").read_text().replace("bits = 4", "bits = 5"))
    with pytest.raises(InputProblems, match=r"must be 4 \(the weights are held in four bits\)"):
        read_scenario(scenario)


def on_gpus(gigabytes, *, devices=4, device="cuda", **wish):
    scenario = replace(tiny_scenario(), tuning=TuningWish(**wish))
    room = {"device": device, "there_mb": gigabytes * GB, "devices": devices}
    return [fit_sentence(fit) for fit in fits(scenario, ARMS, LLAMA_7B, number=2, **room)]


def test_where_one_gpu_is_too_small_and_several_would_do_that_is_said():
    answered, tuned = on_gpus(12)
    assert answered.startswith("Answering needs about ")
    assert "; 4 GPUs together have 48.0 GB: it fits." in answered
    assert "the GPU has 12.0 GB: it does not fit: with processes = 2 under [tuning] each would need about" in tuned
    assert on_gpus(12, devices=1)[1].count("bits = 4") == 1


@pytest.mark.parametrize(("gigabytes", "processes"), [(12, 4), (80, 1)])
def test_auto_takes_all_gpus_where_one_is_too_small(gigabytes, processes):
    tuned = on_gpus(gigabytes, processes="auto")[1]
    assert ("in each of 4 processes" in tuned) is (processes == 4)
    assert tuned.endswith("has 12.0 GB: it fits." if processes == 4 else "has 80.0 GB: it fits.")


def test_too_few_processes_and_too_small_gpus_are_said():
    assert "it does not fit: with processes = 3 under [tuning]" in on_gpus(9, processes=2)[1]
    assert on_gpus(3, processes=4)[1].endswith("each GPU has 3.0 GB: it does not fit: take a smaller model.")


def test_processes_of_one_machine_without_gpus_share_its_memory():
    fits_in, too_much = (on_gpus(n, devices=1, device="cpu", processes=2)[1] for n in (64, 24))
    assert fits_in.endswith("for all of them, and the model itself, this machine has 64.0 GB: it fits.")
    assert too_much.endswith("it does not fit: take fewer processes, which share this machine's memory.")


def test_more_processes_than_gpus_are_refused_before_anything_starts():
    sentence = "processes = 4 under \\[tuning\\] needs 4 CUDA GPUs, one a process, and this machine has 2 of them"
    with pytest.raises(UserError, match=sentence):
        refuse_processes(4, device="cuda", devices=2)
    with pytest.raises(UserError, match="Write processes = 1"):
        refuse_processes(2, device="mps", devices=1)
    for wish, device in ((2, "cuda"), ("auto", "mps"), (None, "mps"), (8, "cpu")):
        refuse_processes(wish, device=device, devices=2)


@pytest.mark.parametrize("line", ["bits = 4", "sweep = 4"])
def test_what_one_process_alone_can_do_excludes_several(scenario, line):
    with (scenario / "scenario.toml").open("a") as file:
        file.write(f"\n[tuning]\nprocesses = 1\n{line}\n")
    assert read_scenario(scenario).tuning.processes == 1
    text = (scenario / "scenario.toml").read_text()
    (scenario / "scenario.toml").write_text(text.replace("processes = 1", 'processes = "auto"'))
    with pytest.raises(InputProblems, match="is for one process: take that line out, or the line with processes"):
        read_scenario(scenario)
