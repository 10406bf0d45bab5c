"""Where torch, TensorRT, ONNX Runtime, OpenCV and PyAV are absent, all imports and helps work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from effvit_edge.cli.main import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "effvit_edge"
EDGE = ("core", "runtime", "sources", "sinks", "live", "bench", "engine")
BLOCKED = ("torch", "torchvision", "tensorrt", "onnxruntime", "onnx", "cv2", "av")

PREAMBLE = f"""
import importlib, pathlib, sys
for name in {BLOCKED!r}:
    sys.modules[name] = None
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    sys.exit(f"{{name}} is not blocked")
"""
IMPORT_EDGE = f"""
package = pathlib.Path({str(PACKAGE)!r})
for part in {EDGE!r}:
    for path in sorted((package / part).rglob("*.py")):
        name = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        importlib.import_module(name.removesuffix(".__init__"))
"""
HELP = """
from effvit_edge.cli.main import main
sys.exit(main([*sys.argv[1:], "--help"]))
"""


def run_blocked(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code where the heavy libraries cannot be imported and warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + script, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_edge_module_imports_and_says_nothing() -> None:
    done = run_blocked(IMPORT_EDGE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("arguments", [[], *([entry.name] for entry in COMMANDS)], ids=str)
def test_every_help_works(arguments: list[str]) -> None:
    done = run_blocked(HELP, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(" ".join(["Usage: effvit-edge", *arguments]))


def test_listing_the_commands_imports_none_of_them() -> None:
    script = """
from effvit_edge.cli.main import COMMANDS, main
main(["--help"])
sys.exit(bool(set(sys.modules) & {entry.module for entry in COMMANDS}))
"""
    done = run_blocked(script)
    assert done.returncode == 0
    assert all(f"  {entry.name} " in done.stdout for entry in COMMANDS)


def test_importing_the_package_imports_nothing_else() -> None:
    script = """
import json, sys
before = set(sys.modules)
import effvit_edge
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["effvit_edge"]


def test_every_edge_folder_is_under_the_import_contract() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    configuration = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    contracts = configuration["tool"]["importlinter"]["contracts"]
    (forbidden,) = (contract for contract in contracts if contract["type"] == "forbidden")
    existing = [part for part in EDGE if (PACKAGE / part / "__init__.py").exists()]
    assert set(forbidden["source_modules"]) >= {f"effvit_edge.{part}" for part in existing}
