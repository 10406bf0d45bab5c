#!/bin/sh
# Runs effvit-edge with the container's arguments. Anything that is on the PATH runs as it is, for
# example: docker/run.sh bash
set -eu
if [ $# -gt 0 ] && command -v "$1" >/dev/null 2>&1; then
    exec "$@"
fi
exec effvit-edge "$@"
