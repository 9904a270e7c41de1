"""What an operator copies to a helper has no secret in it."""

import json

import pytest

from tests.pages.conftest import Open, World

SECRETS = {
    "LIMITER_ALERT_URLS": "discord://a-webhook-id/a-webhook-token",
    "LIMITER_PING_URL": "https://monitor.example/a-ping-token",
    "LIMITER_KEY": "lim_abcdef01_a-client-secret",
}


def test_secrets_are_masked_on_the_page_and_in_the_diagnostic(
    open_page: Open, empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in SECRETS.items():
        monkeypatch.setenv(name, text)
    app = open_page(empty, "settings")
    assert not app.exception
    diagnostic = next(code.value for code in app.code if '"settings"' in code.value)
    shown = json.loads(diagnostic)["settings"]
    everything = diagnostic + "".join(one.value for one in app.markdown)
    everything += "".join(frame.value.to_csv() for frame in app.dataframe)
    for name, text in SECRETS.items():
        assert shown[name] == ["set (hidden)", "environment"]
        assert text.rpartition("/")[2].rpartition("_")[2] not in everything
    assert empty.key not in everything
