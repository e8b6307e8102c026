"""scenario.toml: every wrong setting at once, with its line and a way out."""

import pytest
from fakes import tiny_scenario, write_scenario_files

from harness.errors import InputProblems
from harness.scenario import Criteria, JudgeWish, Kind, TuningWish
from harness.scenario_file.endpoint import EndpointSettings
from harness.scenario_file.read import Overrides, read_scenario
from harness.scenario_file.toml_file import (
    ExperimentSettings,
    FileSettings,
    RuleSettings,
    Settings,
    line_of,
    read_settings,
)

FULL = """\
name = "n"
kind = "labels"
instruction = "Say it."
labels = ["a", "b"]
keys = ["k"]
held_to_labels = true
arms = ["prompt", "rag"]
max_new_tokens = 8
seed = 3
model = "m"
embedder = "e"
[rule]
metric = "accuracy"
margin = 0.1
alpha = 0.01
fewest_cases = 20
target = 0.8
resamples = 2500
[tuning]
epochs = 2
rank = 8
learning_rate = 0.001
[files]
eval = "e.jsonl"
train = "t.jsonl"
corpus = "docs"
[experiments]
seeds = 5
learning_curve = true
stop_early = true
[judge]
model = "j"
[criteria]
quality = 2
cost = 1
"""


def read(tmp_path, text, **named):
    path = tmp_path / "scenario.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    settings, problems = read_settings(path, **named)
    return settings, [str(problem) for problem in problems]


def test_every_setting_is_read(tmp_path):
    settings, problems = read(tmp_path, FULL)
    assert problems == []
    assert settings == Settings(
        name="n",
        kind=Kind.LABELS,
        instruction="Say it.",
        labels=("a", "b"),
        keys=("k",),
        held_to_labels=True,
        arms=("prompt", "rag"),
        max_new_tokens=8,
        seed=3,
        model="m",
        embedder="e",
        rule=RuleSettings("accuracy", 0.1, 0.01, 20, 0.8, 2500),
        tuning=TuningWish(2, 8, 0.001),
        files=FileSettings("e.jsonl", "t.jsonl", "docs"),
        experiments=ExperimentSettings(seeds=5, learning_curve=True, stop_early=True),
        judge=JudgeWish("j"),
        criteria=Criteria(quality=2, cost=1),
    )


