"""Flat decoding and packed tuning: the tokens, losses and gradients of one prompt a row."""

import random
from types import SimpleNamespace

import pytest
from plain_library import gradients, plain_loss, plain_tokens

from harness.generation import attention, flat
from harness.generation.attention import Packed
from harness.generation.decode import FLAT_ROWS, LocalTextModel
from harness.generation.forest import plant
from harness.generation.lean import forget, lean_layers
from harness.models.base import Stop
from harness.tuning.examples import Row
from harness.tuning.packing import packed_loss

pytestmark = pytest.mark.model


def rows_of_a_tree(seed, *, n=14):
    """Prompts with a common head; half of them share a second run, a few are equal."""
    rng = random.Random(seed)
    draw = lambda k: [rng.randrange(256) for _ in range(k)]  # noqa: E731
    head, second = draw(60), [draw(150), draw(140)]
    rows = [head + (rng.choice(second) if rng.random() < 0.6 else []) + draw(rng.randint(1, 50)) for _ in range(n)]
    return [*rows, rows[0], rows[1]]


def decoded(loaded, rows, *, shared=0, most=24, is_whole=None):
    root = flat.known_run(loaded.network, rows[0][:shared]) if shared else None
    return flat.decode(
        loaded.network,
        [row[shared:] for row in rows],
        root=root,
        start=shared,
        max_new_tokens=most,
        stop_ids=loaded.stop_ids,
        is_whole=is_whole,
    )


@pytest.fixture(autouse=True)
def flat_network(tiny):
    assert attention.ready(tiny.network)


@pytest.mark.parametrize("rows_at_once", [1, 3, 128])
@pytest.mark.parametrize("shared", [0, 60])
@pytest.mark.parametrize("seed", range(3))
def test_the_tokens_are_those_of_plain_generate(tiny, seed, shared, rows_at_once, monkeypatch):
    monkeypatch.setattr(flat, "ROWS", rows_at_once)
    rows = rows_of_a_tree(seed)
    found = decoded(tiny, rows, shared=shared)
    assert [ids for ids, _ in found] == [plain_tokens(tiny, row, most=24) for row in rows]
    assert len({len(ids) for ids, _ in found}) > 1, "some stop early"


@pytest.mark.parametrize("most", [1, 2, 40])
def test_rows_that_leave_make_room_for_waiting_ones(tiny, most, monkeypatch):
    monkeypatch.setattr(flat, "ROWS", 5)
    monkeypatch.setattr(flat, "ROOM", 900)
    monkeypatch.setattr(flat, "PASS", 500)
    rows = [row for seed in range(4) for row in rows_of_a_tree(seed, n=6)]
    found = decoded(tiny, rows, most=most)
    assert [ids for ids, _ in found] == [plain_tokens(tiny, row, most=most) for row in rows]
    assert all(finish == ("stop" if ids[-1] in tiny.stop_ids else "length") for ids, finish in found)


def test_an_answer_that_is_whole_ends(tiny):
    rows = rows_of_a_tree(5)
    found = decoded(tiny, rows, is_whole=lambda ids: len(ids) == 3)
    assert all(len(ids) <= 3 for ids, _ in found)
    assert all(finish == "stop" for _, finish in found)


def test_a_model_answers_many_prompts_as_it_answers_each_alone(tiny):
    model = LocalTextModel(tiny)
    prompts = [
        f"<|system|>Say it.<|end|><|user|>{'so ' * (k % 5)}{k}<|end|><|assistant|>" for k in range(FLAT_ROWS + 9)
    ]
    job = model.start(prompts, max_new_tokens=8)
    assert job.flat
    assert sorted(i for batch in job.batches for i in batch) == list(range(len(prompts)))
    together = {i: answer for batch in job.batches for i, answer in zip(batch, job.answer(batch), strict=True)}
    for i in (0, 7, FLAT_ROWS, FLAT_ROWS + 8):
        assert model.start([prompts[i]], max_new_tokens=8).answer((0,)) == [together[i]]


def test_early_ends_reach_flat_rows_too(tiny):
    stop = Stop("three", lambda text: len(text) >= 3)
    job = LocalTextModel(tiny).start(["<|user|>abc<|assistant|>"], max_new_tokens=24, stop=stop)
    assert job.answer((0,))[0].tokens_out <= 3


# labels


LABELS = ("card", "card lost", "card stolen", "cash", "top up", "x")


@pytest.mark.parametrize("flat_way", [True, False])
def test_answers_held_to_labels_are_labels(tiny, flat_way, monkeypatch):
    monkeypatch.setattr(tiny.network, "_bakeoff_flat", flat_way)
    prompts = [f"<|user|>{'so ' * (k % 7)}{k}?<|assistant|>" for k in range(40)]
    job = LocalTextModel(tiny).start(prompts, max_new_tokens=16, stop=Stop("held", None, LABELS))
    assert job.flat is flat_way
    answers = [answer for batch in job.batches for answer in job.answer(batch)]
    assert {answer.text for answer in answers} <= set(LABELS)
    assert len({answer.text for answer in answers}) > 1
    assert all(answer.finish == "stop" for answer in answers)


@pytest.mark.parametrize("flat_way", [True, False])
def test_a_label_is_never_cut(tiny, flat_way, monkeypatch):
    monkeypatch.setattr(tiny.network, "_bakeoff_flat", flat_way)
    long = ("billing of a refund", "billing of a card")
    job = LocalTextModel(tiny).start(["<|user|>a<|assistant|>"], max_new_tokens=1, stop=Stop("held", None, long))
    assert job.answer((0,))[0].text in long


