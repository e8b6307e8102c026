"""The plan says what fits the device, and what would, before anything is loaded."""

from dataclasses import replace

import pytest
from fakes import FakeEmbedder, FakeEngine, tiny_scenario
from tiny_llama import save_tiny_llama

from harness.cli.show import plan_sentences
from harness.engines.local import LocalEngine
from harness.errors import InputProblems
from harness.experiment import resources
from harness.experiment.options import RunOptions
from harness.experiment.resources import fit_sentence, fits, fits_here
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
