import builders
import pytest

from harness.errors import UserError
from harness.report.write import write_reports


def test_both_reports_are_written_and_nothing_else_is_left(tmp_path):
    paths = write_reports(builders.winner(), tmp_path)
    assert [path.name for path in paths] == ["report.md", "report.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md"]
    assert paths[0].read_text(encoding="utf-8").startswith("# Bake-off: branches\n")
    assert paths[1].read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_report_is_replaced_and_the_same_run_gives_the_same_bytes(tmp_path):
    first = [path.read_bytes() for path in write_reports(builders.tie(), tmp_path)]
    (tmp_path / "report.md").write_text("old", encoding="utf-8")
    assert [path.read_bytes() for path in write_reports(builders.tie(), tmp_path)] == first


def test_a_report_that_cannot_be_put_in_place_leaves_no_half_file(tmp_path):
    (tmp_path / "report.md").mkdir()
    (tmp_path / "report.md" / "something").touch()
    with pytest.raises(UserError, match=r"report\.md"):
        write_reports(builders.winner(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_text_that_is_no_unicode_can_be_written(tmp_path):
    write_reports(builders.with_text("lone \ud800 surrogate"), tmp_path)
    assert "lone \ufffd surrogate" in (tmp_path / "report.md").read_text(encoding="utf-8")