def test_held_answers_are_the_greedy_ones_among_the_labels(tiny):
    """Step by step with the library's own logits."""
    import torch

    prompt = tiny.encode("<|user|>where is my money?<|assistant|>")
    sequences = [[*tiny.encode(label), tiny.tokenizer.eos_token_id] for label in LABELS]
    found = []
    while found not in sequences:
        logits = tiny.network(input_ids=torch.tensor([[*prompt, *found]])).logits[0, -1]
        options = {s[len(found)] for s in sequences if s[: len(found)] == found}
        found.append(max(options, key=lambda token: float(logits[token])))
    job = LocalTextModel(tiny).start(
        ["<|user|>where is my money?<|assistant|>"], max_new_tokens=16, stop=Stop("h", None, LABELS)
    )
    assert job.answer((0,))[0].text == tiny.tokenizer.decode(found[:-1])


# tuning


def training_rows(seed):
    rng = random.Random(seed)
    return [
        Row(tuple(row), tuple(rng.randrange(256) for _ in range(rng.randint(1, 9)))) for row in rows_of_a_tree(seed)
    ]


@pytest.fixture
def trainable(tiny):
    tiny.network.requires_grad_(True)
    yield tiny.network
    tiny.network.zero_grad(set_to_none=True)
    tiny.network.requires_grad_(False)


@pytest.mark.parametrize("seed", range(4))
def test_packed_rows_have_the_loss_and_gradients_of_single_rows(trainable, seed):
    rows = training_rows(seed)
    loss, count = packed_loss(trainable, rows)
    found = gradients(trainable, loss)
    trainable.set_attn_implementation("sdpa")
    expected_loss = plain_loss(trainable, rows)
    expected = gradients(trainable, expected_loss)
    trainable.set_attn_implementation(attention.NAME)
    assert count == sum(len(row.answer) for row in rows)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = float(gradient.abs().max()) + 1e-6
        assert float((found[name] - gradient).abs().max()) < 2e-4 * scale, name


def test_padding_sends_nothing_back_however_large_the_logits(trainable):
    """Where a padded place meets other keys, its probabilities must not overflow."""
    import torch

    rng = random.Random(0)
    rows = [Row(tuple(rng.randrange(256) for _ in range(n)), (3, 4)) for n in (3, 5, 8, 11)]
    asked = [layer.self_attn.q_proj.weight for layer in trainable.base_model.layers]
    before = [weight.detach().clone() for weight in asked]
    with torch.no_grad():
        for weight in asked:
            weight.mul_(100)
    try:
        found = gradients(trainable, packed_loss(trainable, rows)[0])
    finally:
        with torch.no_grad():
            for weight, own in zip(asked, before, strict=True):
                weight.copy_(own)
    assert all(bool(gradient.isfinite().all()) for gradient in found.values())


def test_a_pack_holds_what_prompts_share_once():
    head = list(range(200))
    plan = Packed(plant([[*head, 1], [*head, 2], [*head, 3]]))
    assert len(plan.tokens) == 203
    assert plan.positions[-3:] == [200, 200, 200]


# which networks


class Network(SimpleNamespace):
    """As much of a network as is looked at."""

    _supports_attention_backend = True

    def parameters(self):
        import torch

        yield torch.zeros(1)


@pytest.mark.parametrize(
    ("settings", "fits"),
    [
        ({}, True),
        ({"layer_types": ["full_attention", "full_attention"]}, True),
        ({"layer_types": ["sliding_attention", "full_attention"]}, False),
        ({"sliding_window": 4096}, False),
        ({"attn_logit_softcapping": 50.0}, False),
        ({"logits_scaling": 8.0}, False),
    ],
)
def test_only_plain_full_attention_is_decoded_flat(settings, fits):
    assert attention.supported(Network(config=SimpleNamespace(**settings))) is fits


def test_a_network_that_attends_otherwise_is_left_as_it_was(tiny_folder):
    """A network whose own attention differs from ours is found out by the trial and keeps its own."""
    from tiny_llama import load_tiny_llama

    odd = load_tiny_llama(tiny_folder).network
    own = odd.base_model.forward

    def shifted(*args, plan=None, position_ids=None, **options):
        if plan is not None:
            position_ids = position_ids * 3
            options["plan"] = plan
        return own(*args, position_ids=position_ids, **options)

    odd.base_model.forward = shifted
    assert not attention.ready(odd)
    assert odd.config._attn_implementation == "sdpa"


# lean layers


def test_lean_layers_compute_what_the_layers_compute(tiny_folder):
    import torch
    from tiny_llama import load_tiny_llama

    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    network = load_tiny_llama(tiny_folder).network.to(torch.bfloat16)
    ids = torch.tensor([[5, 9, 33, 70, 2, 8]])
    with torch.inference_mode():
        own = network(input_ids=ids).logits.float()
        with lean_layers(network):
            assert any("forward" in module.__dict__ for module in network.modules())
            lean = network(input_ids=ids).logits.float()
        assert not any("forward" in module.__dict__ for module in network.modules())
        network.lm_head.weight.data.mul_(2)
        forget(network)
        with lean_layers(network):
            changed = network(input_ids=ids).logits.float()
    assert float((own - lean).norm() / own.norm()) < 0.03
    assert float((changed - 2 * lean).norm() / lean.norm()) < 0.03
