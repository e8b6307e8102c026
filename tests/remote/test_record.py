"""A folder as it is at one moment, though others write into it."""

from pathlib import Path

from harness.remote import record
from harness.remote.record import Record, look, moment


def test_what_is_gone_between_two_looks_and_what_is_hidden_is_left_out(tmp_path):
    (tmp_path / "run.json").write_bytes(b"{}")
    (tmp_path / ".lock").touch()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    assert list(look(tmp_path)) == ["run.json"]


def test_a_file_that_goes_while_it_is_read_has_the_folder_looked_at_again(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_bytes(b"{}")
    (tmp_path / "verdict.json").write_bytes(b"[]")
    real, tries = Path.read_bytes, []

    def read(self):
        if self.name == "verdict.json" and not tries:
            tries.append(self)
            self.unlink()
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read)
    found = moment(tmp_path, Record("memory://x"), largest=100)
    assert tries
    assert found.held == {"run.json": b"{}"}
    assert list(found.stamps) == ["run.json"]


def test_of_a_folder_that_is_written_all_the_time_there_is_no_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "_LOOKS", 3)
    path, real = tmp_path / "predictions.jsonl", look
    path.write_bytes(b"")

    def written(folder):
        found = real(folder)
        with path.open("ab") as stream:
            stream.write(b"{}\n")
        return found

    monkeypatch.setattr(record, "look", written)
    assert moment(tmp_path, Record("memory://x"), largest=100) is None
    assert path.read_bytes().count(b"\n") == 6, "each try looks twice"
