"""Headless Chromium, driven over a pipe by its DevTools protocol: no driver, no port, no library.

https://chromedevtools.github.io/devtools-protocol/ has the commands; over a pipe each message is
JSON with a zero byte behind it, written to descriptor 3 of the browser and read from 4.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MOST_PAGES = 20
_SIGNS_OF_LEAVING = ("navigated or closed", "context was destroyed", "Cannot find context")
NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers have no user namespaces
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)


def find_browser() -> str | None:
    """The browser's path; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class BrowserError(Exception):
    """The browser refused a command, a script failed, or the browser is gone."""


class PageLeft(BrowserError):
    """The page went on to another while a script ran on it."""


class Browser:
    """Opens pages. Made by ``browser``."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._write = os.fdopen(to_browser, "wb", buffering=0)
        self._read = os.fdopen(from_browser, "rb")
        self._number = 0

    def open(self, url: str) -> Page:
        """A new tab in its own profile: it shares no cookies and no connections."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, session["sessionId"])
        page.call("Page.enable")
        page.call("Runtime.enable")
        page.go(url)
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command and wait for its answer; events that come before it are passed over."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._write.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._next())
            if answer.get("id") == self._number:
                if "error" in answer:
                    text = answer["error"]["message"]
                    left = any(sign in text for sign in _SIGNS_OF_LEAVING)
                    raise (PageLeft if left else BrowserError)(f"{method}: {text}")
                return answer["result"]

    def close(self) -> None:
        self._write.close()
        self._read.close()

    def _next(self) -> bytes:
        message = bytearray()
        while not message.endswith(b"\0"):
            # As much as is there, up to the end of a message: not a byte at a time.
            ahead = self._read.peek()  # type: ignore[attr-defined]
            if not ahead:
                raise BrowserError("the browser has ended")
            end = ahead.find(b"\0") + 1
            message += self._read.read(end or len(ahead))
        return bytes(message[:-1])


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: Any) -> Any:
        return self._browser.call(method, self._session, **parameters)

    def go(self, url: str) -> None:
        """Navigate."""
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise BrowserError(f"{url}: {answer['errorText']}")

    def look(self, width: int, height: int, scheme: str = "light", phone: bool = False) -> None:
        """Take on a size in CSS pixels, and a colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def run(self, script: str) -> Any:
        """The value of an expression, which may be a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 60) -> Any:
        """Until an expression is true, also of the page that this one goes on to."""
        for _ in range(_MOST_PAGES):
            with contextlib.suppress(PageLeft):
                return self._wait_here(condition, seconds)
        raise BrowserError(f"the page goes on and on, waiting for: {condition}")

    def _wait_here(self, condition: str, seconds: float) -> Any:
        return self.run(
            f"""new Promise((done, failed) => {{
                const last = performance.now() + {1000 * seconds};
                const look = () => {{
                    let value;
                    try {{ value = {condition}; }} catch (error) {{ value = false; }}
                    if (value) done(value);
                    else if (performance.now() > last)
                        failed(new Error({json.dumps(f"not within {seconds} s: {condition}")}));
                    else setTimeout(look, 20);
                }};
                look();
            }})"""
        )

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """A PNG, of what is beyond the window, too."""
        path.parent.mkdir(parents=True, exist_ok=True)
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(path: str, profile: Path) -> Iterator[Browser]:
    """A running browser, ended on leaving.

    Args:
        path: of its program.
        profile: a folder for what it stores.
    """
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    with (profile / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", script, "browser", path, *_FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    one = Browser(ours_out, ours_in)
    try:
        yield one
        one.call("Browser.close")
    finally:
        one.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
