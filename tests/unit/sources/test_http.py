"""Streams and files over HTTP, from a server of the standard library on the loopback."""

from __future__ import annotations

import base64
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.sources import End, Frame, SourceError, open_source
from tests.needed import program
from tests.unit.sources.test_rtsp import assert_refused, read_until_segment
from tests.videos import grey_frames, read_all, write_video

LOGIN = "admin:Zq7%40pw"
FPS = 10  # of the stream, which is not the 25 that FFmpeg takes it for


@contextmanager
def server(
    folder: Path, cut: int | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serves a folder to one user, and ``/stream`` as a camera does; files may be cut short."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            login = "Basic " + base64.b64encode(b"admin:Zq7@pw").decode()
            if self.headers.get("Authorization") != login:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="test"')
                self.end_headers()
            elif self.path.startswith("/stream"):
                self.send_stream()
            elif (folder / self.path.lstrip("/")).is_file():
                content = (folder / self.path.lstrip("/")).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:cut])
            else:
                self.send_error(404)

        def send_stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for number in range(8):
                jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 16 * number, np.uint8))[1]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {jpeg.size}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")
                stopped.wait(1 / FPS)

    stopped = threading.Event()

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None: ...  # a viewer that goes away

    with Server(("127.0.0.1", 0), Handler) as httpd:
        if tls:
            httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://{LOGIN}@127.0.0.1:{httpd.server_port}"
        finally:
            stopped.set()
            httpd.shutdown()
            thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_video(tmp_path / "clip.mkv", grey_frames(60))
    (tmp_path / "page.html").write_text("<html>no video</html>")
    return tmp_path


def test_a_file_on_a_server_is_read_to_its_end_and_nothing_is_dropped(folder: Path) -> None:
    with server(folder) as url, open_source(f"{url}/clip.mkv?timeout=20") as source:
        assert not source.is_live
        assert source.name.startswith("http://***@127.0.0.1:")
        shown = read_all(source)
    local = read_all(open_source(str(folder / "clip.mkv")))
    assert [time for time, _ in shown] == pytest.approx([time for time, _ in local])
    for (_, image), (_, expected) in zip(shown, local, strict=True):
        np.testing.assert_array_equal(image, expected)


def test_a_server_with_a_certificate_of_its_own_is_read(folder: Path) -> None:
    """As cameras have them: the transport is encrypted, and the server's identity not checked."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            program("openssl", package="openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
            "-subj", "/CN=camera",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with server(folder, tls=tls) as url, open_source(f"{url}/clip.mkv") as source:
        assert len(read_all(source)) == 60


def test_a_stream_is_timed_by_its_arrivals_and_taken_up_again(folder: Path) -> None:
    with server(folder) as url, open_source(f"{url}/stream?buffer=64") as source:
        assert source.is_live
        frames = read_until_segment(source, 1)
        assert source.health.reconnects == 1
    first = [frame for frame in frames if frame.segment == 0]
    assert [round(float(f.image.mean()) / 16) for f in first] == list(range(8 - len(first), 8))
    passed = first[-1].arrival_seconds - first[0].arrival_seconds
    assert first[-1].pts_seconds - first[0].pts_seconds == pytest.approx(passed, abs=1e-3)


def test_refusals(folder: Path) -> None:
    with server(folder) as url:
        wrong = url.replace(LOGIN, "admin:Zq7wrong")
        assert_refused(f"{wrong}/stream", InputError, "does not accept this user and password")
        assert_refused(f"{url}/none", InputError, "The server has nothing at")
        assert_refused(f"{url}/page.html", InputError, "nothing that FFmpeg knows as video")
        with pytest.raises(InputError, match="The server has nothing at") as caught:
            open_source(f"{url}/none.mkv")
        assert "Zq7" not in str(caught.value)


def test_a_file_that_breaks_off_gives_what_it_has(folder: Path) -> None:
    size = (folder / "clip.mkv").stat().st_size
    with (
        server(folder, cut=size * 2 // 3) as url,
        open_source(f"{url}/clip.mkv?timeout=5") as source,
    ):
        frames = []
        try:
            while isinstance(outcome := source.read(), Frame):
                frames.append(outcome)
            assert outcome == End()
        except SourceError as error:
            assert "Zq7" not in str(error)
    assert 10 < len(frames) < 60


def test_a_film_is_live_and_a_stream_is_not_by_request(folder: Path) -> None:
    with server(folder) as url:
        with open_source(f"{url}/clip.mkv?live=1&reconnect=0") as source:
            assert source.is_live
            with pytest.raises(SourceError, match=r"clip\.mkv has ended"):
                while isinstance(source.read(60), Frame):
                    pass
        with open_source(f"{url}/stream?live=0") as source:
            assert not source.is_live
