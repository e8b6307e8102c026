"""What every arm must keep, run over the registry, on fakes."""

import re
from dataclasses import replace

import pytest
from fakes import OPEN_TURN, FakeEmbedder, FakeModel, FakeTuner, tiny_bench, tiny_scenario

from harness.arms.registry import ARMS, arm
from harness.errors import ArmFailed, UserError
from harness.generation.prompts import Framing, passages_block
from harness.records import Recipe
from harness.scenario import Kind

every_arm = pytest.mark.parametrize("name", ARMS)
every_framing = pytest.mark.parametrize("framing", Framing)
with_and_without_documents = pytest.mark.parametrize(
    ("name", "documents"),
    [(name, there) for name in ARMS for there in (True, False) if there or not arm(name).needs.documents],
)
EMBEDDING_ARMS = [name for name in ARMS if arm(name).needs.embedder]
TUNING_ARMS = [name for name in ARMS if arm(name).needs.tuning]


def prepared(name, bench):
    """The arm, its recipe and its requests for all eval cases."""
    found = arm(name)
    recipe = found.prepare(bench)
    return found, recipe, found.requests(recipe, bench.scenario.cases, bench=bench)


@pytest.fixture
def bench(tmp_path):
    return tiny_bench(folder=tmp_path)


def changed_outputs(scenario):
    cases = tuple(
        replace(case, output=f"Secret{n}", references=(f"Hidden{n}",), context_id=None, group="g")
        for n, case in enumerate(scenario.cases)
    )
    return replace(scenario, cases=cases)


@every_arm
def test_the_name_is_the_key(name):
    assert arm(name).name == name


def test_an_unknown_arm_is_the_users_mistake_and_the_known_ones_are_listed():
    with pytest.raises(UserError, match=r"no arm 'ragg'.*rag_lora"):
        arm("ragg")


@every_arm
def test_prepare_gives_a_recipe_of_that_arm(name, bench):
    assert prepared(name, bench)[1].arm == name


@every_arm
def test_there_is_one_request_a_case_in_the_cases_order(name, bench):
    found, recipe, requests = prepared(name, bench)
    assert len(requests) == len(bench.scenario.cases)
    backwards = found.requests(recipe, bench.scenario.cases[::-1], bench=bench)
    assert backwards == requests[::-1]
    assert found.requests(recipe, [], bench=bench) == []


@with_and_without_documents
def test_what_the_right_answers_are_changes_nothing(name, documents, tmp_path):
    scenario = tiny_scenario(documents=documents)
    first = tiny_bench(scenario, folder=tmp_path)
    second = tiny_bench(changed_outputs(scenario), folder=tmp_path)
    assert prepared(name, first)[1:] == prepared(name, second)[1:]


@every_arm
def test_eval_cases_have_no_part_in_preparing(name, tmp_path):
    scenario = tiny_scenario()
    fewer = replace(scenario, cases=scenario.cases[:1])
    full, cut = tiny_bench(scenario, folder=tmp_path), tiny_bench(fewer, folder=tmp_path)
    assert arm(name).prepare(full) == arm(name).prepare(cut)
    shown = " ".join(prompt for batch in full.model.answered for prompt in batch)
    shown += " ".join(text.prompt for _, train, dev in full.tuner.seen for text in (*train, *dev))
    assert not any(case.input in shown for case in scenario.cases)


@with_and_without_documents
def test_shots_and_passages_come_from_training_rows_and_documents_never_from_dev_or_eval(name, documents, tmp_path):
    bench = tiny_bench(tiny_scenario(documents=documents), folder=tmp_path)
    _, recipe, requests = prepared(name, bench)
    train = {case.id for case in bench.train}
    sources = {document.id for document in bench.scenario.documents} or train
    assert {shot.id for request in requests for shot in request.shots} <= train
    assert set(recipe.shots) <= train
    assert {passage.document_id for request in requests for passage in request.passages} <= sources


@every_arm
def test_dev_rows_are_asked_or_held_out_and_never_learnt_from(name, bench):
    prepared(name, bench)
    shots = [batch for job in bench.model.jobs for batch in job.prompts]
    dev = {case.input for case in bench.dev}
    assert not any(text in prompt.rsplit("<|user|>\n", 1)[0] for prompt in shots for text in dev)
    for _, examples, held in bench.tuner.seen:
        assert len(examples) == len(bench.train)
        assert len(held) == len(bench.dev)
        assert not any(text in example.prompt for example in examples for text in dev)


@every_arm
def test_the_same_seed_gives_the_same_recipe_and_requests(name, tmp_path):
    first, second = (tiny_bench(folder=tmp_path / side) for side in ("a", "b"))
    assert prepared(name, first)[1:] == prepared(name, second)[1:]


@every_arm
@pytest.mark.parametrize("fresh", [False, True])
def test_a_case_alone_gets_what_it_gets_among_others(name, fresh, bench):
    found, recipe, requests = prepared(name, bench)
    alone = [found.requests(recipe, [case], bench=bench, fresh=fresh)[0] for case in bench.scenario.cases]
    assert alone == requests


