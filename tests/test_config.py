"""Settings: environment over `.env` over default, and a sentence with the variable's name where one cannot be read."""

from pathlib import Path

import pytest

from limiter.config import SETTINGS, ConfigError, read


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults() -> None:
    config = read({})
    assert config["LIMITER_DATABASE_URL"] == "sqlite:///data/limiter.db"
    assert (config["LIMITER_HOST"], config["LIMITER_PORT"]) == ("127.0.0.1", 5001)
    assert (config["LIMITER_URL"], config["LIMITER_LANG"]) == ("http://127.0.0.1:5001", "fr")
    assert config["LIMITER_RAM_GB"] is None
    assert str(config["LIMITER_TIMEZONE"]) == "UTC"
    assert config.console_url == "http://127.0.0.1:8501/admin"
    assert set(config.sources.values()) == {"default"}
    assert config.limits["MAX_CONCURRENT_BOTS"].value == 200


def test_every_setting_has_a_meaning_and_a_default_that_reads() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert setting.meaning
        setting.read(setting.default)


def test_the_environment_goes_over_the_file_and_the_file_over_the_default(folder: Path) -> None:
    (folder / ".env").write_text("MAX_CONCURRENT_BOTS=300\nMAX_BOTS_PER_USER=3\nLIMITER_PORT=6000\nLIMITER_LANG=en\n")
    config = read({"MAX_CONCURRENT_BOTS": "400", "LIMITER_PORT": "7000"})
    assert (config.limits["MAX_CONCURRENT_BOTS"].value, config.limits["MAX_CONCURRENT_BOTS"].source) == (
        400,
        "environment",
    )
    assert (config.limits["MAX_BOTS_PER_USER"].value, config.limits["MAX_BOTS_PER_USER"].source) == (3, "env_file")
    assert config.limits["MAX_TRADES_PER_DAY"].source == "default"
    assert (config["LIMITER_PORT"], config.sources["LIMITER_PORT"]) == (7000, "environment")
    assert (config["LIMITER_LANG"], config.sources["LIMITER_LANG"]) == ("en", "env_file")


def test_an_option_goes_over_everything() -> None:
    assert read({"LIMITER_PORT": "7000"}, LIMITER_PORT=8000, LIMITER_HOST=None)["LIMITER_PORT"] == 8000


def test_an_empty_value_counts_as_not_set(folder: Path) -> None:
    (folder / ".env").write_text("MAX_CONCURRENT_BOTS=300\nALERT_THRESHOLD=70\nALERT_THRESHOLD=\n")
    config = read({"MAX_CONCURRENT_BOTS": "", "LIMITER_PORT": "  "})
    assert config.limits["MAX_CONCURRENT_BOTS"].value == 300
    assert config.limits["ALERT_THRESHOLD"].value == 80  # the last line of the file wins, and it is empty
    assert config["LIMITER_PORT"] == 5001


def test_the_last_line_of_the_file_wins(folder: Path) -> None:
    (folder / ".env").write_text('MAX_CONCURRENT_BOTS=1\nexport MAX_CONCURRENT_BOTS="250"  # raised\n')
    assert read({}).limits["MAX_CONCURRENT_BOTS"].value == 250


def test_a_file_saved_with_a_byte_order_mark_is_read_from_its_first_line(folder: Path) -> None:
    (folder / ".env").write_text("MAX_CONCURRENT_BOTS=250\n", encoding="utf-8-sig")
    assert read({}).limits["MAX_CONCURRENT_BOTS"].value == 250


def test_a_dollar_in_the_file_is_a_dollar(folder: Path) -> None:
    (folder / ".env").write_text("LIMITER_KEY=a${HOME}b\n")
    assert read({})["LIMITER_KEY"] == "a${HOME}b"


def test_another_file_can_be_named_and_must_be_there(folder: Path) -> None:
    (folder / "mine.env").write_text("MAX_CONCURRENT_BOTS=7\n")
    assert read({"LIMITER_ENV_FILE": str(folder / "mine.env")}).limits["MAX_CONCURRENT_BOTS"].value == 7
    with pytest.raises(ConfigError, match="LIMITER_ENV_FILE"):
        read({"LIMITER_ENV_FILE": str(folder / "none.env")})


def test_a_file_that_is_no_text_is_named(folder: Path) -> None:
    (folder / ".env").write_bytes(b"MAX_CONCURRENT_BOTS=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"\.env"):
        read({})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MAX_CONCURRENT_BOTS", "many"),
        ("MAX_CONCURRENT_BOTS", "1000001"),
        ("MAX_BOTS_PER_USER", "-1"),
        ("ALERT_THRESHOLD", "0.8"),
        ("WEBSOCKET_RECONNECT", "5m"),
        ("BOT_LEASE_SECONDS", "4"),
        ("LIMITER_PORT", "65536"),
        ("LIMITER_PORT", "http"),
        ("LIMITER_TIMEZONE", "Mars/Olympus"),
        ("LIMITER_TIMEZONE", "Europe"),
        ("LIMITER_LANG", "de"),
        ("LIMITER_RAM_GB", "0"),
        ("LIMITER_RAM_GB", "nan"),
        ("LIMITER_LOG_FORMAT", "xml"),
        ("LIMITER_KEEP_RAW_HOURS", "0"),
        ("LIMITER_ALERT_QUIET", "22-7"),
        ("LIMITER_ALERT_REPEAT_MINUTES", "-1"),
    ],
)
def test_a_value_that_cannot_be_read_names_its_variable(folder: Path, name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        read({name: text})
    (folder / ".env").write_text(f"{name}={text}\n")
    with pytest.raises(ConfigError, match=name):
        read({})


def test_lists_are_separated_by_commas() -> None:
    config = read({"LIMITER_ALLOWED_HOSTS": "bots.example, , other.example"})
    assert config["LIMITER_ALLOWED_HOSTS"] == ("bots.example", "other.example")


def test_none_is_a_value_of_the_one_limit_that_has_it() -> None:
    setting = read({"MAX_SIGNALS_PER_MINUTE_PER_USER": "none"}).limits["MAX_SIGNALS_PER_MINUTE_PER_USER"]
    assert (setting.value, setting.source) == (None, "environment")
