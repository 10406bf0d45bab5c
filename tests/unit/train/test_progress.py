from __future__ import annotations

import pytest

from effvit_edge.train.progress import BarReporter


@pytest.mark.parametrize("name", ["song [abc].mp4", "[/abc].mp4", "x" * 200 + " [red]y.mp4"])
def test_what_is_said_above_the_bar_is_said_as_it_is(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with BarReporter(2, 0) as reporter:
        reporter.say(f"1 videos left out. {name}")
    assert f"1 videos left out. {name}\n" in capsys.readouterr().err
