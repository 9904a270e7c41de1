"""Settings: environment over `.env` over default, and a sentence with the variable's name where one cannot be read."""

import os
import threading
from pathlib import Path

import pytest

from limiter.config import SETTINGS, ConfigError, of_a_client, read


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults() -> None:
    config = read({})
    assert config.database_url == "sqlite:///data/limiter.db"
    assert (config.host, config.port) == ("127.0.0.1", 5001)
    assert (config.url, config.lang) == ("http://127.0.0.1:5001", "fr")
    assert config.ram_gb is None
    assert str(config.timezone) == "UTC"
    assert config.own_console_url == "http://127.0.0.1:8501/admin"
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
    assert (config.port, config.sources["LIMITER_PORT"]) == (7000, "environment")
    assert (config.lang, config.sources["LIMITER_LANG"]) == ("en", "env_file")


def test_an_option_goes_over_everything() -> None:
    assert read({"LIMITER_PORT": "7000"}, LIMITER_PORT=8000, LIMITER_HOST=None).port == 8000


def test_a_pattern_is_compiled_and_one_that_matches_everything_is_refused() -> None:
    assert read({}).bot_pattern is None
    pattern = read({"LIMITER_BOT_PATTERN": r"bots/\w+\.py"}).bot_pattern
    assert pattern is not None and pattern.search("python bots/a.py")
    for wrong in ("(", "*", "bot|", ".*"):
        with pytest.raises(ConfigError, match=r"^LIMITER_BOT_PATTERN: "):
            read({"LIMITER_BOT_PATTERN": wrong})


def test_an_empty_value_counts_as_not_set(folder: Path) -> None:
    (folder / ".env").write_text("MAX_CONCURRENT_BOTS=300\nALERT_THRESHOLD=70\nALERT_THRESHOLD=\n")
    config = read({"MAX_CONCURRENT_BOTS": "", "LIMITER_PORT": "  "})
    assert config.limits["MAX_CONCURRENT_BOTS"].value == 300
    assert config.limits["ALERT_THRESHOLD"].value == 80  # the last line of the file wins, and it is empty
    assert config.port == 5001


def test_the_last_line_of_the_file_wins(folder: Path) -> None:
    (folder / ".env").write_text('MAX_CONCURRENT_BOTS=1\nexport MAX_CONCURRENT_BOTS="250"  # raised\n')
    assert read({}).limits["MAX_CONCURRENT_BOTS"].value == 250


def test_a_file_saved_with_a_byte_order_mark_is_read_from_its_first_line(folder: Path) -> None:
    (folder / ".env").write_text("MAX_CONCURRENT_BOTS=250\n", encoding="utf-8-sig")
    assert read({}).limits["MAX_CONCURRENT_BOTS"].value == 250


def test_a_dollar_in_the_file_is_a_dollar(folder: Path) -> None:
    (folder / ".env").write_text("LIMITER_KEY=a${HOME}b\n")
    assert read({}).key == "a${HOME}b"


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
    assert config.allowed_hosts == ("bots.example", "other.example")


def test_none_is_a_value_of_the_one_limit_that_has_it() -> None:
    setting = read({"MAX_SIGNALS_PER_MINUTE_PER_USER": "none"}).limits["MAX_SIGNALS_PER_MINUTE_PER_USER"]
    assert (setting.value, setting.source) == (None, "environment")


# -- the file


LINES = {
    "MAX_CONCURRENT_BOTS: 50": 2, "set MAX_CONCURRENT_BOTS=50": 2, "MAX_CONCURRENT_BOTS 50": 2,
    "MAX_CONCURRENT_BOTS": 2,
    "$env:MAX_CONCURRENT_BOTS=50": 2, "MAX_CONCURRENT_BOTS:=50": 2, "- MAX_CONCURRENT_BOTS=50": 2, "=50": 2,
    "\n\n  \nMAX_CONCURRENT_BOTS: 50": 5, "LIMITER_LANG='en\nMAX_CONCURRENT_BOTS=50": 2,
    'LIMITER_LANG="en\nMAX_CONCURRENT_BOTS=50': 2, 'OTHER="a\nMAX_CONCURRENT_BOTS=50\nB="': 2,
    'OTHER="a\nMAX_CONCURRENT_BOTS=50\nB="x"': 2, 'MAX_CONCURRENT_BOTS="50" bots': 2, "{": 2, "; a comment": 2,
}  # fmt: skip


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("text", LINES)
def test_a_line_that_is_no_assignment_stops_the_start_and_its_place_is_named(
    folder: Path, text: str, newline: str
) -> None:
    (folder / ".env").write_bytes(f"# ours\n{text}\nLIMITER_PORT=1\n".replace("\n", newline).encode())
    with pytest.raises(ConfigError, match=rf"^\.env, line {LINES[text]}: "):
        read({})


