"""Who may see the page.

On an address that only this machine reaches, any of its users may, and the ``Host`` header must
name the machine itself: a site whose name was made to lead to 127.0.0.1 ("DNS rebinding") could
otherwise read the page with the visitor's browser. On any other address a token is asked for. It
comes once in the URL, and from then on a cookie stands for it, which scripts cannot read and other
sites cannot send.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from email.message import Message

from effvit_edge.core.errors import InputError

MIN_TOKEN = 16
"""Characters: a shorter one could be found by trying."""
_TOKEN_BYTES = 24
_LOCAL_NAME = "localhost"


def checked_token(token: str | None, loopback: bool) -> str | None:
    """The token to ask for: the one given, a new one where one is needed, or none.

    Raises:
        InputError: the one given is too short, or holds what a URL cannot.
    """
    if token is None:
        return None if loopback else secrets.token_urlsafe(_TOKEN_BYTES)
    if len(token) < MIN_TOKEN:
        raise InputError(
            f"The token for the web page has {len(token)} characters, and needs at least "
            f"{MIN_TOKEN}. Give a longer one, or none and one is made."
        )
    if not (token.isascii() and token.replace("-", "").replace("_", "").isalnum()):
        raise InputError(
            "The token for the web page may hold letters, digits, - and _ only. Give another, or "
            "none and one is made."
        )
    return token


class Access:
    """Decides about requests by their headers.

    Args:
        token: what a visitor must know; None asks for nothing but a local ``Host``.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        # The cookie is another secret, of this run: what a browser keeps is not the token.
        self._session = secrets.token_urlsafe(_TOKEN_BYTES)

    def refusal(self, headers: Message) -> tuple[int, str] | None:
        """The status and the sentence to refuse a request with; None lets it pass."""
        if headers.get("Sec-Fetch-Site") == "cross-site" and (
            headers.get("Sec-Fetch-Mode") != "navigate"
        ):
            return 403, "Another site asked for this; open the page itself."
        if self._token is None:
            if _is_local(headers.get("Host", "")):
                return None
            return 421, "This page is served under localhost and 127.0.0.1 only."
        if self._has_cookie(headers) or self._has_bearer(headers):
            return None
        return 401, "Open the page by the whole URL that was printed, with its token."

    def is_token(self, given: str) -> bool:
        """Whether it is the token, found out in constant time."""
        return self._token is not None and _same(given, self._token)

    def cookie(self, port: int) -> str:
        """The header's value that lets a browser in from now on."""
        return f"{_cookie_name(port)}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def _has_cookie(self, headers: Message) -> bool:
        # By hand: http.cookies gives up at the first cookie of another program that it dislikes.
        pairs = ";".join(headers.get_all("Cookie", [])).split(";")
        named = [pair.strip().partition("=") for pair in pairs]
        ours = [value for name, _, value in named if name.startswith(_COOKIE)]
        return any([_same(value, self._session) for value in ours])

    def _has_bearer(self, headers: Message) -> bool:
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(value.strip())


# Cookies of one machine are shared by its ports: the name tells two runs apart.
_COOKIE = "effvit_edge_"


def _cookie_name(port: int) -> str:
    return f"{_COOKIE}{port}"


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())


def _is_local(host: str) -> bool:
    """Whether a ``Host`` header names this machine from itself, whatever the port."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    else:
        name = name.partition(":")[0]
    if name == _LOCAL_NAME:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
