# AWS g4dn (T4), g5 (A10G), g6 (L4), and any computer with an NVIDIA GPU or none: Ubuntu 22.04,
# Python 3.10, CUDA 12.6, TensorRT 10.3.
#   docker build -f docker/x86-cuda.Dockerfile -t effvit-edge:x86-cuda .
# Without NVIDIA's images, any Debian does: --build-arg BASE=… --build-arg PLUGIN=off
ARG BASE=nvcr.io/nvidia/tensorrt:24.08-py3
ARG DEVEL=nvcr.io/nvidia/tensorrt:24.08-py3
# on: compile the attention plugin; off: attention stays plain operators.
ARG PLUGIN=on

# hadolint ignore=DL3006
FROM ${BASE} AS system
ENV DEBIAN_FRONTEND=noninteractive
# Versions are the base's own; what must not change is pinned in constraints.txt.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates python3 python3-venv \
 && apt-get clean && rm -rf /var/lib/apt/lists/*

# Python packages, in a layer that only their versions change.
FROM system AS packages
COPY constraints.txt /build/
RUN python3 -m venv --system-site-packages /opt/effvit \
 && /opt/effvit/bin/pip install --no-cache-dir --constraint /build/constraints.txt \
      av click cuda-bindings==12.9.10 numpy nvidia-ml-py onnxruntime opencv-python-headless paho-mqtt rich
COPY pyproject.toml README.md LICENSE /build/
COPY effvit_edge /build/effvit_edge
RUN /opt/effvit/bin/pip install --no-cache-dir --no-deps /build \
 && /opt/effvit/bin/pip uninstall --yes pip setuptools

# hadolint ignore=DL3006
FROM ${DEVEL} AS plugin-on
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ python3 python3-venv \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY constraints.txt pyproject.toml README.md LICENSE /build/
COPY effvit_edge /build/effvit_edge
RUN python3 -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --constraint /build/constraints.txt /build \
 && /venv/bin/python -m effvit_edge.engine.plugin --output /plugin

FROM system AS plugin-off
RUN mkdir /plugin && echo "not built: PLUGIN=off" > /plugin/UNBUILT

# hadolint ignore=DL3006
FROM plugin-${PLUGIN} AS plugin

FROM system
LABEL org.opencontainers.image.title="effvit-edge for NVIDIA GPUs on x86" \
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