def test_a_client_passes_over_all_that_is_not_its_own(folder: Path) -> None:
    (folder / ".env").write_text("what: ever\nLIMITER_URL=http://a\nLIMITER_PORT=none\nLIMITER_LANG='en'\n")
    assert of_a_client({"LIMITER_KEY": '"k"'}) == {
        "LIMITER_URL": "http://a", "LIMITER_LANG": "en", "LIMITER_KEY": "k",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["50", "'50'", '"50"', " 50 ", "50 # a comment", '"50" # a comment', '" 50 "'])
def test_a_value_is_the_same_in_the_file_and_as_other_readers_of_the_file_pass_it_on(folder: Path, text: str) -> None:
    """docker run --env-file keeps quotes and comments, systemd's EnvironmentFile keeps comments."""
    assert read({"MAX_CONCURRENT_BOTS": text}).limits["MAX_CONCURRENT_BOTS"].value == 50
    (folder / ".env").write_text(f"export MAX_CONCURRENT_BOTS = {text}\r\n")
    assert read({}).limits["MAX_CONCURRENT_BOTS"].value == 50


@pytest.mark.parametrize("text", ["50#", "'50", '50"', "''50''", "=50", "50 bots"])
def test_a_value_with_something_left_over_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="MAX_CONCURRENT_BOTS"):
        read({"MAX_CONCURRENT_BOTS": text})


def test_quotes_keep_what_looks_like_a_comment() -> None:
    assert read({"LIMITER_KEY": '"a #b"'}).key == "a #b"


UNKNOWN = {
    "MAX_CONCURENT_BOTS": "MAX_CONCURRENT_BOTS", "max_concurrent_bots": "MAX_CONCURRENT_BOTS",
    "MAX_CONCURRENT": "MAX_CONCURRENT_BOTS", "MAX_BOTS": "MAX_BOTS_PER_USER", "LIMITER_HOSTS": "LIMITER_HOST",
    "ALERT_TRESHOLD": "ALERT_THRESHOLD", "BOT_LEASE": "BOT_LEASE_SECONDS", "LIMITER_ALERT_URL": "LIMITER_ALERT_URLS",
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_name_that_begins_like_ours_and_is_none_is_a_warning(folder: Path, name: str) -> None:
    meant = UNKNOWN[name]
    (told,) = read({name: "1"}).warnings
    assert told.en == f"environment: {name} is no setting (is {meant} meant?)"
    assert told.fr == f"environnement : {name} n'est pas un réglage (est-ce {meant} ?)"
    (folder / ".env").write_text(f"\n{name}=1\n")
    (told,) = read({}).warnings
    assert told.en == f".env, line 2: {name} is no setting (is {meant} meant?)"


def test_what_is_for_other_programs_is_no_warning(folder: Path) -> None:
    (folder / ".env").write_text("BOT_TOKEN=x\nDATABASE_URL=x\nPORT=1\nMAX_MEMORY=1\nalpha.beta-gamma=1\nEMPTY=\n")
    assert read({"PATH": "/bin", "HOME": "/", "LIMITER_SESSION_ID": "x"}).warnings == ()


def test_a_folder_in_the_place_of_the_file_stops_the_start(folder: Path) -> None:
    (folder / ".env").mkdir()  # as Docker makes one where a mounted file is missing
    for environment in ({}, {"LIMITER_ENV_FILE": str(folder / ".env")}):
        with pytest.raises(ConfigError, match="is a folder"):
            read(environment)


def test_a_pipe_is_read_as_often_as_it_is_asked_for(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("MAX_CONCURRENT_BOTS=7\n",))
    writer.start()
    for _ in range(2):
        found = read({"LIMITER_ENV_FILE": str(pipe)}).limits["MAX_CONCURRENT_BOTS"]
        assert (found.value, found.source) == (7, "env_file")
    writer.join()
