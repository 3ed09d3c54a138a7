"""The guard around our code: how often it warns."""

import pytest

from guance_chatgpt_monitor.app.failsafe import RareWarnings


def test_one_warning_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    warnings = RareWarnings(lambda: now_s)
    for now_s in (0.0, 1.0, 59.9, 60.0, 61.0, 119.9, 120.0, 1000.0):
        warnings.warn(f"at {now_s}")
    said = [record.getMessage() for record in caplog.records if record.name == "guance_chatgpt_monitor"]
    assert said == ["at 0.0", "at 60.0", "at 120.0", "at 1000.0"]
