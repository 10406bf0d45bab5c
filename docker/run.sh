#!/usr/bin/env bash
# Runs effvit-edge in the image for this machine, with its cameras, display and GPU.
#   docker/run.sh label csi://0 --web 127.0.0.1:8000
#   docker/run.sh --dry-run doctor      shows the command and runs nothing
# EFFVIT_IMAGE names another image, DOCKER another program (podman), EFFVIT_ENGINES a folder for
# engines, made where there is none, instead of docker's volume effvit-engines. The folder this is
# called in is /work inside: files of it can be named.
set -euo pipefail

root="${EFFVIT_ROOT:-}" # where the device's files lie; tests give another
docker="${DOCKER:-docker}"
dry_run=no
if [ "${1:-}" = --dry-run ]; then
    dry_run=yes
    shift
fi

say() { printf '%s\n' "run.sh: $*" >&2; }
fail() {
    say "$*"
    exit 3
}

# R36 (release), REVISION: 4.3 becomes 36 and 4.3.
l4t_major=''
l4t_revision=''
if [ -r "$root/etc/nv_tegra_release" ]; then
    line="$(head -n 1 "$root/etc/nv_tegra_release")"
    if [[ "$line" =~ R([0-9]+)\ \(release\),\ REVISION:\ ([0-9.]+) ]]; then
        l4t_major="${BASH_REMATCH[1]}"
        l4t_revision="${BASH_REMATCH[2]}"
    fi
fi

options=(--rm --init)
if [ -n "$l4t_major" ]; then
    case "$l4t_major" in
        36)
            if [ "${l4t_revision%%.*}" -lt 4 ]; then
                fail "L4T 36.$l4t_revision has TensorRT before 10.3. Flash JetPack 6.2 or 7.2: docs/jetson.md"
            fi
            image=effvit-edge:l4t-jp6
            ;;
        39) image=effvit-edge:l4t-jp7 ;;
        3[0-5]) fail "L4T $l4t_major.$l4t_revision is too old. Flash JetPack 6.2 or 7.2: docs/jetson.md" ;;
        *)
            image=effvit-edge:l4t-jp7
            say "L4T $l4t_major.$l4t_revision is not known here; trying the image of JetPack 7.2"
            ;;
    esac
    say "L4T $l4t_major.$l4t_revision: image $image"
    options+=(--runtime nvidia)
    options+=(--volume /etc/nv_tegra_release:/etc/nv_tegra_release:ro)
    if [ -e "$root/etc/nvpmodel.conf" ]; then
        options+=(--volume /etc/nvpmodel.conf:/etc/nvpmodel.conf:ro)
    fi
    if [ -e "$root/var/lib/nvpmodel/status" ]; then
        options+=(--volume /var/lib/nvpmodel/status:/var/lib/nvpmodel/status:ro)
    fi
    if [ -e "$root/tmp/argus_socket" ]; then
        say "CSI cameras: /tmp/argus_socket"
        options+=(--volume /tmp/argus_socket:/tmp/argus_socket)
    else
        say "no CSI cameras: there is no /tmp/argus_socket (sudo systemctl restart nvargus-daemon)"
    fi
else
    image=effvit-edge:x86-cuda
    if [ -e "$root/proc/driver/nvidia/version" ]; then
        say "not a Jetson, with an NVIDIA driver: image $image, all GPUs"
        options+=(--gpus all)
    else
        say "not a Jetson, and no NVIDIA driver: image $image on the CPU"
    fi
fi
image="${EFFVIT_IMAGE:-$image}"

for camera in "$root"/dev/video*; do
    [ -e "$camera" ] || continue
    say "camera ${camera#"$root"}"
    options+=(--device "${camera#"$root"}")
done
# Files that it writes belong to the caller; cameras and a Jetson's GPU to the group video.
options+=(--user "$(id -u):$(id -g)")
group="$(getent group video | cut -d: -f3 || true)"
if [ -n "$group" ]; then
    options+=(--group-add "$group")
fi

if [ -n "${DISPLAY:-}" ]; then
    say "display $DISPLAY (if it refuses: xhost +local:)"
    options+=(--env DISPLAY --volume /tmp/.X11-unix:/tmp/.X11-unix)
fi

# A measurement is not to be disturbed by the image's health check.
case "${1:-} ${2:-}" in
    "bench "* | "--debug bench") options+=(--no-healthcheck) ;;
esac

folder="${EFFVIT_ENGINES:-}"
case "$folder" in
    '' | /*) ;;
    *) folder="$PWD/$folder" ;; # docker takes a name without a slash for a volume's
esac
engines="${folder:-effvit-engines}"
say "engines are kept in $engines, this folder is /work"
options+=(--volume "$engines:/engines" --volume "$PWD:/work")
# The page of --web and RTSP cameras are reached as on the machine itself.
options+=(--network host)
if [ -t 0 ] && [ -t 1 ]; then
    options+=(--interactive --tty)
fi

command=("$docker" run "${options[@]}" "$image" "$@")
if [ "$dry_run" = yes ]; then
    printf '%q ' "${command[@]}"
    printf '\n'
    exit 0
fi
command -v "$docker" >/dev/null || fail "there is no $docker here. On a Jetson: sudo apt install nvidia-container"
# As the caller: docker would make it as root, and the container could not write there.
if [ -n "$folder" ]; then
    mkdir -p "$folder" || fail "EFFVIT_ENGINES: $folder is no folder and cannot be made one"
fi
exec "${command[@]}"
