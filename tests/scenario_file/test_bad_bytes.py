"""Whatever stands in the files, the user gets sentences and never a traceback."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputProblems
from harness.scenario_file.columns import ColumnMap
from harness.scenario_file.init import init_folder
from harness.scenario_file.read import read_scenario

VALUES = st.recursive(
    st.sampled_from([b'"a"', b'""', b"1", b"-1.5e9", b"true", b"null", b'"\\ud83d"', b'"\\u0000"', b"\xff", b"\0"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: b"[" + b",".join(items) + b"]"),
        st.lists(inner, max_size=3).map(lambda items: b'{"k":' + b',"l":'.join([b"1", *items]) + b"}"),
    ),
    max_leaves=6,
)
NAMES = st.sampled_from([b"id", b"input", b"output", b"references", b"context_id", b"group", b"text", b"other"])
ROWS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(
    lambda fields: b"{" + b", ".join(b'"%s": %s' % field for field in fields) + b"}\n"
)
GOOD = b'{"input": "i", "output": "o"}\n'
FILES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.one_of(ROWS, st.just(GOOD), st.binary(max_size=30)), max_size=6).map(b"".join),
    st.text(max_size=40).map(lambda text: text.encode("utf-16", "surrogatepass")),
)
TOML = st.one_of(
    st.binary(max_size=100),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["name", "kind", "labels", "arms", "seed", "rule", "files", "rule.margin", "files.eval", "x"]
            ),
            st.sampled_from(["1", '"a"', '"json"', "[]", '["a"]', "nan", "2020-01-01", "{a = 1}", "-5", '"../../.."']),
        ),
        unique_by=lambda pair: pair[0],
        max_size=5,
    ).map(lambda pairs: "".join(f"{key} = {value}\n" for key, value in pairs).encode()),
)


def outcome(call):
    """The result, or None and the problems; any other exception fails the test."""
    try:
        return call(), ()
    except InputProblems as error:
        return None, error.problems


def read(**files):
    with tempfile.TemporaryDirectory() as place:
        for name, data in files.items():
            (Path(place) / name.replace("_", ".")).write_bytes(data)
        scenario, problems = outcome(lambda: read_scenario(Path(place)))
    if scenario is None:
        assert any(problem.level == "error" for problem in problems)
        return
    for case in (*scenario.cases, *scenario.train):
        f"{case.id}{case.input}{case.output}{case.references}{case.context_id}{case.group}".encode()
    scenario.instruction.encode()


@settings(max_examples=300, deadline=None)
@given(data=FILES)
def test_any_bytes_in_eval(data):
    read(eval_jsonl=data)


@settings(max_examples=100, deadline=None)
@given(data=FILES)
def test_any_bytes_in_train_and_corpus(data):
    read(eval_jsonl=GOOD, train_jsonl=data, corpus_jsonl=data)


@settings(max_examples=150, deadline=None)
@given(data=TOML)
def test_any_bytes_in_the_settings(data):
    read(eval_jsonl=GOOD, scenario_toml=data)


@settings(max_examples=100, deadline=None)
@given(data=FILES, ending=st.sampled_from([".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".parquet"]))
def test_any_bytes_in_a_table(data, ending):
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / f"table{ending}"
        source.write_bytes(data)
        result, problems = outcome(lambda: init_folder(source, into=Path(place) / "new", columns=ColumnMap()))
    assert result or problems
