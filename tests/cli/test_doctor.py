"""What this machine offers and lacks, in words."""

from click.testing import CliRunner

from harness.cli.main import cli
from harness.engines import doctor
from harness.engines.doctor import Finding


def test_where_everything_is_there_the_next_step_is_named():
    done = CliRunner().invoke(cli, ["doctor"], terminal_width=200)
    assert done.exit_code == 0
    assert "Everything is here. Try: bakeoff run" in done.output
    for subject in ("python", "torch", "device", "memory", "default language model", "default embedder", "cache"):
        assert subject in done.output


def test_what_is_missing_is_named_with_how_to_get_it(monkeypatch, own_cache):
    monkeypatch.setattr(doctor, "PACKAGES", (*doctor.PACKAGES, "no-such-package-at-all"))
    found = {one.subject: one for one in doctor.findings()}
    assert found["no-such-package-at-all"] == Finding(
        "no-such-package-at-all", False, "not installed", "pip install no-such-package-at-all"
    )
    done = CliRunner().invoke(cli, ["doctor"], terminal_width=200)
    assert done.exit_code == 2
    assert "no-such-package-at-all: pip install no-such-package-at-all" in done.output
    assert "Everything is here" not in done.output


def test_without_torch_nothing_is_said_of_the_device(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package-at-all",))
    assert "device" not in {one.subject for one in doctor.findings()}
