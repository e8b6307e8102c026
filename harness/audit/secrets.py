"""Passwords, keys and tokens in texts: the patterns of detect-secrets, and a few that it lacks.

Its guesses by entropy are left out: in prose, digests and ids they are nearly always wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Protocol

_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----[^\w]{0,9}"
    r"[\w+/=\s:,.\\-]{40,20000}?(?:-----END [A-Z ]{0,40}-----|\Z)"
)
_NAMED = re.compile(
    r"(?i)\b(?:pass(?:word|phrase|wd|wort)|passwort|kennwort|mot de passe|contraseña|pwd|secret(?: ?key)?"
    r"|(?:api|access|auth|secret|client)[ _-]?(?:key|token|secret))[\"']?\s{0,3}(?:[:=]|\bis\b)\s{0,3}"
    r"[\"'`]?([^\s\"'`<>{}(),;]{6,200})"
)
_OWN = re.compile(
    r"(?<![\w-])(?:sk-[A-Za-z0-9_-]{20,200}|hf_[A-Za-z0-9]{30,60}|AIza[A-Za-z0-9_-]{35}|xai-[A-Za-z0-9]{40,100}"
    r"|github_pat_[A-Za-z0-9_]{30,100}|ya29\.[A-Za-z0-9_-]{30,300})(?![\w-])"
)
_TOKEN = re.compile(r"\S{16,}")
_TAIL, _HEAD = re.compile(r"[\w.+/~-]+\Z"), re.compile(r"[\w.+/=~-]*[\w+/=~-]")
_BEFORE, _LONGEST = 60, 600
_PLUGINS = (
    ("artifactory", "ArtifactoryDetector"),
    ("aws", "AWSKeyDetector"),
    ("azure_storage_key", "AzureStorageKeyDetector"),
    ("basic_auth", "BasicAuthDetector"),
    ("discord", "DiscordBotTokenDetector"),
    ("github_token", "GitHubTokenDetector"),
    ("gitlab_token", "GitLabTokenDetector"),
    ("jwt", "JwtTokenDetector"),
    ("mailchimp", "MailchimpDetector"),
    ("npm", "NpmDetector"),
    ("openai", "OpenAIDetector"),
    ("pypi_token", "PypiTokenDetector"),
    ("sendgrid", "SendGridDetector"),
    ("slack", "SlackDetector"),
    ("square_oauth", "SquareOAuthDetector"),
    ("stripe", "StripeDetector"),
    ("twilio", "TwilioKeyDetector"),
)
"""Modules of `detect_secrets.plugins` and their class. Left out: those for IP addresses, entropy and bare keywords."""


class _Detector(Protocol):
    def analyze_string(self, string: str) -> Iterator[str]:
        """The secrets in a line."""


def secret_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what is likely a private key, a password that is named as one, or a service's token."""
    if "PRIVATE KEY" in text:
        yield from (found.span() for found in _BLOCK.finditer(text))
    yield from (found.span(1) for found in _NAMED.finditer(text) if _is_password(found[1]))
    for token in _TOKEN.finditer(text):
        if any(sign.isdigit() for sign in token[0]) or "@" in token[0]:
            yield from (found.span() for found in _OWN.finditer(text, token.start(), token.end()))
            yield from _tokens(text, token.start(), min(token.end(), token.start() + _LONGEST))


def _is_password(value: str) -> bool:
    """Letters with digits or signs among them; an ordinary word after "password:" is prose, an address is none."""
    bare = value.rstrip(".!?")
    letters, others = any(map(str.isalpha, bare)), sum(not sign.isalpha() and sign not in "-'’" for sign in bare)
    return len(bare) >= 6 and letters and others > 0 and any(map(str.isdigit, bare)) and "://" not in bare


def _tokens(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """What detect-secrets finds in one long word, read with what stands before it in its line."""
    from_line = max(text.rfind("\n", 0, start) + 1, start - _BEFORE)
    part = text[from_line:end]
    for detector in _detectors():
        for secret in detector.analyze_string(part):
            at = part.find(secret)
            if at >= 0 and secret:
                yield _whole(text, from_line + at, from_line + at + len(secret))


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The whole of a secret of which a pattern names only a part."""
    before, after = _TAIL.search(text, max(start - _LONGEST, 0), start), _HEAD.match(text, end, end + _LONGEST)
    return before.start() if before else start, after.end() if after else end


@cache
def _detectors() -> tuple[_Detector, ...]:
    from importlib import import_module

    return tuple(getattr(import_module(f"detect_secrets.plugins.{home}"), name)() for home, name in _PLUGINS)
