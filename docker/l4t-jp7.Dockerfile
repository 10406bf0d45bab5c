# Jetson, JetPack 7.2: L4T r39.2, Ubuntu 24.04, Python 3.12, CUDA 13.2, TensorRT 10.16.
#   docker build -f docker/l4t-jp7.Dockerfile -t effvit-edge:l4t-jp7 .
# There is no image of NVIDIA's with this TensorRT: it comes from the board's own repository.
# Drivers, GStreamer's hardware plugins and Argus come from the board when the container runs.
# Without NVIDIA's images, any Debian does:
#   --build-arg BASE=… --build-arg PLUGIN=off --build-arg TENSORRT=off
ARG BASE=nvcr.io/nvidia/cuda:13.2.1-runtime-ubuntu24.04
ARG DEVEL=nvcr.io/nvidia/cuda:13.2.1-devel-ubuntu24.04
# CSI cameras need no more than the base plugins and what the board brings. Hardware decoding of
# network streams takes "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad", 300 MB.
ARG MORE_PACKAGES=
# on: compile the attention plugin; off: attention stays plain operators.
ARG PLUGIN=on
# on: install TensorRT; off: models run in ONNX Runtime.
ARG TENSORRT=on

# hadolint ignore=DL3006
FROM ${BASE} AS system
ARG MORE_PACKAGES
ENV DEBIAN_FRONTEND=noninteractive
# Versions are the base's own; what must not change is pinned in constraints.txt.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates gir1.2-gstreamer-1.0 gstreamer1.0-plugins-base python3 python3-gi \
      python3-venv ${MORE_PACKAGES} \
 && apt-get clean && rm -rf /var/lib/apt/lists/*

FROM system AS tensorrt-off

FROM system AS tensorrt-on
ADD https://repo.download.nvidia.com/jetson/jetson-ota-public.asc /usr/share/keyrings/jetson.asc
# hadolint ignore=DL3008
RUN chmod 644 /usr/share/keyrings/jetson.asc \
 && echo "deb [signed-by=/usr/share/keyrings/jetson.asc]" \
      "https://repo.download.nvidia.com/jetson/common r39.2 main" \
      > /etc/apt/sources.list.d/jetson.list \
 && apt-get update \
 && apt-get install -y --no-install-recommends \
      "libnvinfer10=10.16.2*" "libnvonnxparsers10=10.16.2*" "python3-libnvinfer=10.16.2*" \
 && apt-get clean && rm -rf /var/lib/apt/lists/*

# hadolint ignore=DL3006
FROM tensorrt-${TENSORRT} AS runtime

# Python packages, in a layer that only their versions change.
FROM runtime AS packages
COPY constraints.txt /build/
RUN python3 -m venv --system-site-packages /opt/effvit \
 && /opt/effvit/bin/pip install --no-cache-dir --constraint /build/constraints.txt \
      av click cuda-bindings==13.2.0 numpy onnxruntime opencv-python-headless paho-mqtt rich
COPY pyproject.toml README.md LICENSE /build/
COPY effvit_edge /build/effvit_edge
RUN /opt/effvit/bin/pip install --no-cache-dir --no-deps /build \
 && /opt/effvit/bin/pip uninstall --yes pip setuptools

# hadolint ignore=DL3006
FROM ${DEVEL} AS plugin-on
ADD https://repo.download.nvidia.com/jetson/jetson-ota-public.asc /usr/share/keyrings/jetson.asc
RUN chmod 644 /usr/share/keyrings/jetson.asc \
 && echo "deb [signed-by=/usr/share/keyrings/jetson.asc]" \
      "https://repo.download.nvidia.com/jetson/common r39.2 main" \
      > /etc/apt/sources.list.d/jetson.list
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ "libnvinfer-dev=10.16.2*" python3 python3-venv \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY constraints.txt pyproject.toml README.md LICENSE /build/
COPY effvit_edge /build/effvit_edge
RUN python3 -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --constraint /build/constraints.txt /build \
 && /venv/bin/python -m effvit_edge.engine.plugin --output /plugin --architecture 87

FROM system AS plugin-off
RUN mkdir /plugin && echo "not built: PLUGIN=off" > /plugin/UNBUILT

# hadolint ignore=DL3006
FROM plugin-${PLUGIN} AS plugin

FROM runtime
LABEL org.opencontainers.image.title="effvit-edge for JetPack 7" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=packages /opt/effvit /opt/effvit
COPY --from=plugin /plugin /opt/plugin
COPY models /opt/models
COPY docker/entrypoint.sh /usr/local/bin/effvit-entrypoint
# Cameras and a Jetson's GPU belong to the group video. Engines lie in a volume, so they outlive
# the container; whoever it runs as (run.sh: the caller) may write there.
RUN useradd --uid 10001 --groups video effvit && install -d -m 1777 /engines /work
ENV PATH=/opt/effvit/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    EFFVIT_ENGINES=/engines \
    EFFVIT_MODELS=/opt/models \
    EFFVIT_PLUGIN_FOLDER=/opt/plugin
VOLUME /engines
WORKDIR /work
USER 10001
# The doctor imports every library, beside whatever is labelled or measured: so it comes rarely, and
# first after half an hour. With a start period docker would ask from the first seconds on. One
# failure counts: what is missing does not come back by itself. run.sh leaves it out for bench.
HEALTHCHECK --interval=30m --timeout=60s --retries=1 CMD ["effvit-edge", "doctor", "--json"]
ENTRYPOINT ["/usr/local/bin/effvit-entrypoint"]
CMD ["doctor"]
