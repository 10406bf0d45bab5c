"""A camera for the tests: GStreamer's RTSP server with a test picture, on the loopback.

    /usr/bin/python3 tests/rtsp_server.py PORT [USER PASSWORD]

Run by the system's Python, which has GStreamer's bindings; it imports nothing of this project.
Prints the port when it is ready. ``/test`` is H.264 with the colour bars, ``/sound`` has no
picture; with a user and a password, both are asked for.
"""

import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURE = (
    "( videotestsrc is-live=true pattern=smpte ! "
    "video/x-raw,format=I420,width=160,height=120,framerate=30/1 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! "
    "rtph264pay name=pay0 pt=96 config-interval=1 )"
)
SOUND = "( audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay0 )"


def factory(pipeline, secured):
    made = GstRtspServer.RTSPMediaFactory()
    made.set_launch(pipeline)
    made.set_shared(True)
    if secured:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_role("viewer")
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        made.set_permissions(permissions)
    return made


def require_login(server, user, password):
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    login = GstRtspServer.RTSPAuth()
    login.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(login)


def main(port, *credentials):
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if credentials:
        require_login(server, *credentials)
    for path, pipeline in (("/test", PICTURE), ("/sound", SOUND)):
        server.get_mount_points().add_factory(path, factory(pipeline, bool(credentials)))
    loop = GLib.MainLoop()
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
