"""Whatever befalls a file of a finished run: the same verdict, or the damaged file by name. Never another verdict.

BAKEOFF_TRIES is the number of damages (4; 400 for docs/reliability.md), each seen by `report`, `score` and `run`.
"""

import os
import random
import re
import shutil
from pathlib import Path

import pytest
from bakeoffs import made
from commands import TRIES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

DOCUMENTS = (".lock", "report.md", "report.html")
"""What the run writes and never reads."""


@pytest.fixture(scope="module")
def bakeoff(tmp_path_factory):
    return made(tmp_path_factory.mktemp("damage"))


def flip(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def cut(data, rng):
    return data[: rng.randrange(len(data))]


def zeros(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + b"\0" * len(data[place : place + 512]) + data[place + 512 :]


def drop_a_line(data, rng):
    lines = data.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def drop_the_last_line(data, rng):
    return b"".join(data.splitlines(keepends=True)[:-1])


def swap_lines(data, rng):
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def repeat_a_line(data, rng):
    lines = data.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    return b"".join([*lines[:place], lines[place], *lines[place:]])


def empty(data, rng):
    return b""


def gone(data, rng):
    return None


DAMAGES = (flip, flip, flip, cut, zeros, drop_a_line, drop_the_last_line, swap_lines, repeat_a_line, empty, gone)


def records(folder):
    """Files of a run folder that are read: no documents, no weights of the fakes."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and "adapters" not in path.parts]
    return [path for path in found if path.name not in DOCUMENTS and path.stat().st_size]


def damaged(folder, rng):
    """Damage one file at random; which one, and how."""
    files = records(folder)
    weights = [4 if path.parent == folder else 1 for path in files]
    path, how = rng.choices(files, weights)[0], rng.choice(DAMAGES)
    data = how(path.read_bytes(), rng)
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    return path, how.__name__


def test_a_damaged_file_changes_nothing_or_is_named(bakeoff, tmp_path):
    rng = random.Random(20)
    for number in range(TRIES):
        kept = bakeoff.copy(tmp_path / f"kept{number}")
        path, how = damaged(kept, rng)
        name = str(path.relative_to(kept))
        for command in ("report", "score", "run"):
            out = tmp_path / "copy"
            shutil.copytree(kept, out)
            page = (out / "report.md").read_bytes()
            arguments = bakeoff.run(out) if command == "run" else (command, out)
            ended = bakeoff.commands.call(*arguments)
            case = (number, command, how, name, ended.err[-2000:])
            assert "Traceback" not in ended.err, case
            if ended.code == 0:
                assert bakeoff.agrees(out) or command != "run", case
                assert _same_verdict(bakeoff, out), case
                if command != "run":  # which may have made answers again, in other times
                    assert _without_dates(page) == _without_dates((out / "report.md").read_bytes()), case
            else:
                assert ended.code == 2, case
                assert name.split("/")[-1] in ended.err or _counted(name, ended.err), case
            shutil.rmtree(out)
        shutil.rmtree(kept)


def _same_verdict(bakeoff, out):
    return (out / "verdict.json").read_bytes() == (bakeoff.whole / "verdict.json").read_bytes()


def _counted(name, err):
    """Answers that are gone are counted, not named, as the same command makes them again."""
    return name == "predictions.jsonl" and re.search(r"is not finished: \d+ answers are still missing", err)


def _without_dates(page):
    return re.sub(rb"\d\d\d\d-\d\d-\d\d[T \d:+.Z]*", b"", page)


ODD = {"a pipe": os.mkfifo, "a device": lambda path: path.symlink_to("/dev/zero"), "a folder": os.mkdir}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_named_and_waited_for_by_nobody(bakeoff, tmp_path, kind):
    rng = random.Random(40)
    names = [path.relative_to(bakeoff.whole) for path in records(bakeoff.whole)]
    chosen = {Path("run.json"), Path("predictions.jsonl"), *(rng.sample(names, min(len(names), TRIES // 2)))}
    for number, name in enumerate(sorted(chosen)):
        for command in ("report", "score", "run", "history"):
            out = bakeoff.copy(tmp_path / f"{number}{command}" / "run")
            (out / name).unlink()
            ODD[kind](out / name)
            arguments = {"run": bakeoff.run(out), "history": ("history", "--runs", out.parent)}.get(
                command, (command, out)
            )
            ended = bakeoff.commands.call(*arguments)
            case = (kind, str(name), command, ended.err[-2000:])
            assert "Traceback" not in ended.err, case
            assert (ended.code == 2 and name.name in ended.err) or ended.code == 0, case
            if ended.code == 0 and command != "history":
                assert _same_verdict(bakeoff, out), case


# mixed up


@pytest.mark.parametrize(
    "name", ["predictions.jsonl", "cases.jsonl", "latency.jsonl", "usage.jsonl", "rule.json", "recipes/rag.json"]
)
def test_a_file_of_another_run_is_named(bakeoff, tmp_path, name):
    out, other = bakeoff.copy(tmp_path / "run"), tmp_path / "other"
    ended = bakeoff.commands.call(*bakeoff.run(other), "--seed", "5")
    assert ended.code == 0, ended.err[-2000:]
    shutil.copy(other / name, out / name)
    for command in (("report", out), ("score", out), bakeoff.run(out)):
        ended = bakeoff.commands.call(*command)
        if ended.code == 0:  # a record that both runs share, or that is not used
            assert _same_verdict(bakeoff, out)
        else:
            assert ended.refused, ended.err[-2000:]
            assert name in ended.err
            assert "of another run: its checksum does not fit" in ended.err


@pytest.mark.parametrize("place", ["experiments/retrieval/rag-bm25", "experiments/seeds/lora-seed-1"])
def test_a_file_of_another_part_of_the_same_run_is_named(bakeoff, tmp_path, place):
    out = bakeoff.copy(tmp_path / "run")
    shutil.copy(out / place / "predictions.jsonl", out / "predictions.jsonl")
    ended = bakeoff.commands.call("report", out)
    assert ended.refused
    assert "predictions.jsonl:1 is damaged, or of another run" in ended.err


def test_a_changed_eval_file_is_named(bakeoff, tmp_path):
    out = bakeoff.copy(tmp_path / "run")
    scenario = tmp_path / "capitals"
    shutil.copytree(bakeoff.scenario, scenario)
    rows = (scenario / "eval.jsonl").read_text()
    (scenario / "eval.jsonl").write_text(rows.replace("City3", "Town3"))
    _, _, *rest = bakeoff.run(out)
    ended = bakeoff.commands.call("run", scenario, *rest, "--explore")
    assert ended.refused
    assert "holds another run: eval cases changed since it began" in ended.err


def test_another_model_under_the_same_path_is_named(bakeoff, tmp_path):
    from harness.models.local import weights_digest

    out, model = bakeoff.copy(tmp_path / "run"), tmp_path / "model"
    model.mkdir()
    digests = []
    for content in (b"weights", b"Weights"):
        (model / "model.safetensors").write_bytes(content)
        os.utime(model / "model.safetensors", (1, 1))
        digests.append(weights_digest(model))
    assert digests[0] != digests[1], "the same path, size and time, other weights"

    def other_model():
        from fakes import FakeEngine

        FakeEngine.name = "other"
        FakeEngine.__init__.__defaults__ = tuple(
            "other" if value == "fake" else value for value in FakeEngine.__init__.__defaults__
        )

    ended = bakeoff.commands.call(*bakeoff.run(out), before=other_model)
    assert ended.refused, ended.err[-2000:]
    assert "holds another run: model changed since it began" in ended.err


# what to do about it


def test_what_the_sentence_says_mends_a_damaged_line(bakeoff, tmp_path):
    out = bakeoff.copy(tmp_path / "run")
    path = out / "predictions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[4].replace(b"e", b"f", 1), *lines[5:]]))
    ended = bakeoff.commands.call(*bakeoff.run(out))
    assert ended.refused
    assert "predictions.jsonl:5 is damaged" in ended.err
    assert "delete that line, then run the same command" in ended.err
    path.write_bytes(b"".join([*lines[:4], *lines[5:]]))
    assert bakeoff.commands.call(*bakeoff.run(out)).code == 0
    assert bakeoff.agrees(out)


@pytest.mark.parametrize("name", ["recipes/rag.json", "cases.jsonl", "scenario.json", "retrieval.json"])
def test_what_the_sentence_says_mends_a_damaged_file(bakeoff, tmp_path, name):
    out = bakeoff.copy(tmp_path / "run")
    (out / name).write_bytes((out / name).read_bytes().replace(b"1", b"2").replace(b"4", b"5"))
    if bakeoff.commands.call(*bakeoff.run(out)).refused:
        (out / name).unlink()
        (out / "verdict.json").unlink()
    assert bakeoff.commands.call(*bakeoff.run(out)).code == 0
    assert bakeoff.agrees(out)


def test_the_order_of_the_answers_in_the_file_decides_nothing(bakeoff, tmp_path):
    for number in range(3):
        out = bakeoff.copy(tmp_path / str(number))
        lines = (out / "predictions.jsonl").read_bytes().splitlines(keepends=True)
        random.Random(number).shuffle(lines)
        (out / "predictions.jsonl").write_bytes(b"".join(lines))
        assert bakeoff.commands.call("score", out).code == 0
        assert _same_verdict(bakeoff, out)
