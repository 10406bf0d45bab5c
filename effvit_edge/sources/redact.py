"""Keeping passwords out of everything that people and files get to see.

Names of sources, errors, health, logs: whatever leaves this package goes through :func:`redacted`,
and whatever a library says about a source through :func:`scrubbed` with that source's secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"
"""What stands where a secret was."""

_SHORT = 4  # a shorter secret is part of ordinary words, and only taken out where it stands

_URL = re.compile(r"([a-z][a-z0-9+.-]*://)(\S+)", re.IGNORECASE)
_AUTHORITY_END = re.compile(r"[/?#]")

_ANYWHERE = "password|passwd|passphrase|passcode|secret|token|apikey|pwd"
_AS_A_WORD = (
    "pass|pw|key|auth|authorization|sig|signature|credentials?|cookies?|session|sessionid|jwt|sas"
)
_ASSIGNED = re.compile(
    rf"""(?<![\w.-])                                  # a name that looks like a secret's
    ([\w.-]*(?:{_ANYWHERE})[\w.-]* | (?:[\w.-]*[_.-])?(?:{_AS_A_WORD})(?:[_.-][\w.-]*)?)
    (\s*=\s*)
    ("(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | [^\s&\#]+)  # its value, quoted or up to a separator
    """,
    re.IGNORECASE | re.VERBOSE,
)


def redacted(text: str) -> str:
    """A text without the user names and passwords of the URLs in it, and without secret values.

    What stands before an ``@`` is hidden up to the last one, even where a password that should
    have been percent-encoded has a slash in it: rather too much than too little. Values of
    ``name=value`` are hidden where the name is that of a secret, in a URL's query as in a pipeline.
    """
    return _ASSIGNED.sub(rf"\1\2{HIDDEN}", _URL.sub(_without_user, text))


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """A text redacted, and without these secrets wherever they stand."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORT:
            text = text.replace(secret, HIDDEN)
    return redacted(text)


def _without_user(url: re.Match[str]) -> str:
    scheme, rest = url[1], url[2]
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    if "@" not in rest or not ("@" in authority or ":" in authority):
        return scheme + rest
    return f"{scheme}{HIDDEN}@{rest.rpartition('@')[2]}"
