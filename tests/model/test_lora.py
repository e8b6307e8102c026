"""LoRA: the loss is that of whole rows, tuning learns, and the base weights come out untouched."""

import hashlib
import random
from dataclasses import replace

import pytest
from plain_library import gradients, plain_loss

from harness.generation import attention
from harness.generation.decode import LocalTextModel
from harness.tuning import lora
from harness.tuning.examples import Row, RowSet, TrainingText, row_set
from harness.tuning.lora import TuningSettings, answer_loss, dev_loss, merged, micro_batches, tune

pytestmark = pytest.mark.model

QUICK = TuningSettings(rank=4, alpha=8, learning_rates=(5e-3,), epochs=3, rows=8)


def weights(loaded):
    """A digest of every base weight's bits."""
    total = hashlib.sha256()
    for name, tensor in sorted(loaded.network.state_dict().items()):
        total.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return total.hexdigest()


def pairs(n, *, start=0):
    """Prompts with a long shared beginning; the answer can be learnt."""
    colours = ["red", "blue"]
    head = "<|system|>Name the colour of the thing, in one word and nothing else.<|end|><|user|>"
    return [
        TrainingText(f"{head}thing {colours[k % 2]}{k}<|end|><|assistant|>", colours[k % 2])
        for k in range(start, start + n)
    ]


def random_rows(seed, *, prefix):
    rng = random.Random(seed)
    head = tuple(rng.randrange(256) for _ in range(prefix))
    draw = lambda low, high: tuple(rng.randrange(256) for _ in range(rng.randint(low, high)))  # noqa: E731
    return [Row((*head, *draw(1, 40)), draw(1, 12)) for _ in range(7)]


@pytest.fixture
def trainable(tiny):
    """The tiny model with gradients on, for as long as the test takes."""
    tiny.network.requires_grad_(True)
    yield tiny
    tiny.network.zero_grad(set_to_none=True)
    tiny.network.requires_grad_(False)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("prefix", [0, 30, 100])
@pytest.mark.parametrize("seed", [0, 1])
def test_loss_and_gradients_are_those_of_whole_rows(trainable, seed, prefix, packed, monkeypatch):
    """Packed, and padded as for networks that know no plans."""
    import torch

    monkeypatch.setattr(
        trainable.network, "_bakeoff_flat", packed and attention.ready(trainable.network), raising=False
    )
    rows = random_rows(seed, prefix=prefix)
    cut = row_set(rows)
    assert bool(cut.prefix) is (prefix > 0)
    made, count = answer_loss(trainable, trainable.network, cut.rows, prefix=cut.prefix)
    expected = plain_loss(trainable.network, rows)
    assert count == sum(len(row.answer) for row in rows)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)
    found, wanted = gradients(trainable.network, made), gradients(trainable.network, expected)
    assert set(found) == set(wanted)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def step_gradients(loaded, cut):
    """What one step over all rows hands to the optimizer, and the tokens that it counts."""
    loaded.network.zero_grad(set_to_none=True)
    trainer = lora.Trainer(loaded, loaded.network)
    trainer.update = lambda optimizer: None
    lora.one_step(trainer, None, cut, range(len(cut.rows)))
    found = {name: p.grad.clone() for name, p in loaded.network.named_parameters() if p.grad is not None}
    return found, trainer.tokens


@pytest.mark.parametrize("prefix", [0, 30])
def test_a_step_in_parts_has_the_gradients_of_one_batch(trainable, monkeypatch, prefix):
    import torch

    cut = row_set(random_rows(2, prefix=prefix))
    assert len(micro_batches(cut.rows, prefix=prefix)) == 1
    wanted, tokens = step_gradients(trainable, cut)
    monkeypatch.setattr(lora, "MICRO_TOKENS", 60)
    parts = micro_batches(cut.rows, prefix=prefix)
    assert len(parts) > 2
    assert sorted(row for part in parts for row in part) == sorted(cut.rows), "every row once"
    found, counted = step_gradients(trainable, cut)
    assert (set(found), counted) == (set(wanted), tokens)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_the_dev_loss_does_not_depend_on_how_rows_are_put_together(tiny):
    rows = random_rows(4, prefix=40)
    expected = float(plain_loss(tiny.network, rows)) / sum(len(row.answer) for row in rows)
    for held in (RowSet((), tuple(rows)), row_set(rows)):
        assert dev_loss(tiny, tiny.network, held) == pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def tuned(tiny, tmp_path_factory):
    """One adapter, with the base weights' digest before it was trained."""
    before = weights(tiny)
    out = tmp_path_factory.mktemp("adapters") / "first"
    said = []
    result = tune(
        tiny, pairs(32), dev=pairs(8, start=32), settings=QUICK, out=out, progress=lambda *what: said.append(what)
    )
    return before, result, said


