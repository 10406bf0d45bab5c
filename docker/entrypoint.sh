#!/bin/sh
# Runs effvit-edge with the container's arguments. A program on the PATH runs as it is, for example:
# docker/run.sh bash
set -eu

# Not by command -v, which also answers for what the shell has built in: exec runs programs only.
is_program() (
    case "$1" in
        */*) [ -f "$1" ] && [ -x "$1" ] && exit 0 ;;
        *)
            set -f
            IFS=:
            for folder in $PATH; do
                [ -f "$folder/$1" ] && [ -x "$folder/$1" ] && exit 0
            done
            ;;
    esac
    exit 1
)

case "${1:-}" in
    # effvit-edge's own, whatever else has such a name: a part of the shell (export, eval) or a
    # program, which runs when it is given with its folder.
    demo | label | models | export | prepare | train | eval | inspect | bench | doctor) ;;
    '' | -*) ;;
    *) if is_program "$1"; then exec "$@"; fi ;;
esac
exec effvit-edge "$@"
