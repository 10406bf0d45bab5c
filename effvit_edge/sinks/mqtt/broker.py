"""Which broker, as whom, under which topics: ``mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT][/PREFIX]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from effvit_edge.core.errors import InputError

DEFAULT_PREFIX = "effvit-edge"
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = "mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX], or mqtts:// for TLS"


@dataclass(frozen=True)
class Broker:
    """Where to publish. Its text has no user and no password."""

    host: str
    port: int
    prefix: str
    tls: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}"


def parse_broker(url: str) -> Broker:
    """Read a broker's URL. User and password may be percent-encoded.

    Raises:
        InputError: it is none; what could be a password is not repeated.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # it names the part, which may be the password
        raise InputError(f"The MQTT broker's URL cannot be read. Give {_FORM}.") from error
    if parts.scheme not in _PORTS or not host or port == 0:
        raise InputError(f"The MQTT broker's URL must have the form {_FORM}.")
    if parts.query or parts.fragment:
        raise InputError(
            f"The MQTT broker's URL has something behind a ? or #. Give {_FORM}; such a character "
            "in a password is written %3F or %23."
        )
    return Broker(
        host=host,
        port=port or _PORTS[parts.scheme],
        prefix=_checked_prefix(unquote(parts.path).strip("/")),
        tls=parts.scheme == "mqtts",
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


def _checked_prefix(prefix: str) -> str:
    if any(character in "+#" or not character.isprintable() for character in prefix):
        raise InputError(
            f"The prefix {prefix!r} of the MQTT topics has a character that topics cannot hold "
            "(+ and # stand for other topics). Give another."
        )
    if prefix.startswith("$"):
        raise InputError(
            f"The prefix {prefix!r} of the MQTT topics begins with $, which brokers keep for "
            "themselves. Give another."
        )
    return prefix or DEFAULT_PREFIX


def topic_level(name: str) -> str:
    """A source's name as one level of a topic.

    What would end the level, or stand for others, is percent-encoded, and so is the percent sign:
    two names never get the same topic.
    """
    return "".join(
        character
        if character.isprintable() and character not in "/+#%"
        else "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        for character in name
    )
