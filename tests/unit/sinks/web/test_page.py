"""The page in a real browser. Screenshots are kept in pytest's temporary folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from effvit_edge.core.motion.film import FilmFrame
from effvit_edge.sinks.web import WebSink
from tests.browser import NAMES, Browser, Page, browser
from tests.live_feed import Feed, Scripted, short_film
from tests.needed import program
from tests.unit.sinks.web.visiting import stream, until

_LONG = (
    "putting something into something else so that it does not fit there at all, again and again"
)
# A grey copy of what the image shows now, as one number; pictures of a film differ in it.
_PIXELS = """(() => {
    const image = document.getElementById("picture");
    const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 36});
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, 64, 36);
    return context.getImageData(0, 0, 64, 36).data.reduce((sum, v, i) => (sum * 31 + v) % 1e9, 7);
})()"""
_IS_SHOWN = "document.getElementById('screen').dataset.empty === 'false'"
# What a page must never cause: an error of its own, or something that its rules forbid.
_WATCH = """
    window.problems = [];
    addEventListener("error", (event) => window.problems.push(String(event.message)));
    addEventListener("unhandledrejection", (event) => window.problems.push(String(event.reason)));
    addEventListener("securitypolicyviolation", (event) =>
        window.problems.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = program(*NAMES, package="chromium")
    with browser(path, tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def film() -> list[FilmFrame]:
    return short_film(seed=3, segments=2)


@pytest.fixture
def play() -> Iterator[Callable[..., WebSink]]:
    """Serves the page, fed with sources."""
    with contextlib.ExitStack() as running:

        def start(*sources: Scripted, address: str = "0") -> WebSink:
            sink = WebSink(address)
            running.callback(sink.close)
            running.enter_context(Feed(sink, sources))
            return sink

        yield start


def _open(chromium: Browser, url: str) -> Page:
    page = chromium.open("about:blank")
    page.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
    page.go(url)
    page.wait("document.readyState === 'complete'")
    return page


def _text(name: str) -> str:
    return f"document.getElementById({name!r}).textContent"


def _wait_for_change(page: Page) -> None:
    page.wait(_IS_SHOWN)
    shown = page.run(_PIXELS)
    page.wait(f"{_PIXELS} !== {shown}")


def _check_quiet(page: Page) -> None:
    assert page.run("window.problems") == []


def test_the_picture_moves_and_the_label_is_right(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame], tmp_path: Path
) -> None:
    sink = play(Scripted("gate", labels=("closer", "left"), film=film))
    page = _open(chromium, sink.url)
    page.look(1440, 900)
    _wait_for_change(page)
    _wait_for_change(page)
    for label in ("closer", "left"):  # the film has one stretch of each
        page.wait(f"{_text('label')} === {label!r}")
        page.wait(f"document.title === {label + ' · effvit-edge'!r}")
    page.wait(f"{_text('fps')} === '15.0'")
    page.wait("document.querySelectorAll('#bars li').length === 2")
    page.wait("document.querySelectorAll('.segment').length >= 2")
    page.wait("document.querySelectorAll('#events li').length >= 2")
    page.wait(f"{_text('state')} === 'playing'")
    page.wait(f"parseFloat({_text('p50')}) > 10 && parseFloat({_text('p99')}) > 15")
    page.screenshot(tmp_path / "desktop-light.png")
    page.look(1440, 900, "dark")
    page.screenshot(tmp_path / "desktop-dark.png")
    _check_quiet(page)


def test_two_watch_while_a_third_does_not_read(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame]
) -> None:
    sink = play(Scripted("gate", film=film))
    first, second = _open(chromium, sink.url), _open(chromium, sink.url)
    first.wait(_IS_SHOWN)
    with stream(sink, "/picture.mjpg?source=gate", receive_buffer=4096):
        for _ in range(5):
            _wait_for_change(first)
            _wait_for_change(second)
        assert sink.viewers == 5  # two pictures and two feeds, and the one who does not read


