# One entry for everything; every target makes .venv when it is missing.
#   PYTHON=python3.12 make …     another interpreter (3.10 to 3.13)
#   PIP_FLAGS='--extra-index-url URL' make test
#                                torch without CUDA, where the default index has it only with CUDA

PYTHON ?= python3
PIP_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_FLAGS) --constraint constraints.txt
REQUIREMENTS := pyproject.toml constraints.txt

# OpenCV's usual wheel has windows and needs the system's libGL; servers and slim images lack it.
CHECK_OPENCV = @$(BIN)/python -c 'import cv2' || { \
	echo "==> OpenCV does not load here, see above: taking its headless wheel instead"; \
	$(BIN)/python -m pip uninstall --yes opencv-python && \
	$(INSTALL) --force-reinstall --no-deps opencv-python-headless; }

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-arm64 check bench plugin clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

demo: $(VENV)/installed-run  ## Render a test film and label it into demo/ (no torch, minutes)
	@echo "==> Rendering a test film with known truth, labelling it, measuring the accuracy"
	$(BIN)/effvit-edge demo --output demo/
	@echo "  (first: . $(VENV)/bin/activate)"

test: $(VENV)/installed-dev  ## Run the tests, except the slow ones
	@echo "==> Running the tests"
	$(BIN)/python -m pytest -m "not slow and not arm64" -n auto --dist loadfile

test-slow: $(VENV)/installed-dev  ## Run the slow tests: soak, all variants, containers, emulation
	@echo "==> Running the slow tests"
	$(BIN)/python -m pytest -m slow

test-arm64: $(VENV)/installed-dev  ## Run the wheel on an emulated aarch64 machine (root, qemu)
	@echo "==> Running the demonstration model on an emulated aarch64 machine"
	$(BIN)/python -m pytest -m arm64 tests/arm64

check: $(VENV)/installed-dev  ## Check style, types and the direction of imports
	@echo "==> Checking style (ruff), types (mypy), import direction (import-linter)"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy effvit_edge $(wildcard benchmarks)
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev  ## Measure streaming against recomputing whole clips, on this CPU
	@echo "==> Measuring the streaming step against clips and the image network"
	$(BIN)/python -m benchmarks.streaming

plugin: $(VENV)/installed-run  ## Build the attention kernels and the TensorRT plugin (nvcc, or NVRTC)
	@echo "==> Compiling the attention kernels for this machine's TensorRT into engines/plugin/"
	$(BIN)/python -m effvit_edge.engine.plugin

clean:  ## Remove .venv and what the tools leave behind
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@echo "==> Making $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "error: $(PYTHON) is older than 3.10; name another: make PYTHON=python3.12 …" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)

# The stamps are newer than the requirements they were made from, so an install runs once.
$(VENV)/installed-run: $(REQUIREMENTS) | $(BIN)/python
	@echo "==> Installing what running needs: numpy, OpenCV, PyAV, ONNX Runtime (about 150 MB)"
	$(INSTALL) --editable '.[video,ort]'
	$(CHECK_OPENCV)
	@touch $@

$(VENV)/installed-dev: $(REQUIREMENTS) | $(BIN)/python
	@echo "==> Installing what developing needs, with torch and TensorRT-RTX (1 GB and more)"
	@echo "    Where the index's torch comes with CUDA it is several GB; this avoids it:"
	@echo "    make PIP_FLAGS='--extra-index-url URL' …  (URL: PyTorch's index of CPU builds)"
	$(INSTALL) --editable '.[dev,train,export,video,ort,mqtt,tensorrt]'
	$(CHECK_OPENCV)
	@touch $@ $(VENV)/installed-run
