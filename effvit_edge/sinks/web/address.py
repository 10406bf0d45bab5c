"""Where the page is served: ``[HOST:]PORT``."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError

LOOPBACK = "127.0.0.1"
_LARGEST_PORT = 65535
_FIRST_OPEN_PORT = 1024
_EVERY_ADDRESS = {"0.0.0.0", "::"}
# Of the range kept for documentation (RFC 5737): a datagram socket that is connected to it sends
# nothing, and has the address by which this machine would reach others.
_SOMEWHERE = ("192.0.2.1", 9)


@dataclass(frozen=True)
class Address:
    """A host's name or address, and a port; port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """``"8080"``, ``"0.0.0.0:8080"``, ``"[::1]:8080"``; 127.0.0.1 where no host is given.

    Raises:
        InputError: it is none of these.
    """
    host, colon, port = text.strip().rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) <= _LARGEST_PORT):
        raise _unreadable(text)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _unreadable(text)
    if colon and not host:
        raise _unreadable(text)
    return Address(host or LOOPBACK, int(port))


def _unreadable(text: str) -> InputError:
    return InputError(
        f"Cannot serve the web page at {text!r}: give a port, as in 8080, or an address and a "
        "port, as in 0.0.0.0:8080 or [::1]:8080."
    )


def resolve(address: Address) -> tuple[socket.AddressFamily, Address]:
    """The family and the numeric address to listen on.

    Raises:
        InputError: the host's name is not known here.
    """
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"Cannot serve the web page at {address}: the name {address.host!r} is not known "
            "here. Give one of this machine's addresses, 127.0.0.1 for this machine alone, or "
            "0.0.0.0 for all its networks."
        ) from error
    family, _, _, _, place = found[0]
    return family, Address(str(place[0]), address.port)


def is_loopback(address: Address) -> bool:
    """Whether only this machine can reach a numeric address."""
    return ipaddress.ip_address(address.host.partition("%")[0]).is_loopback


def cannot_listen(address: Address, error: OSError) -> EdgeError:
    """What to say when a socket cannot listen there."""
    start = f"Cannot serve the web page at {address}: "
    if error.errno == errno.EADDRINUSE:
        return EnvironmentFault(
            f"{start}another program listens there. Give --web another port, or stop that "
            f"program (ss -ltnp 'sport = {address.port}' shows it)."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InputError(
            f"{start}this machine has no such address. Give one of its own (ip address shows "
            "them), 127.0.0.1 for this machine alone, or 0.0.0.0 for all its networks."
        )
    if error.errno == errno.EACCES and address.port < _FIRST_OPEN_PORT:
        return EnvironmentFault(
            f"{start}ports below {_FIRST_OPEN_PORT} need special rights. Give --web a higher one."
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return EnvironmentFault(f"{start}{reason}. Give --web another address or port.")


def url_of(address: Address) -> str:
    """What to type into a browser, on this machine or, where that is meant, on another."""
    if address.host in _EVERY_ADDRESS:
        address = Address(_outward_host(), address.port)
    return f"http://{address}/"


def _outward_host() -> str:
    """This machine's address as others see it, or its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_SOMEWHERE)
            host: str = probe.getsockname()[0]
        except OSError:  # no way out
            return socket.gethostname()
    return host
