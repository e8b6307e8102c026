"""`vector_store`: in which server passages' vectors are kept and searched. No secret may stand there."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from harness.scenario_file.advice import shown

FORMS = (
    'must be "qdrant:" and the address of a server, such as "qdrant:http://localhost:6333", or "pgvector:" and the '
    'address of a database, such as "pgvector:postgresql://localhost:5432/passages", or the name of the environment '
    'variable that holds one ("pgvector:MY_DATABASE")'
)
SECRET = re.compile("passw|secret", re.IGNORECASE)


def store_fault(value: object) -> str | None:
    """What is wrong with this setting (without its name), or None."""
    if not isinstance(value, str):
        return f"{FORMS}; got {shown(value)}"
    kind, _, place = value.partition(":")
    if kind == "qdrant" and re.fullmatch(r":memory:|https?://[^\s@?#]+", place):
        return None
    if kind == "pgvector" and (re.fullmatch(r"[A-Za-z_]\w*", place, re.ASCII) or _names_no_secret(place)):
        return None
    if "@" not in unquote(place) and not SECRET.search(unquote(place)):
        return f"{FORMS}; got {shown(value)}"
    if kind == "pgvector":
        return (
            "must not hold a password: PostgreSQL takes it from the environment variable PGPASSWORD or the file "
            '~/.pgpass; or name the environment variable that holds the whole address ("pgvector:MY_DATABASE")'
        )
    return f"{FORMS}; got an address with a name or a key in it"


def _names_no_secret(address: str) -> bool:
    """An address of PostgreSQL in which nothing can be a password: a user's name at most stands before the host."""
    parts = re.fullmatch(r"postgres(?:ql)?://(?:[^\s:@/?#]+@)?[^\s@?#]*(?:\?([^\s@#]+))?", address)
    return parts is not None and not any(SECRET.search(name) for name, _ in parse_qsl(parts[1] or ""))
