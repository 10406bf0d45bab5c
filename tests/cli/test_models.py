from __future__ import annotations

import json
import sys

import pytest

from effvit_edge import nn
from effvit_edge.cli.main import main

IMAGE, VIDEO = "efficientvit_b0", "efficientvit3d_b0"


@pytest.fixture(autouse=True)
def only_the_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {IMAGE, VIDEO} <= set(nn.list_models())
    monkeypatch.setattr(nn, "list_models", lambda: [IMAGE, VIDEO])


def test_the_json_has_exact_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    image, video = json.loads(capsys.readouterr().out)
    assert (image["name"], image["parameters"]) == (IMAGE, 3_410_008)
    assert image["macs_per_frame"] == pytest.approx(0.10e9, rel=0.01)  # as published
    assert image["state_bytes"] is None
    assert video["name"] == VIDEO
    assert video["macs_per_clip"] == pytest.approx(8 * video["macs_per_frame"], rel=0.02)
    assert video["state_bytes"] > 0


def test_the_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [line.split()[0] for line in lines] == ["name", IMAGE, VIDEO]
    assert lines[1].split()[1:] == ["3,410,008", "0.100", "-", "-"]


def test_without_torch_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["models"]) == 3
    assert "pip install -e '.[train]'" in capsys.readouterr().err