def test_an_empty_file_says_nothing(tmp_path):
    assert read(tmp_path, "") == (Settings(), [])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[tuning]\nepochs = 0", "'tuning.epochs' must be a whole number, 1 or more; got 0"),
        (
            "[tuning]\nlearning_rate = 2",
            "'tuning.learning_rate' must be a number between 0 and 1 (0.0005 is a usual one); got 2",
        ),
        (
            "[tuning]\nprocesses = 0",
            "'tuning.processes' must be a whole number, 1 or more; got 0; or write \"auto\"",
        ),
        ('[tuning]\nprocesses = "two"', "'tuning.processes' must be a whole number, 1 or more; got 'two'; or write"),
        ("held_to_labels = 1", "'held_to_labels' must be true or false; got 1"),
        ("name = 3", "'name' must be a text in double quotes; got 3"),
        ('instruction = " "', "'instruction' is empty; write a text, or take the line out"),
        (
            'kind = "label"',
            "'kind' must be one of labels, json, short_answer, free_text; got 'label'; did you mean 'labels'?",
        ),
        ("kind = 1", "'kind' must be one of labels, json, short_answer, free_text; got 1"),
        ('labels = "a"', "'labels' must be a list of texts such as [\"a\", \"b\"]; got 'a'"),
        ("labels = []", "'labels' is an empty list"),
        ('labels = ["a", "a"]', "'labels' names 'a' twice"),
        ('labels = ["a", 1]', "'labels' must be a list of texts"),
        ('arms = ["promt"]', "'arms' names an unknown arm 'promt'; did you mean 'prompt'?"),
        ('arms = ["x"]', "unknown arm 'x'; known are dummy, prompt, few_shot"),
        ("max_new_tokens = 0", "'max_new_tokens' must be a whole number, 1 or more; got 0"),
        ("seed = true", "'seed' must be a whole number, 0 or more; got true"),
        ("seed = 1.5", "'seed' must be a whole number, 0 or more; got 1.5"),
        ("[rule]\nmargin = 5", "'rule.margin' must be a number between 0 and 1 (0.05 is five points); got 5"),
        ("[rule]\nmargin = -0.1", "'rule.margin' must be a number between 0 and 1"),
        ("[rule]\nmargin = nan", "'rule.margin' must be a number between 0 and 1"),
        ("[rule]\nalpha = 1", "'rule.alpha' must be a number between 0 and 1"),
        ("[rule]\ntarget = '1'", "'rule.target' must be a number between 0 and 1"),
        ("[rule]\nresamples = 1999", "'rule.resamples' must be a whole number, 2000 or more; got 1999"),
        ("[rule]\nmarginn = 0.1", "unknown setting 'rule.marginn'; did you mean 'margin'?"),
        ('instructions = "x"', "unknown setting 'instructions'; did you mean 'instruction'?"),
        ("zzz = 1", "unknown setting 'zzz'; known are name, kind"),
        ("[experiment]\nx = 1", "unknown setting 'experiment'; did you mean 'experiments'?"),
        ("margin = 0.1", "unknown setting 'margin'; it belongs below [rule]"),
        ("[rule]\nseed = 1", "unknown setting 'rule.seed'; it belongs at the top, above all tables"),
        ("rule = 3", "'rule' must be a table: write [rule] on a line of its own"),
        ("[files]\neval = 1", "'files.eval' must be a text in double quotes; got 1"),
        ("seed = 0x" + "f" * 5000, "'seed' must be a whole number, 0 or more; got a number of thousands of digits"),
        ("name = abc", "broken TOML at column 8"),
        ("name = ", "broken TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_its_line(tmp_path, text, sentence):
    _, (problem,) = read(tmp_path, f"# comment\n{text}\n")
    line = 3 if text.startswith("[") and "unknown setting 'exp" not in sentence else 2
    assert problem.startswith(f"scenario.toml:{line}: ")
    assert sentence in problem


def test_all_wrong_settings_are_listed_and_the_right_ones_kept(tmp_path):
    settings, problems = read(tmp_path, "name = 3\nseed = 4\n[rule]\nmargin = 9\nalpha = 0.1\nnope = 1\n")
    assert [problem.split(": ")[0] for problem in problems] == ["scenario.toml:1", "scenario.toml:4", "scenario.toml:6"]
    assert settings == Settings(seed=4, rule=RuleSettings(alpha=0.1))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ('name = "für"'.encode("latin-1"), "not UTF-8: byte 0xFC on line 1; save it as UTF-8"),
        ('name = "x"'.encode("utf-16"), "the file is UTF-16; save it as UTF-8"),
    ],
)
def test_a_wrong_encoding_is_named(tmp_path, data, sentence):
    assert read(tmp_path, data)[1] == [f"scenario.toml: {sentence}"]


def test_a_byte_order_mark_does_no_harm(tmp_path):
    assert read(tmp_path, b'\xef\xbb\xbfname = "x"') == (Settings(name="x"), [])


def test_arms_of_third_parties_can_be_made_known(tmp_path):
    assert read(tmp_path, 'arms = ["mine"]', known_arms=("mine",))[1] == []


@pytest.mark.parametrize(
    ("key", "table", "line"),
    [("name", "", 1), ("metric", "rule", 13), ("eval", "files", 24), ("rule", "", 12), ("metric", "", None)],
)
def test_the_line_of_a_setting_is_found_in_its_own_table(key, table, line):
    assert line_of(FULL, key, table=table) == line


@pytest.mark.parametrize("settled", ["rank = 8", "learning_rate = 5e-4"])
def test_a_sweep_does_not_go_with_what_it_would_search(tmp_path, settled):
    folder = write_scenario_files(tmp_path / "s", tiny_scenario())
    (folder / "scenario.toml").write_text(f"[tuning]\nsweep = 4\n{settled}\n")
    with pytest.raises(InputProblems, match="a sweep searches rank and learning rate"):
        read_scenario(folder)


