"""No password survives, wherever it stands and whoever prints it."""

from __future__ import annotations

import string
import traceback
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from effvit_edge.core.errors import EdgeError
from effvit_edge.core.video import Losses
from effvit_edge.sources import list_sources, open_source, parse_uri, redacted
from effvit_edge.sources.opencv import open_pipeline
from effvit_edge.sources.options import Options
from effvit_edge.sources.pipelines import Target, http_pipeline, rtsp_pipeline

# A password that no other part of a text has by chance, with anything around it.
MARK = "Zq7"
secrets = st.text(string.printable[:95], max_size=12).map(lambda text: f"{MARK}{text}{MARK}")
urlsafe = st.text(string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/?#%", max_size=12).map(
    lambda text: f"{MARK}{text}{MARK}"
)
schemes = st.sampled_from(["rtsp", "rtsps", "http", "https", "ftp", "tcp"])
names = st.sampled_from(["", "admin", "me@home.org"])


@given(schemes, names, urlsafe)
@example("rtsp", "admin", f"{MARK}@/@{MARK}")
@example("rtsp", "admin", f"123/{MARK}")
def test_of_a_url_in_any_text(scheme: str, name: str, password: str) -> None:
    url = f"{scheme}://{name}:{password}@camera.local:554/live"
    shown = redacted(f"[Errno 1] failed: '{url}' (see {url})")
    assert MARK not in shown
    assert "camera.local:554/live" in shown


# fmt: off
NAMES = [
    "password", "pwd", "pw", "token", "access_token", "api_key", "apiKey", "key", "auth", "sig",
    "X-Amz-Signature", "user-pw", "streamSecret", "sessionid", "credential",
]
# fmt: on


@given(
    st.sampled_from(NAMES),
    secrets.filter(lambda text: not set(text) & set("&#'\" ")),
)
def test_of_a_query_and_of_a_pipelines_property(name: str, secret: str) -> None:
    for text in (f"http://h/a?x=1&{name}={secret}&y=2", f"souphttpsrc {name}={secret} ! fakesink"):
        assert MARK not in redacted(text)
    assert redacted(f"http://h/a?x=1&{name}={secret}&y=2").endswith("&y=2")


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://camera:554/live?channel=1",
        "http://host/@user/clip.mp4",
        "author=me monkey=1 keyboard=us passage=2",
        "mail me@home.org",
        "videotestsrc ! video/x-raw,width=160 ! appsink",
    ],
)
def test_nothing_else_is_hidden(text: str) -> None:
    assert redacted(text) == text


@given(schemes.filter(lambda scheme: scheme.startswith(("rtsp", "http"))), names, secrets)
def test_of_a_source_in_its_name_its_refs_and_its_pipelines(
    scheme: str, name: str, password: str
) -> None:
    url = f"{scheme}://{quote(name, safe='')}:{quote(password, safe='')}@camera/live"
    parsed = parse_uri(url)
    (ref,) = list_sources(url)
    shown = [str(parsed), repr(parsed), parsed.shown, ref.name, repr(ref)]
    for taker, jetson in (("gi", False), ("opencv", True)):
        target = Target(taker, jetson)  # type: ignore[arg-type]
        shown.append(redacted(rtsp_pipeline(url, Options(), target)))
        shown.append(redacted(http_pipeline(url, Options(), target, live=True)))
    shown.append(parsed.clean(f"401 for {password} or {quote(password, safe='')}"))
    assert [text for text in shown if MARK in text] == []


@given(urlsafe)
def test_of_a_source_that_is_refused(password: str) -> None:
    """However it is written: what cannot be taken apart is not shown, either."""
    try:
        parsed = parse_uri(f"rtsp://admin:{password}@camera:port/live")
    except EdgeError as error:
        shown = "".join(traceback.format_exception(error))
    else:
        shown = f"{parsed} {parsed!r}"
    assert MARK not in shown


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
def test_ffmpegs_own_words_are_not_in_the_trace(scheme: str) -> None:
    """FFmpeg's error has the address in it, and a trace shows the errors behind an error."""
    for host in ("127.0.0.1:9", "no-such-host.invalid"):
        with open_source(f"{scheme}://admin:{MARK}{MARK}@{host}/live?timeout=5") as source:
            with pytest.raises(EdgeError) as caught:
                source.read()
            trace = "".join(traceback.format_exception(caught.value))
            assert MARK not in trace + str(source.health) + source.name
            assert source.health.state == "failed"


def test_opencv_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    pipeline = f'rtspsrc location="rtsp://admin:{MARK}@127.0.0.1:9/x" user-pw={MARK} ! appsink'
    with pytest.raises(EdgeError) as caught:
        open_pipeline(pipeline, redacted(pipeline), Losses(), endless=True)
    assert MARK not in str(caught.value)
    assert MARK not in "".join(capfd.readouterr())