def test_sources_are_told_apart(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame], tmp_path: Path
) -> None:
    lost = "No frame for 5 s from rtsp://***@camera.local/yard; trying again in 4 s."
    sink = play(
        Scripted("gate", labels=("closer",), film=film),
        Scripted("rtsp://camera.local/front door?a=1&b=2", labels=(_LONG, "left"), film=film),
        Scripted("yard", state="reconnecting", last_error=lost, reconnects=2, dropped=1240),
    )
    page = _open(chromium, sink.url)
    page.look(1440, 900)
    page.wait(f"{_text('label')} === 'closer'")
    page.wait("document.querySelectorAll('.source').length === 3")
    page.wait("document.querySelectorAll('.lane').length === 3")
    page.wait("document.querySelectorAll('.source img')[1].src.startsWith('http')")  # its still
    page.run("document.querySelectorAll('.source')[1].click()")
    page.wait(f"{_text('label')} === {_LONG!r}")
    _wait_for_change(page)
    page.screenshot(tmp_path / "several.png")
    page.run("document.querySelectorAll('.source')[2].click()")
    page.wait(f"{_text('caption')} === 'The source is reconnecting'")
    page.wait(f"{_text('error')} === {lost!r}")
    page.wait(f"{_text('dropped')} === '1,240'")
    assert page.run(_text("reconnects")) == "· reconnected 2 times"
    page.screenshot(tmp_path / "reconnecting.png")
    _check_quiet(page)
    again = _open(chromium, f"{sink.url}#{quote('gate')}")
    again.wait(f"{_text('label')} === 'closer'")


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame], tmp_path: Path,
    width: int,
) -> None:  # fmt: skip
    sink = play(
        Scripted("a" * 80, labels=(_LONG.replace(" ", ""), _LONG), film=film, has_events=False),
        Scripted("yard", film=film),
    )
    page = _open(chromium, sink.url)
    page.look(width, 844, "dark", phone=True)
    page.wait(_IS_SHOWN)
    page.wait("document.querySelectorAll('.source').length === 2")
    assert page.run("document.documentElement.scrollWidth") == width
    page.screenshot(tmp_path / f"phone-{width}.png")


def test_names_and_labels_stay_text(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame]
) -> None:
    wicked = "<img src=x onerror=\"problems.push('ran')\"><b>bold</b>"
    sink = play(
        Scripted(wicked, labels=(wicked, "'); alert(1); ('"), film=film, state="playing"),
        Scripted("__proto__", labels=("constructor", "left"), last_error=wicked),
        Scripted("no\udcfftext", labels=("up",), film=film),
    )
    page = _open(chromium, sink.url + "#%E0%A4%A")
    page.wait(f"{_text('label')} === {wicked!r}")
    page.wait("document.querySelector('.lane-name').textContent.startsWith('<img')")
    page.wait("document.querySelectorAll('.segment').length >= 1")
    page.run("document.querySelectorAll('.source')[2].click()")
    page.wait(f"{_text('label')} === 'up'")
    assert page.run("document.querySelectorAll('main b b, .source b b, img[src=x]').length") == 0
    _check_quiet(page)


def test_without_events_it_says_so_and_shows_the_best_label(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame]
) -> None:
    sink = play(Scripted("gate", labels=("up",), has_events=False, film=film))
    page = _open(chromium, sink.url)
    page.wait(f"{_text('label')} === 'up'")
    assert page.run("document.getElementById('no-events').hidden") is False


def test_nothing_comes_from_elsewhere(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame]
) -> None:
    sink = play(Scripted("gate", film=film))
    page = _open(chromium, sink.url)
    page.wait(_IS_SHOWN)
    loaded = page.run("performance.getEntriesByType('resource').map(({name}) => name)")
    assert len(loaded) >= 5
    assert all(name.startswith(sink.url) for name in loaded)


def test_the_token_leaves_the_address_bar(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame]
) -> None:
    sink = play(Scripted("gate", labels=("up",), film=film), address="0.0.0.0:0")
    token = sink.url.partition("?token=")[2]
    page = _open(chromium, f"http://127.0.0.1:{sink.port}/?token={token}")
    page.wait("location.pathname + location.search === '/' && location.hash === ''")
    page.wait(f"{_text('label')} === 'up'")
    assert page.run("document.cookie") == ""  # there is one, and scripts do not see it
    assert page.run("document.referrer") == ""
    stranger = _open(chromium, f"http://127.0.0.1:{sink.port}/")
    assert "whole URL" in stranger.run("document.body.textContent")


def test_it_says_when_the_run_is_gone_and_finds_the_next(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame]
) -> None:
    first = WebSink("0")
    with Feed(first, [Scripted("gate", labels=("up",), film=film)]):
        page = _open(chromium, first.url)
        page.wait(f"{_text('label')} === 'up'")
        first.close()
        page.wait("!document.getElementById('notice').hidden")
        page.wait(f"{_text('link')} === 'ended'")
        shown = page.run(_PIXELS)
    play(Scripted("gate", labels=("down",), film=film[5:]), address=str(first.port))
    page.wait(f"{_text('label')} === 'down'")
    page.wait(f"{_PIXELS} !== {shown}")
    assert page.run("document.getElementById('notice').hidden") is True
    _wait_for_change(page)


def test_a_page_in_the_background_lets_go(
    chromium: Browser, play: Callable[..., WebSink], film: list[FilmFrame]
) -> None:
    sink = play(Scripted("gate", film=film))
    page = _open(chromium, sink.url)
    page.wait(_IS_SHOWN)
    hide = """
        Object.defineProperty(document, "hidden", {{get: () => {hidden}, configurable: true}});
        document.dispatchEvent(new Event("visibilitychange"));
    """
    page.run(hide.format(hidden="true"))
    until(lambda: sink.viewers == 0)
    assert page.run("document.getElementById('picture').hasAttribute('src')") is False
    page.run(hide.format(hidden="false"))
    _wait_for_change(page)
