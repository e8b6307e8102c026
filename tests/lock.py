"""What pip resolved (`pip install --dry-run --report`) as requirements with the SHA-256 of each file: `make lock`.

torch is left out: which build an index serves, and so its hash, depends on the index.
"""

import json
import sys
from pathlib import Path

LEFT_OUT = ("torch", "bakeoff-advisor")


def lines(report):
    """One line a package, by name."""
    for one in sorted(report["install"], key=lambda one: one["metadata"]["name"].lower()):
        name, version = one["metadata"]["name"], one["metadata"]["version"]
        if name.lower() not in LEFT_OUT:
            yield f"{name}=={version} --hash=sha256:{one['download_info']['archive_info']['hashes']['sha256']}"


if __name__ == "__main__":
    print("# Made by `make lock` on Linux with Python 3.11 from pyproject.toml and constraints.txt; for `make locked`.")
    print("\n".join(lines(json.loads(Path(sys.argv[1]).read_text()))))