MANY_DIGITS = "9" * 400
"""TOML has whole numbers that are too large to reckon with."""


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ('url = "http://[::1/v1"', "url' is none: a bracket or the port is wrong"),
        ('url = "http://host:port/v1"', "url' is none: a bracket or the port is wrong"),
        ("url = 3", "url' must be a text in double quotes; got 3"),
        ('model = " "', "model' must be a text in double quotes; got ' '"),
        ('length_field = "max"', "length_field' must be one of max_tokens, max_completion_tokens; got 'max'"),
        ("batch = 1", "batch' must be true or false; got 1"),
        ("extra = 3", "extra' must be a table of fields, such as {top_p = 1}; got 3"),
        ("extra = {d = 2026-01-01}", "extra' holds what JSON does not know, such as a date or nan; write it as a text"),
        ("extra = {x = nan}", "extra' holds what JSON does not know, such as a date or nan; write it as a text"),
        ('extra = {model = "x", seed = 1, top_p = 1}', "extra' names model, seed, which a run sets itself"),
        ('leave_out = ["top_p"]', "leave_out' may name temperature, seed; got ['top_p']"),
        ('leave_out = "seed"', "leave_out' may name temperature, seed; got 'seed'"),
        ('adapters = {lora = "x", prompt = "y"}', "adapters' names 'prompt'; tuned arms are lora and rag_lora"),
        (
            'adapters = {lora = " "}',
            """adapters' must be a table such as {lora = "name-on-server"}; got {'lora': ' '}""",
        ),
        ('adapters = "x"', """adapters' must be a table such as {lora = "name-on-server"}; got 'x'"""),
        ("timeout = 0", "timeout' must be a number above 0; got 0"),
        ("timeout = inf", "timeout' must be a number above 0; got inf"),
        (f"timeout = {MANY_DIGITS}", "timeout' must be a number above 0; got 999"),
        ("price_in = -1", "price_in' must be a number 0 or more; got -1"),
        (f"price_in = {MANY_DIGITS}", "price_in' must be a number 0 or more; got 999"),
        ("price_in = true", "price_in' must be a number 0 or more; got true"),
        ("fine_tuning = {price = " + MANY_DIGITS + "}", "fine_tuning' sets price, which must be a number, 0 or more"),
        ('fine_tuning = {model = " "}', "fine_tuning' sets model, which must be a text in double quotes; got ' '"),
    ],
)
def test_what_an_endpoint_cannot_be_told_is_named(tmp_path, said, fault):
    _, (problem,) = read(tmp_path, f"[endpoint]\n{said}\n")
    assert problem.startswith(f"scenario.toml:2: 'endpoint.{fault}")


def test_a_key_in_the_place_of_its_variable_is_not_repeated(tmp_path):
    _, (problem,) = read(tmp_path, '[endpoint]\nkey_variable = "sk-of-mine"\n')
    assert "must be the name of an environment variable in capitals, never the key itself" in problem
    assert "sk-of-mine" not in problem


def test_an_endpoint_keeps_what_it_is_told(tmp_path):
    settings, problems = read(
        tmp_path,
        '[endpoint]\nkey_variable = ""\nlength_field = "max_tokens"\nextra = {top_p = 0.9}\nleave_out = ["seed"]\n'
        'adapters = {rag_lora = "tuned"}\nprice_in = 0\nprice_out = 0.5\n'
        '[endpoint.fine_tuning]\nprice = 0\nmodel = "base"\nsuffix = "our_own-1"\nleave_out = ["seed", "method"]\n',
    )
    assert problems == []
    said = settings.endpoint
    assert (said.key_variable, said.length_field, said.extra, said.leave_out) == (
        "",
        "max_tokens",
        {"top_p": 0.9},
        ("seed",),
    )
    assert (said.adapters, said.price_in, said.price_out) == ({"rag_lora": "tuned"}, 0, 0.5)
    wish = said.fine_tuning
    assert (wish.price, wish.model, wish.suffix, wish.leave_out) == (0, "base", "our_own-1", ("seed", "method"))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"url": "ftp://h/v1"}, "the endpoint's address must start with http:// or https:// and name a host"),
        ({"url": "http://h:x/v1"}, "the endpoint's address is none: a bracket or the port is wrong"),
        ({"key_variable": "sk-1"}, "the key's variable must be the name of an environment variable in capitals"),
        ({"price_in": 1.0}, "price_in and price_out belong together: money for a million tokens read, and written"),
    ],
)
def test_an_endpoint_of_the_command_line_is_looked_at_too(tmp_path, given, fault):
    folder = write_scenario_files(tmp_path / "s", tiny_scenario())
    asked = EndpointSettings(**{"url": "http://h/v1", "model": "m", **given})
    with pytest.raises(InputProblems) as refused:
        read_scenario(folder, overrides=Overrides(endpoint=asked))
    (problem,) = refused.value.problems
    assert str(problem).startswith(f"[endpoint]: {fault}")
