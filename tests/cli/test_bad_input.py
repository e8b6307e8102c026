"""Whatever is wrong with the input: exit code 2, a sentence that says what to do, no traceback."""

import pytest
from fakes import fake_run, tiny_scenario, write_scenario_files

from harness.scenario_file.read import Overrides

pytestmark = pytest.mark.usefixtures("own_cache", "faked")

FEW = ("--arms", "prompt,rag")


def a_table(folder):
    path = folder / "data.csv"
    path.write_text("input,output\na,b\n")
    return path


def broken_json(folder):
    made = write_scenario_files(folder / "broken")
    with (made / "eval.jsonl").open("a") as stream:
        stream.write('{"input": "x", "output": \n')
    return made


def a_scenario(folder):
    return write_scenario_files(folder / "good", tiny_scenario(cases=14))


def without_train(folder):
    return write_scenario_files(folder / "bare", tiny_scenario(cases=14, train=0, documents=False))


def an_empty_folder(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def nothing(folder):
    return folder / "nowhere"


def a_file(folder):
    (folder / "taken").write_text("mine")
    return folder / "taken"


def a_folder_in_use(folder):
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter.txt").write_text("years of work")
    return folder / "thesis"


def a_run(folder):
    fake_run(a_scenario(folder), folder / "done", quick=True, overrides=Overrides(arms=("prompt", "rag")))
    return folder / "done"


def an_unfinished_run(folder):
    made = a_run(folder)
    (made / "verdict.json").unlink()
    lines = (made / "predictions.jsonl").read_bytes().splitlines(keepends=True)
    (made / "predictions.jsonl").write_bytes(b"".join(lines[:-3]))
    return folder / "done"


def a_damaged_run(folder):
    path = a_run(folder) / "predictions.jsonl"
    path.write_bytes(b"{broken}\n" + path.read_bytes())
    return folder / "done"


BAD = {
    # name: (arguments, what the sentence says)
    "no such command": (["frobnicate"], "No such command 'frobnicate'"),
    "no such option": (["run", a_scenario, "--quik"], "No such option"),
    "nothing named": (["check"], "Missing argument 'DIR'"),
    "an option's value": (["run", a_scenario, "--eval-limit", "0"], "--eval-limit"),
    "no such seed": (["run", a_scenario, "--seed", "x"], "--seed"),
    "no price": (["plan", a_scenario, "--price", "cheap"], "expected two amounts for a million tokens, as in 0.15"),
    "a price of three parts": (["plan", a_scenario, "--price", "1/2/3"], "got '1/2/3'"),
    "a price with two points": (["plan", a_scenario, "--price", "1.2.3/4"], "as in 0.15/0.60; got '1.2.3/4'"),
    "a limit of nothing": (["plan", a_scenario, "--max-cost", "0"], "expected an amount above 0; got 0"),
    "a limit that is none": (["plan", a_scenario, "--max-cost", "inf"], "expected an amount above 0; got inf"),
    "no such experiment": (["run", a_scenario, "--experiments", "form,sedes"], "there is no experiment 'sedes'"),
    "a seed below 0": (["run", a_scenario, "--seed", "-1"], "--seed: must be a whole number, 0 or more; got -1"),
    **{
        f"{command}: no folder": ([command, nothing], "nowhere: there is no such folder or file; give a folder with")
        for command in ("check", "plan", "run")
    },
    **{
        f"{command}: a table": ([command, a_table], "data.csv")
        for command in ("check", "plan", "run")
    },
    **{
        f"{command}: empty folder": ([command, an_empty_folder], "eval.jsonl")
        for command in ("check", "plan", "run")
    },
    **{
        f"{command}: broken JSON": ([command, broken_json], "eval.jsonl:7: ")
        for command in ("check", "plan", "run")
    },
    **{
        f"{command}: unknown arm": ([command, a_scenario, "--arms", "prompt,ragg"], "unknown arm 'ragg'; did you mean")
        for command in ("check", "plan", "run")
    },
    **{
        f"{command}: no arm": ([command, without_train, "--arms", "lora"], "No arm can run on")
        for command in ("plan", "run")
    },
    "only the control": (["run", a_scenario, "--arms", "dummy"], "only the control was asked for"),
    "an empty instruction": (["run", a_scenario, "--instruction", " "], "--instruction: the instruction is empty"),
    "--out is a file": (["run", a_scenario, *FEW, "--out", a_file], "taken is a file; --out must name a folder"),
    "--out is in use": (["run", a_scenario, *FEW, "--out", a_folder_in_use], "is not empty and holds no run (found"),
    "--out is another run": (["run", without_train, "--out", a_run], "holds another run: "),
    "compare: unknown metric": (["compare", a_run, "--metric", "bleurt"], "There is no metric 'bleurt'. Known: "),
    **{
        f"{command}: no run": ([command, an_empty_folder], "empty is not a run folder")
        for command in ("score", "compare", "report")
    },
    **{
        f"{command}: nothing": ([command, nothing], "nowhere is not a run folder")
        for command in ("score", "compare", "report")
    },
    **{
        f"{command}: a file": ([command, a_file], "taken is not a run folder")
        for command in ("score", "compare", "report")
    },
    **{
        f"{command}: unfinished": ([command, an_unfinished_run], "is not finished: 3 answers are still missing")
        for command in ("score", "compare", "report")
    },
    **{
        f"{command}: damaged": ([command, a_damaged_run], "predictions.jsonl:1 is damaged")
        for command in ("score", "compare", "report")
    },
    "compare: a metric for several": (["compare", a_run, a_run, "--metric", "x"], "--metric is for one run"),
    "report: no such format": (["report", a_run, "--format", "html,doc"], "--format takes html, pdf, docx, pptx, md"),
    "report: no advice": (["report", a_run, "--advice", nothing], "nowhere cannot be read"),
    "report: another JSON": (["report", a_run, "--advice", a_table], "is no advice.json"),
    "report: no client": (["report", a_run, "--for", nothing], "nowhere cannot be read"),
    "report: no TOML": (["report", a_run, "--for", a_table], "is not TOML"),
    "report: no template": (["report", a_run, "--template", a_table], "--template takes a .docx or a .pptx"),
    "report: --out is a file": (["report", a_run, "--out", a_file], "taken cannot be made"),
    "init: no table": (["init", nothing], "nowhere"),
    "init: an empty folder": (["init", an_empty_folder], "eval.jsonl"),
    "init: no such column": (["init", a_table, "--output", "answer"], "answer"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_with_2_and_a_sentence(bakeoff, tmp_path, name):
    arguments, sentence = BAD[name]
    made = [part(tmp_path) if callable(part) else part for part in arguments]
    code, _, err = bakeoff(*made)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
    last = err.rstrip().splitlines()[-1]
    assert last[-1] in ".?)'" or last.startswith(("Error: ", "bakeoff: ")), "it ends in a sentence"


def test_every_problem_of_the_files_is_listed_at_once_and_counted(bakeoff, tmp_path):
    folder = broken_json(tmp_path)
    with (folder / "train.jsonl").open("a") as stream:
        stream.write("no JSON\n")
    code, _, err = bakeoff("check", folder)
    assert code == 2
    assert "eval.jsonl:7: " in err
    assert "train.jsonl:21: " in err
    assert "2 errors; nothing was done." in err


def test_a_refused_run_leaves_what_was_there(bakeoff, tmp_path):
    taken = a_folder_in_use(tmp_path)
    assert bakeoff("run", a_scenario(tmp_path), *FEW, "--out", taken)[0] == 2
    assert [path.name for path in taken.iterdir() if path.name != ".lock"] == ["chapter.txt"]
