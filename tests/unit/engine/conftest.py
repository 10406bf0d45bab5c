from __future__ import annotations

from types import ModuleType

import pytest

from tests.unit.engine.standing_in import load_stand_in


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The stand-in, which fails in no way until a test sets STAND_IN."""
    monkeypatch.delenv("STAND_IN", raising=False)
    return load_stand_in()
