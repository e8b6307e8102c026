"""The advice written into a scenario, and read back by the harness."""

import pytest

from advisor.errors import UserError
from advisor.records import Answer, Hypothesis, Source
from advisor.trial import write_hypothesis
from harness.scenario import StatedAdvice
from harness.scenario_file.toml_file import read_settings

HYPOTHESIS = Hypothesis("2026-11-25", "rag", "few_shot", "Retrieval wins.", ("prompt", "rag"))
ANSWERS = (
    Answer("gap", "facts", Source.TYPED),
    Answer("classes", None, Source.TYPED),
    Answer("needs_citations", True, Source.FILE, "a.toml"),
)


def write(folder, hypothesis=HYPOTHESIS):
    return write_hypothesis(folder, hypothesis, band="likely", answers=ANSWERS)


def read(folder):
    settings, problems = read_settings(folder / "scenario.toml")
    assert problems == ()
    return settings


def test_the_harness_reads_back_what_was_written(tmp_path):
    assert write(tmp_path).created
    settings = read(tmp_path)
    assert settings.arms == ("prompt", "rag")
    assert settings.advice == StatedAdvice(
        "2026-11-25", "rag", "few_shot", "Retrieval wins.", "likely",
        (("gap", "facts"), ("needs_citations", True)), (("gap", "typed"), ("needs_citations", "file")),
    )  # fmt: skip


def test_new_advice_replaces_ours_and_keeps_everything_else(tmp_path):
    own = '# my file\n\nname = "x" # mine\ninstruction = """\n[job]\nAnswer."""\n\n[rule]\nmargin = 0.1 # agreed\n'
    path = tmp_path / "scenario.toml"
    path.write_text(own)
    write(tmp_path)
    once = path.read_text()
    write(tmp_path, Hypothesis("2026-12-01", "few_shot", None, "Shots win.", ("prompt", "few_shot")))
    settings = read(tmp_path)
    assert (settings.name, settings.rule.margin, settings.arms) == ("x", 0.1, ("prompt", "few_shot"))
    assert settings.advice.approach == "few_shot"
    for text in (once, path.read_text()):
        assert all(line in text for line in own.splitlines()), "comments and all"
        assert text.count("[advice]") == 1


def test_the_users_own_arms_are_left_and_reported(tmp_path):
    (tmp_path / "scenario.toml").write_text('arms = ["prompt", "lora"] # mine\n')
    assert write(tmp_path).arms_kept == ("prompt", "lora")
    assert read(tmp_path).arms == ("prompt", "lora")


@pytest.mark.parametrize(
    "own",
    [
        pytest.param("# only a comment, and no line end", id="a comment without a line end"),
        pytest.param('name = "x"\n', id="settings"),
        pytest.param('name = "x"\r\n[rule]\r\nmargin = 0.1\r\n', id="Windows line ends"),
        pytest.param('instruction = """\n# no comment\n[advice]"""\n', id="a text that looks like TOML"),
        pytest.param('advice.date = "2026-01-01"\nname = "x"\n', id="an advice without a table of its own"),
        pytest.param('[advice]\n[files]\neval = "e.jsonl" # mine\n# last\n', id="an advice between others"),
    ],
)
def test_writing_twice_is_writing_once(tmp_path, own):
    path = tmp_path / "scenario.toml"
    path.write_bytes(own.encode())
    write(tmp_path)
    once = path.read_bytes()
    write(tmp_path)
    assert path.read_bytes() == once
    settings = read(tmp_path)
    assert (settings.arms, settings.advice.approach) == (("prompt", "rag"), "rag")
    kept = [line for line in own.encode().splitlines(keepends=True) if b"advice." not in line and line != b"[advice]\n"]
    assert all(line in once for line in kept)


def test_the_users_comments_in_and_below_our_table_are_kept_above_what_follows(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text('[advice]\n# agreed with Ann\ndate = "2026-01-01"\n\n# where the rows are\n[files]\neval = "e"\n')
    write(tmp_path)
    text = path.read_text()
    assert text.index("[advice.sources]") < text.index("# agreed with Ann") < text.index("# where the rows are")
    assert text.index("# where the rows are") < text.index("[files]")


@pytest.mark.parametrize(("line", "kept"), [('arms = "rag"', ("rag",)), ("arms = true", ("True",))])
def test_arms_that_are_no_list_are_left_for_the_bake_off_to_refuse(tmp_path, line, kept):
    (tmp_path / "scenario.toml").write_text(f"{line} # mine\n")
    assert write(tmp_path).arms_kept == kept
    assert line in (tmp_path / "scenario.toml").read_text()


def test_a_link_stays_a_link_and_its_file_as_private_as_it_was(tmp_path):
    real = tmp_path / "real.toml"
    real.write_text('name = "x"\n')
    real.chmod(0o640)
    link = tmp_path / "s" / "scenario.toml"
    link.parent.mkdir()
    link.symlink_to(real)
    write(link.parent)
    assert link.is_symlink()
    assert (real.stat().st_mode & 0o777, "[advice]" in real.read_text()) == (0o640, True)


def test_a_place_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write(tmp_path / "file")


def test_a_file_that_is_no_toml_is_left_as_it_is(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text("name = \n")
    with pytest.raises(UserError, match="cannot be read as TOML"):
        write(tmp_path)
    assert path.read_text() == "name = \n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'name = "f\xfcr"\n', r"cannot be read as TOML \(.*0xfc.*\); mend it, and run advise again"),
        (b"#" * (2**20 + 1), "is larger than 1 MB; mend that, and run advise again"),
        (None, "; mend that, and run advise again"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path, content, said):
    path = tmp_path / "scenario.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        write(tmp_path)
    assert path.is_dir() if content is None else path.read_bytes() == content
