from __future__ import annotations

from email.message import Message

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.sinks.web.access import Access, checked_token

_TOKEN = "a-token-of-some-length"


def _headers(**values: str) -> Message:
    headers = Message()
    for name, value in values.items():
        headers[name.replace("_", "-")] = value
    return headers


def _status(access: Access, **headers: str) -> int:
    refusal = access.refusal(_headers(**headers))
    return refusal[0] if refusal else 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:9000", 200),
        ("127.0.0.1:8080", 200),
        ("127.1.2.3", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST", 200),
        ("attacker.example", 421),
        ("127.0.0.1.attacker.example:8080", 421),
        ("localhost.attacker.example", 421),
        ("10.0.0.7", 421),
        ("[fe80::1]", 421),
        ("", 421),
    ],
)
def test_without_a_token_the_host_must_be_this_machine(host: str, status: int) -> None:
    assert _status(Access(None), Host=host) == status


def test_other_sites_may_link_here_and_nothing_else() -> None:
    access = Access(None)
    embedding = {"Host": "localhost", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    assert _status(access, **embedding) == 403
    assert _status(access, **{**embedding, "Sec_Fetch_Mode": "navigate"}) == 200
    assert _status(access, **{**embedding, "Sec_Fetch_Site": "same-origin"}) == 200


def test_with_a_token_only_those_who_had_it_pass() -> None:
    access = Access(_TOKEN)
    cookie = access.cookie(8080).partition(";")[0]
    assert _status(access, Host="localhost") == 401
    assert _status(access, Cookie=cookie) == 200
    assert _status(access, Cookie=f'odd="cookie; of=[another]; {cookie}; last=1') == 200
    assert _status(access, Cookie=cookie[:-1]) == 401
    assert _status(access, Cookie=f"effvit_edge_8080={_TOKEN}") == 401
    assert _status(access, Authorization=f"Bearer {_TOKEN}") == 200
    assert _status(access, Authorization=f"Bearer {_TOKEN}x") == 401
    assert _status(access, Authorization=f"Basic {_TOKEN}") == 401


def test_the_cookie_of_another_run_does_not_open_this_one() -> None:
    cookie = Access(_TOKEN).cookie(8080).partition(";")[0]
    assert _status(Access(_TOKEN), Cookie=cookie) == 401


def test_the_cookie_is_no_token_and_stays_with_the_browser_and_the_site() -> None:
    cookie = Access(_TOKEN).cookie(8080)
    assert _TOKEN not in cookie
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")


def test_a_token_is_made_where_others_can_come_in() -> None:
    made = checked_token(None, loopback=False)
    assert made is not None
    assert len(made) >= 32
    assert made != checked_token(None, loopback=False)
    assert checked_token(None, loopback=True) is None
    assert checked_token(_TOKEN, loopback=True) == _TOKEN


@pytest.mark.parametrize(
    ("token", "words"),
    [("short", "at least 16"), ("with a space in it", "letters, digits"), ("ä" * 16, "letters")],
)
def test_a_weak_or_unfit_token_is_refused_and_not_repeated(token: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        checked_token(token, loopback=False)
    assert token not in str(caught.value)
