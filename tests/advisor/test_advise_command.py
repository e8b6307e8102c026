"""The `advise` command without a terminal: what it prints, writes, and with which exit code it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisor import api
from advisor.cli.main import COMMANDS, SUMMARIES, main
from advisor.errors import UserError

FACTS = ("--set", "task=facts_qa", "--set", "gap=facts", "--set", "corpus_tokens=2m")


@pytest.fixture
def advise(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKEOFF_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["advise", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr()
        return ended.value.code, out.out, out.err

    return run


def test_the_help_lists_every_command_with_what_it_does(advise):
    code, out, err = advise("--help")
    assert (code, err) == (0, "")
    listed = out.partition("Commands:")[2].split()
    assert [word for word in listed if word in COMMANDS] == list(COMMANDS)
    assert SUMMARIES.keys() == COMMANDS.keys()
    assert "An advice.json in words again." in out


def test_a_command_that_is_none_gets_a_sentence(advise):
    code, _, err = advise("frobnicate")
    assert code == 2
    assert "No such command 'frobnicate'" in err


def test_the_price_table_is_printed_as_it_can_be_given_back(advise, tmp_path):
    code, out, _ = advise("prices")
    assert code == 0
    (tmp_path / "mine.toml").write_text(out)
    assert advise(*FACTS, "--no-input", "--prices", "mine.toml", "--out", "own")[0] == 0
    advise(*FACTS, "--no-input", "--out", "usual")
    own, usual = (api.read_json(tmp_path / name / "advice.json").costs for name in ("own", "usual"))
    assert own.approaches == usual.approaches


def printed_to(stdout, *words):
    command = [sys.executable, "-c", "from advisor.cli.main import main; main()", *words]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def test_a_reader_that_goes_is_no_traceback():
    """As with `advise questions | head -1`."""
    read, write = os.pipe()
    os.close(read)
    done = printed_to(write, "questions")
    os.close(write)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_under_the_output_is_a_sentence():
    with Path("/dev/full").open("wb") as full:
        done = printed_to(full, "questions")
    said = "advise: the output could not be written (No space left on device); advice.json is safe\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_answers_from_flags_give_advice_and_files(advise, tmp_path):
    code, out, err = advise(*FACTS, "--title", "Acme <b>", "--out", "here")
    assert (code, err) == (0, "")
    for text in (
        "Advice: Retrieval (RAG)",
        "Why retrieval (RAG)",
        "What would change the advice",
        "Layers",
        "Costs at",
        "(--set)",
    ):
        assert text in out
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"advice.json", "advice.md", "advice-costs.svg"}
    text = (tmp_path / "here" / "advice.md").read_text()
    assert text.startswith("# Advice: Acme &lt;b>\n")
    assert "## Advice: retrieval (RAG)" in text
    assert "## What would change the advice" in text
    assert "advice-costs.svg" in text


def test_advice_json_holds_the_whole_record_and_reads_back(advise, tmp_path):
    code, out, _ = advise(*FACTS, "--json")
    assert code == 0
    raw = json.loads(out)
    assert (raw["schema_version"], raw["recommendation"]["approach"]) == (1, "rag")
    path = tmp_path / "a.json"
    path.write_text(out)
    advice = api.read_json(path)
    assert advice.hypothesis.approach == "rag"
    assert {answer.source.value for answer in advice.answers} == {"flag"}
    assert not (tmp_path / "advice.json").exists(), "--json alone writes nothing"


def test_an_older_advice_is_kept(advise, tmp_path):
    for _ in range(3):
        advise(*FACTS, "--no-input")
    assert len(list(tmp_path.glob("advice*.json"))) == 3


def test_of_several_older_ones_of_the_same_second_each_is_kept(tmp_path):
    path = tmp_path / "advice.json"
    for number in range(3):
        path.write_text(str(number))
        os.utime(path, (1_800_000_000, 1_800_000_000))
        kept = api.keep_older(path)
        assert kept.read_text() == str(number)
        assert not path.exists()
    names = sorted(one.name.partition("-")[2] for one in tmp_path.iterdir())
    assert names == ["20270115-080000-2.json", "20270115-080000-3.json", "20270115-080000.json"]


def test_an_advice_that_cannot_be_written_says_where_else_to(advise, tmp_path):
    (tmp_path / "taken").write_text("mine")
    advise(*FACTS, "--no-input")
    with pytest.raises(UserError, match=r"taken/advice.json cannot be written \(.+\); name another folder with --out"):
        api.write_json(api.read_json(tmp_path / "advice.json"), tmp_path / "taken" / "advice.json")
    assert (tmp_path / "taken").read_text() == "mine"


def test_without_terminal_and_answers_it_says_which_flag_to_pass(advise):
    code, _, err = advise()
    assert code == 2
    assert "--answers FILE" in err
    assert "Traceback" not in err


def test_every_problem_of_file_and_flags_comes_at_once(advise, tmp_path):
    (tmp_path / "a.toml").write_text('tsk = "code"\nclasses = -4\n')
    code, _, err = advise("--answers", "a.toml", "--set", "gap=fact", "--set", "nonsense")
    assert code == 2
    for said in ("tsk", "classes must be 0 or more", 'did you mean "facts"', "no equals sign"):
        assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--answers", "none.toml"), "none.toml"),
        (("explain", "none.json"), "none.json cannot be read"),
        (("--prices", "none.toml", "--set", "task=code"), "none.toml"),
        (("--data", "none"), "none"),
        (("--nonsense",), "No such option"),
    ],
)
def test_bad_input_gets_a_sentence_and_exit_code_2(advise, words, said):
    code, _, err = advise(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_damaged_advice_json_is_named(advise, tmp_path):
    (tmp_path / "a.json").write_text('{"schema_version": 1}')
    code, _, err = advise("explain", "a.json")
    assert code == 2
    assert "is no advice.json" in err
    (tmp_path / "a.json").write_text('{"schema_version": 99}')
    assert "newer than this program's" in advise("explain", "a.json")[2]


def test_an_advice_json_of_another_hand_is_shown_without_escapes_or_a_crash(advise, tmp_path):
    raw = json.loads(advise(*FACTS, "--json")[1])
    raw["title"] = "Acme \x1b[31m"
    raw["answers"].append({"key": "colour", "value": "r\x1b[0med", "source": "typed", "note": "\x1b[2J"})
    raw["answers"].append({"key": "budget", "value": "huge", "source": "typed", "note": ""})
    (tmp_path / "a.json").write_text(json.dumps(raw))
    for words in (("explain", "a.json"), ("explain", "a.json", "--markdown"), ("diff", "a.json", "a.json")):
        code, out, err = advise(*words)
        assert (code, err) == (0, "")
        assert "\x1b" not in out
    flip = raw["sensitivity"]["flips"][0]
    was, flip["to"] = flip["to"], "magic"
    (tmp_path / "a.json").write_text(json.dumps(raw))
    assert "it names the unknown approach 'magic'" in advise("explain", "a.json")[2]
    flip["to"] = was
    raw["recommendation"]["approach"] = "magic"
    (tmp_path / "a.json").write_text(json.dumps(raw))
    assert "does not name each approach once" in advise("explain", "a.json")[2]


def test_the_file_wins_over_a_flag_and_that_is_said(advise, tmp_path):
    (tmp_path / "a.toml").write_text('task = "code"\n')
    code, out, _ = advise("--answers", "a.toml", "--set", "task=facts_qa", "--no-input")
    assert code == 0
    assert "gives way to" in out
    assert api.read_json(tmp_path / "advice.json").answers[0].value == "code"


def test_explain_and_diff_speak_of_what_was_written(advise, tmp_path):
    advise(*FACTS, "--out", "one")
    advise("--set", "task=rewriting", "--set", "gap=form", "--set", "labelled_examples=2000", "--out", "two")
    code, out, _ = advise("explain", "one/advice.json")
    assert code == 0
    assert "Advice: Retrieval (RAG)" in out
    code, out, _ = advise("diff", "one/advice.json", "two/advice.json")
    assert code == 0
    assert "Advice: retrieval (RAG) -> fine-tuning" in out
    assert "Write new text" not in out
    assert "Nothing differs" in advise("diff", "one/advice.json", "one/advice.json")[1]


def test_the_questions_are_printed_for_a_workshop_and_as_a_file_to_fill_in(advise, tmp_path):
    code, out, _ = advise("questions")
    assert code == 0
    assert "(question_shape)" in out
    code, out, _ = advise("questions", "--toml")
    (tmp_path / "a.toml").write_text("\n".join(line.removeprefix("# ") for line in out.splitlines() if " = " in line))
    assert advise("--answers", "a.toml", "--no-input")[0] == 0, "the template is a valid file once filled in"


def test_data_are_measured_and_the_advice_becomes_a_hypothesis(advise, tmp_path):
    folder = tmp_path / "tickets"
    folder.mkdir()
    for name, n in (("train", 120), ("eval", 40)):
        rows = [{"input": f"{name} message {i} about topic {i % 4}", "output": f"queue {i % 4}"} for i in range(n)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = advise("--data", "tickets", "--set", "labelled_examples=5000")
    assert code == 0
    assert "the data disagree" in " ".join(out.split())
    advice = api.read_json(folder / "advice.json")
    assert {answer.key: answer.source.value for answer in advice.answers}["task"] == "data"
    assert [conflict.key for conflict in advice.conflicts] == ["labelled_examples"]
    assert "[advice]" in (folder / "scenario.toml").read_text()
    assert "rag" not in advice.hypothesis.arms, "there are no documents"


def a_data_folder(place, *, rows=40, documents=False):
    place.mkdir()
    for name in ("train", "eval"):
        made = [{"input": f"{name} question {i} about topic {i}?", "output": f"Answer {i}"} for i in range(rows)]
        (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    if documents:
        (place / "corpus.jsonl").write_text('{"id": "d", "title": "t", "text": "Answer 1 is the answer."}\n')


@pytest.mark.parametrize("documents", [False, True])
def test_data_that_cannot_put_the_advice_on_trial_say_what_to_bring(advise, tmp_path, documents):
    a_data_folder(tmp_path / "desk", documents=documents)
    code, out, _ = advise("--data", "desk", *FACTS, "--set", "needs_citations=yes", "--set", "fact_change_rate=daily")
    said = " ".join(out.split())
    assert code == 0
    assert api.read_json(tmp_path / "desk" / "advice.json").hypothesis.approach == "rag"
    bring = "bring documents (corpus.jsonl or corpus/), then run advise again."
    assert (bring in said) == (not documents)
    assert ("Next: bakeoff run desk" in said) == documents


def test_the_gain_that_pays_is_said_where_a_mistake_has_a_price(advise, tmp_path):
    a_data_folder(tmp_path / "desk", documents=True)
    answers = (*FACTS, "--set", "requests_per_day=2000")
    said = " ".join(advise("--data", "desk", *answers, "--error-cost", "5")[1].split())
    gain = api.read_json(tmp_path / "desk" / "advice.json").hypothesis.margin_that_pays
    assert f"The dearer of the two pays within a year from a gain of {100 * gain:.1f} points on; margin" in said
    assert "pays within a year" not in advise("--data", "desk", *answers)[1]


def test_all_that_is_remembered_is_forgotten_damaged_files_too(advise, tmp_path):
    folder = tmp_path / "data" / "verdicts"
    folder.mkdir(parents=True)
    (folder / "damaged.json").write_text("{")
    (folder / "notes.txt").write_text("mine")
    assert "Forgot 0 of 0 verdicts." in advise("experience", "--forget-all")[1]
    assert [one.name for one in folder.iterdir()] == ["notes.txt"]


def test_experience_is_shown_and_forgotten(advise, tmp_path):
    assert "No verdict is remembered yet" in advise("experience")[1]
    folder = tmp_path / "data" / "verdicts"
    folder.mkdir(parents=True)
    record = {
        "remembered": "2026-11-25T00:00:00Z", "name": "tickets", "verdict": "winner", "approach": "rag",
        "advised": "rag", "relation": "confirmed", "answers": {"task": "facts_qa", "gap": "facts"}, "quick": False,
    }  # fmt: skip
    (folder / "a.json").write_text(json.dumps(record))
    assert "tickets" in advise("experience")[1]
    assert "The same advice was confirmed in 1" in " ".join(advise(*FACTS, "--no-input")[1].split())
    assert "Forgot 1 of 1" in advise("experience", "--forget", "tickets")[1]
    assert list(folder.iterdir()) == []
    assert advise("experience", "--forget", "tickets")[0] == 2


def test_documents_are_written_in_the_formats_asked_for_and_earlier_ones_are_kept(advise, tmp_path):
    for _ in range(2):
        code, out, _ = advise(*FACTS, "--no-input", "--format", "html, md", "--title", "Acme <b>")
        assert code == 0
        assert "Wrote advice.html, advice.md and advice.json." in out
    assert len(list(tmp_path.glob("advice*.html"))) == 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    page = (tmp_path / "advice.html").read_text()
    assert "Acme &lt;b&gt;" in page
    assert ">advice-costs.svg" not in page, "the page has the picture itself"


def test_the_documents_of_an_advice_are_made_again_for_a_client(advise, tmp_path):
    advise(*FACTS, "--no-input", "--out", "one")
    (tmp_path / "client.toml").write_text('client = "Acme Ltd"\nfirm = "Bright & Co"\n')
    code, out, _ = advise("report", "one/advice.json", "--format", "html", "--for", "client.toml", "--out", "two")
    assert (code, out) == (0, "Wrote two/advice.html\n")
    page = (tmp_path / "two" / "advice.html").read_text()
    assert "Acme Ltd" in page
    assert "Bright &amp; Co" in page
    assert advise("report", "one/advice.json")[1] == "Wrote one/advice.md\n"


def test_an_advice_json_without_sections_is_read_as_before(advise, tmp_path):
    advise(*FACTS, "--no-input")
    raw = json.loads((tmp_path / "advice.json").read_text())
    assert [one["anchor"] for one in raw["sections"]][:2] == ["use-case", "options"]
    del raw["sections"], raw["costs"]["token_prices"]
    (tmp_path / "old.json").write_text(json.dumps(raw))
    for words in (("explain", "old.json"), ("report", "old.json"), ("diff", "old.json", "advice.json")):
        assert advise(*words)[0] == 0
    assert "Nothing differs" in advise("diff", "old.json", "advice.json")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*FACTS, "--format", "doc"), "--format takes html, pdf, docx, pptx, md"),
        ((*FACTS, "--format", ""), "--format takes html, pdf, docx, pptx, md"),
        ((*FACTS, "--for", "none.toml"), "none.toml cannot be read"),
        ((*FACTS, "--template", "house.odt"), "--template takes a .docx or a .pptx"),
        ((*FACTS, "--template", "house.docx"), "house.docx cannot be read"),
        (("report", "none.json"), "none.json cannot be read"),
        (("questions", "--format", "pptx"), "'pptx' is not one of"),
        (("questions", "--format", "docx", "--out", "q.pdf"), "ends with .docx"),
        (("questions", "--out", "q"), "ends with .docx, md, html, pdf"),
    ],
)
def test_documents_that_cannot_be_made_get_a_sentence_before_anything_is_written(advise, tmp_path, words, said):
    code, _, err = advise(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("advice*"))


def test_the_handout_is_written_as_a_file(advise, tmp_path):
    code, out, _ = advise("questions", "--format", "html")
    assert (code, out) == (0, "Wrote questions.html\n")
    assert "☐" in (tmp_path / "questions.html").read_text()
    assert "is kept as" in advise("questions", "--out", "questions.html")[1]
    assert advise("questions", "--out", "to/fill-in.md")[0] == 0
    assert (tmp_path / "to" / "fill-in.md").exists()


def test_a_template_needs_its_format(advise, tmp_path):
    (tmp_path / "house.docx").write_bytes(b"PK")
    code, _, err = advise(*FACTS, "--template", "house.docx")
    assert code == 2
    assert "add --format docx" in err
    code, _, err = advise(*FACTS, "--template", "house.docx", "--format", "docx", "--no-input")
    assert code == 2
    assert "Traceback" not in err
    assert not (tmp_path / "advice.docx").exists()


def test_a_title_that_is_no_text_is_shown_with_question_marks(advise, tmp_path):
    assert advise(*FACTS, "--no-input", "--title", "bad \udcff title")[0] == 0
    assert api.read_json(tmp_path / "advice.json").title == "bad ? title"