def test_tuning_lowers_the_loss_on_dev(tuned):
    _, result, _ = tuned
    assert result.dev_losses[result.epochs] == min(result.dev_losses)
    assert min(result.dev_losses) < 0.5 * result.dev_losses[0]


def test_tuning_leaves_the_base_weights_as_they_were_bit_for_bit(tiny, tuned):
    assert weights(tiny) == tuned[0]
    assert not any(p.requires_grad for p in tiny.network.parameters())
    assert not any("lora" in name for name, _ in tiny.network.named_parameters())


def test_the_same_seed_makes_the_same_adapter_and_another_seed_another(tiny, tuned, tmp_path):
    again, other = (
        tune(tiny, pairs(32), dev=pairs(8, start=32), settings=replace(QUICK, seed=seed), out=tmp_path / str(seed))
        for seed in (0, 1)
    )
    assert again.digest == tuned[1].digest
    assert again.dev_losses == tuned[1].dev_losses
    assert other.digest != tuned[1].digest


def test_the_adapter_is_saved_without_pickles(tuned):
    names = {path.name for path in tuned[1].folder.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]


def test_progress_ends_at_the_whole(tuned):
    shares = [share for _, share in tuned[2]]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_tokens_of_every_step_are_counted(tiny, tuned):
    from harness.tuning.lora import encode_rows

    a_pass = row_set(encode_rows(tiny, pairs(32))).tokens
    assert tuned[1].tokens == a_pass * (len(tuned[1].dev_losses) - 1)


def test_of_two_learning_rates_the_better_on_dev_goes_on(tiny, tmp_path):
    settings = replace(QUICK, learning_rates=(1e-7, 5e-3), epochs=1)
    result = tune(tiny, pairs(32), dev=pairs(8, start=32), settings=settings, out=tmp_path)
    assert result.learning_rate == 5e-3
    assert [rate for rate, _ in result.trials] == [1e-7, 5e-3]


def test_without_dev_rows_all_epochs_of_the_first_rate_are_taken(tiny, tmp_path):
    settings = replace(QUICK, learning_rates=(1e-3, 5e-3), epochs=2)
    result = tune(tiny, pairs(16), dev=[], settings=settings, out=tmp_path)
    assert (result.learning_rate, result.epochs, result.dev_losses, result.trials) == (1e-3, 2, (), ())


def texts(tiny):
    model = LocalTextModel(tiny)
    job = model.start([pair.prompt for pair in pairs(12, start=50)], max_new_tokens=6)
    return [done.text for batch in job.batches for done in job.answer(batch)]


def test_a_merged_adapter_changes_the_answers_and_leaves_no_trace(tiny, tuned):
    before, plain = weights(tiny), texts(tiny)
    for _ in range(3):
        with merged(tiny, tuned[1].folder):
            adapted = texts(tiny)
            assert weights(tiny) != before
        assert adapted != plain
        assert weights(tiny) == before
        assert texts(tiny) == plain


def test_a_merged_adapter_leaves_no_trace_after_an_error_either(tiny, tuned):
    before = weights(tiny)
    with pytest.raises(KeyboardInterrupt), merged(tiny, tuned[1].folder):
        raise KeyboardInterrupt
    assert weights(tiny) == before


def test_after_a_merge_the_model_can_be_tuned_as_before(tiny, tuned, tmp_path):
    with merged(tiny, tuned[1].folder):
        pass
    again = tune(tiny, pairs(32), dev=pairs(8, start=32), settings=QUICK, out=tmp_path)
    assert again.digest == tuned[1].digest
