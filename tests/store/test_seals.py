"""Checksums inside records: any damage is found and named, older folders without them are read."""

import json
from dataclasses import replace

import msgspec
import pytest

from harness.errors import RunFolderError
from harness.records import LatencySample, Passage, Prediction, Recipe, Usage
from harness.seals import fits, sealed
from harness.store import RunFolder, RunKey

KEY = RunKey("k", {"arms": "prompt"}, "tiny", "2026-01-01T00:00:00+00:00")
OBJECTS = [
    b"{}",
    b'{"a":1}',
    b'{\n "a": 1\n}',
    b'{"a":{"checksum":"00000000"}}',
    '{"ä":"\\",\\"checksum\\":\\""}'.encode(),
]


def said(number, text="Größe"):
    return Prediction(f"e{number}", "prompt", text, 10, 2, 0.5)


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write("run.json", KEY)
    return folder


# one object


@pytest.mark.parametrize("data", OBJECTS)
def test_a_sealed_object_is_still_the_object_with_one_field_more_at_its_end(data):
    found = json.loads(sealed(data, "here"))
    assert list(found)[-1] == "checksum"
    assert {key: value for key, value in found.items() if key != "checksum" or key in json.loads(data)} == json.loads(
        data
    )


@pytest.mark.parametrize("data", OBJECTS)
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_it_fits_its_place_only(data, end):
    whole = sealed(data, "here", line="1/2") + end
    assert fits(whole, "here", line="1/2") is True
    assert fits(whole, "there", line="1/2") is False
    assert fits(whole, "here", line="2/2") is False
    assert fits(data, "here") is None


@pytest.mark.parametrize("data", [b"[1]", b'"text"', b"3"])
def test_what_is_no_object_stays_as_it_is(data):
    assert sealed(data, "here") == data


@pytest.mark.parametrize("data", OBJECTS)
def test_every_flipped_bit_is_found_or_hits_the_checksums_own_name(data):
    whole = sealed(data, "here")
    seal = whole.rindex(b'"checksum"') - 3
    for place in range(len(whole)):
        for bit in range(8):
            changed = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
            assert fits(changed, "here") is not True or changed == whole or place >= seal


# a folder


@pytest.mark.parametrize("position", range(0, 120, 7))
def test_a_flipped_bit_in_a_line_is_named_with_the_line_and_what_to_do(folder, position):
    folder.append("predictions.jsonl", [said(1), said(2), said(3)])
    path = folder.path / "predictions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:position] + bytes([lines[1][position] ^ 1]) + lines[1][position + 1 :]
    path.write_bytes(b"".join(lines))
    with pytest.raises(RunFolderError, match=r"predictions\.jsonl:2 is damaged.*delete that line.*the same command"):
        folder.predictions()


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[1:],
        lambda lines: lines[::-1],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:-1], lines[-1][:-9]],
    ],
    ids=["last gone", "first gone", "swapped", "twice", "cut"],
)
def test_a_file_that_was_written_whole_misses_no_line(folder, damage):
    folder.write_lines("latency.jsonl", [LatencySample(f"e{n}", "rag", 1.0, 0.1, 1, 1) for n in range(4)])
    path = folder.path / "latency.jsonl"
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(RunFolderError, match=r"latency\.jsonl:\d is damaged, or of another run.*delete it"):
        folder.latency()


def test_lines_of_another_run_or_another_file_are_not_taken(folder, tmp_path):
    other = RunFolder(tmp_path / "other")
    other.write("run.json", replace(KEY, key="another"))
    for one in (folder, other):
        one.append("usage.jsonl", [Usage("rag", "answer", 1.0, 2.0)])
    (folder.path / "usage.jsonl").write_bytes((other.path / "usage.jsonl").read_bytes())
    with pytest.raises(RunFolderError, match="of another run"):
        folder.usage()


def test_the_same_run_elsewhere_is_as_good(folder, tmp_path):
    variant = RunFolder(folder.path / "experiments" / "seeds" / "lora-seed-1")
    for one in (folder, variant):
        one.write("recipes/rag.json", Recipe("rag"))
        one.append("passages.jsonl", [Passage("p", "d", "t", "x")])
    folder.path.rename(tmp_path / "elsewhere")
    moved = RunFolder(tmp_path / "elsewhere")
    moved.check()
    assert moved.recipe("rag") == RunFolder(moved.path / "experiments/seeds/lora-seed-1").recipe("rag") == Recipe("rag")


def test_records_written_before_there_were_checksums_are_read_and_gone_on_with(folder):
    path = folder.path / "predictions.jsonl"
    path.write_bytes(msgspec.json.encode(said(1)) + b"\n")
    (folder.path / "recipes").mkdir()
    (folder.path / "recipes" / "rag.json").write_bytes(msgspec.json.encode(Recipe("rag")))
    folder.append("predictions.jsonl", [said(2)])
    assert set(folder.predictions()["prompt"]) == {"e1", "e2"}
    assert folder.recipe("rag") == Recipe("rag")
    folder.check()


def test_after_a_line_with_a_checksum_there_is_none_without(folder):
    folder.append("predictions.jsonl", [said(1)])
    with (folder.path / "predictions.jsonl").open("ab") as stream:
        stream.write(msgspec.json.encode(said(2)) + b"\n")
    with pytest.raises(RunFolderError, match=r"predictions\.jsonl:2 is damaged"):
        folder.predictions()


def test_an_append_that_fails_half_way_leaves_the_file_as_it_was(folder, monkeypatch):
    folder.append("predictions.jsonl", [said(1)])
    before = (folder.path / "predictions.jsonl").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(RunFolderError, match=r"cannot be written \(No space left on device\)\. Make room"):
            folder.append("predictions.jsonl", [said(2)])
    assert (folder.path / "predictions.jsonl").read_bytes() == before
    folder.append("predictions.jsonl", [said(2)])
    assert set(folder.predictions()["prompt"]) == {"e1", "e2"}