@pytest.mark.parametrize("name", EMBEDDING_ARMS)
def test_a_fresh_request_embeds_the_input_anew(name, bench):
    found, recipe, _ = prepared(name, bench)
    assert bench.embedder.fresh_texts == []
    found.requests(recipe, bench.scenario.cases[:1], bench=bench, fresh=True)
    assert bench.embedder.fresh_texts == [bench.scenario.cases[0].input]


@every_arm
@every_framing
def test_prompts_differ_between_arms_only_in_shots_and_passages(name, framing, tmp_path):
    bench = tiny_bench(folder=tmp_path, framing=framing)
    _, _, requests = prepared(name, bench)
    for case, request in zip(bench.scenario.cases, requests, strict=True):
        plain = bench.prompt(case, arm("prompt").requests(Recipe("prompt"), [case], bench=bench)[0])
        made = bench.prompt(case, request)
        head, tail = plain.split(case.input)
        instruction = bench.scenario.instruction
        assert made.count(instruction) == 1
        assert made.startswith(head.split(instruction)[0] + instruction)
        assert made.endswith(case.input + tail)
        assert name != "prompt" or made == plain


@pytest.mark.parametrize("name", ["rag", "rag_lora"])
@every_framing
@pytest.mark.parametrize("titled", [True, False])
def test_taking_the_passages_out_of_a_prompt_gives_the_plain_prompt_byte_for_byte(name, framing, titled, tmp_path):
    scenario = tiny_scenario()
    if not titled:
        scenario = replace(scenario, documents=tuple(replace(d, title="") for d in scenario.documents))
    bench = tiny_bench(scenario, folder=tmp_path, framing=framing)
    _, _, requests = prepared(name, bench)
    for case, request in zip(scenario.cases, requests, strict=True):
        block = passages_block(request.passages)
        made = bench.prompt(case, request)
        assert request.passages
        assert made.count(block) == 1
        assert made.replace(block, "") == bench.prompt(case, replace(request, passages=()))


@every_arm
def test_a_prompt_shrinks_until_it_fits_the_window(name, tmp_path):
    roomy = tiny_bench(folder=tmp_path)
    _, _, requests = prepared(name, roomy)
    plain = max(
        roomy.model.count_tokens(roomy.prompt(c, replace(requests[0], shots=(), passages=())))
        for c in roomy.scenario.cases
    )
    tight = replace(roomy, model=FakeModel(window=plain + roomy.max_new_tokens + 12))
    for case, request in zip(tight.scenario.cases, requests, strict=True):
        made = tight.prompt(case, request)
        assert tight.too_long(made) is None
        shots = re.findall(r"<\|user\|>\n(.*?)<\|end\|>\n<\|assistant\|>\n.", made, re.DOTALL)
        inputs = [shot.input for shot in request.shots]
        kept = [text.removeprefix(f"{tight.scenario.instruction}\n\n") for text in shots]
        assert kept == inputs[len(inputs) - len(kept) :], "the last shots, the nearest, stay"
        texts = [passage.text in made for passage in request.passages]
        assert texts == sorted(texts, reverse=True), "the first passages, the nearest, stay"


def test_a_prompt_that_cannot_shrink_is_named_too_long_with_the_figures(bench):
    small = replace(bench, model=FakeModel(window=12))
    prompt = small.prompt(small.scenario.cases[0], arm("prompt").requests(Recipe("prompt"), [0], bench=small)[0])
    assert re.search(r"the prompt has \d+ tokens.*may take 8.*window is 12", small.too_long(prompt))


@every_arm
def test_what_an_arm_settles_says_what_was_tried_on_how_many_dev_cases(name, bench):
    _, recipe, _ = prepared(name, bench)
    for choice in recipe.choices:
        assert choice.n == len(bench.dev)
        assert choice.chosen in [trial.value for trial in choice.tried]


@every_arm
def test_without_dev_rows_the_first_option_is_taken_untried(name, tmp_path):
    bench = replace(tiny_bench(folder=tmp_path), dev=())
    _, recipe, _ = prepared(name, bench)
    assert bench.model.answered == []
    assert all(choice.n == 0 for choice in recipe.choices)


@pytest.mark.parametrize("name", TUNING_ARMS)
def test_without_a_tuner_a_tuning_arm_fails_with_a_sentence(name, bench):
    with pytest.raises(ArmFailed, match="cannot be tuned here"):
        arm(name).prepare(replace(bench, tuner=None))


@pytest.mark.parametrize("name", EMBEDDING_ARMS)
def test_without_an_embedder_a_retrieving_arm_fails_with_a_sentence(name, bench):
    with pytest.raises(ArmFailed, match="no embedder"):
        arm(name).prepare(replace(bench, embedder=None))


def test_few_shot_needs_no_embedder(bench):
    _, recipe, _ = prepared("few_shot", replace(bench, embedder=None))
    assert 1 <= len(recipe.shots) == recipe.k


@pytest.mark.parametrize("name", ["few_shot", "nearest_shots", "rag"])
def test_with_fewer_rows_than_the_smallest_count_all_of_them_are_used(name, tmp_path):
    scenario = tiny_scenario(train=1, documents=False)
    bench = tiny_bench(scenario, folder=tmp_path, train=scenario.train, dev=())
    _, _, requests = prepared(name, bench)
    assert all(len(request.shots) + len(request.passages) == 1 for request in requests)


def test_few_shot_takes_the_better_of_typical_and_random(tmp_path):
    class Choosy(FakeModel):
        def reply(self, prompt):
            return "City" if prompt.count("<|assistant|>") < 5 else "nothing"

    _, recipe, _ = prepared("few_shot", tiny_bench(folder=tmp_path, model=Choosy()))
    assert recipe.choices[0].chosen.startswith("3 ")
    assert recipe.k == 3


def test_nearest_shots_puts_the_most_similar_last(tmp_path):
    scenario = tiny_scenario()
    twin = replace(scenario.cases[0], input=f"{scenario.train[-1].input} Please!")
    bench = tiny_bench(replace(scenario, cases=(twin,)), folder=tmp_path, train=scenario.train, dev=())
    assert prepared("nearest_shots", bench)[2][0].shots[-1] == scenario.train[-1]


def test_rag_puts_the_most_similar_first_and_says_where_it_read(tmp_path):
    bench = tiny_bench(folder=tmp_path)
    _, recipe, requests = prepared("rag", bench)
    assert [r.passages[0].document_id for r in requests] == [c.context_id for c in bench.scenario.cases]
    assert (recipe.source, recipe.notes) == ("documents", ())


def test_rag_without_documents_reads_the_training_rows_and_says_so(tmp_path):
    _, recipe, requests = prepared("rag", tiny_bench(tiny_scenario(documents=False), folder=tmp_path))
    assert recipe.source == "examples"
    assert "no documents" in recipe.notes[0]
    assert all(request.passages for request in requests)


def test_rag_lora_trains_on_the_right_passage_among_distractors(tmp_path):
    from harness.arms.rag_lora import holds_answer, training_requests

    bench = tiny_bench(tiny_scenario(train=60), folder=tmp_path)
    shaped = training_requests(bench, 2)
    gold = [[holds_answer(p, case) for p in r.passages] for case, r in zip(bench.train, shaped, strict=True)]
    assert all(len(row) == 2 and sum(row) <= 1 for row in gold)
    assert {row.index(True) for row in gold if any(row)} == {0, 1}, "its place is drawn"


def test_the_control_gives_the_commonest_training_output_the_earliest_of_equals(tmp_path):
    scenario = tiny_scenario()
    outputs = ["b", "a", "a", "b", "c"]
    train = tuple(replace(row, output=o) for row, o in zip(scenario.train, outputs, strict=False))
    bench = tiny_bench(scenario, folder=tmp_path, train=train[:3], dev=train[3:])
    _, _, requests = prepared("dummy", bench)
    assert {request.fixed for request in requests} == {"b"}
    assert prepared("dummy", bench)[1].notes == ("The constant answer is 'b'.",)


def with_outputs(cases, outputs):
    return tuple(replace(case, output=o) for case, o in zip(cases, outputs, strict=False))


@pytest.mark.parametrize(
    ("kind", "train", "given"),
    [
        (Kind.SHORT_ANSWER, ["b", "b", "b"], "b"),
        (Kind.SHORT_ANSWER, [], "a"),
        (Kind.LABELS, ["b", "b", "b"], "a"),
        (Kind.LABELS, [], "a"),
    ],
    ids=["train", "no train", "labels, commonest in train otherwise", "labels, no train"],
)
def test_where_the_control_takes_the_eval_sets_commonest_answer_it_says_so(kind, train, given, tmp_path):
    scenario = tiny_scenario(kind=kind, labels=("a", "b") if kind is Kind.LABELS else ())
    cases, rows = with_outputs(scenario.cases, "baaaab"), with_outputs(scenario.train, train)
    scenario = replace(scenario, cases=cases, train=rows)
    bench = tiny_bench(scenario, folder=tmp_path, train=scenario.train, dev=())
    _, recipe, requests = prepared("dummy", bench)
    assert {request.fixed for request in requests} == {given}
    assert recipe.notes[0] == f"The constant answer is {given!r}."
    assert ["the eval set itself" in note for note in recipe.notes[1:]] == [True] * (given == "a")


def test_only_the_control_answers_without_a_model(bench):
    fixed = {name for name in ARMS if any(r.fixed is not None for r in prepared(name, bench)[2])}
    assert fixed == {"dummy"}


def test_fakes_keep_the_protocols_they_stand_for(tmp_path):
    model, embedder = FakeModel(rows=2), FakeEmbedder()
    job = model.start(["a" + OPEN_TURN] * 5, max_new_tokens=3)
    assert sorted(i for batch in job.batches for i in batch) == list(range(5))
    vectors = embedder.encode(["one two", ""])
    assert vectors.shape == (2, 512)
    assert (abs((vectors**2).sum(axis=1) - 1) < 1e-6).all()
    assert FakeTuner(tmp_path)("lora", [], dev=[], notify=lambda *_: None).adapter == "adapters/lora"
