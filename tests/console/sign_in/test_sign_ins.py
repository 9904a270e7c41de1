"""Sign-ins: signed, over after 8 hours, closed at once; links that open once."""

import pytest

from limiter.console.sign_in import sign_ins
from limiter.console.sign_in.sign_ins import LINK_SECONDS, SIGN_IN_SECONDS, SignIns


class Clock:
    """Monotonic seconds that stand until they are moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_cookie_finds_its_sign_in_until_it_is_over() -> None:
    clock = Clock()
    known = SignIns(clock)
    made = known.open("lim_a_b", "alice", "admin:read")
    cookie = known.cookie(made)
    assert known.find(cookie) == made and not made.may_change
    assert made.key not in cookie
    clock.now += SIGN_IN_SECONDS
    assert known.find(cookie) is None


@pytest.mark.parametrize("cookie", [None, "", "x", "a.b"])
def test_what_was_not_signed_here_finds_nothing(cookie: str | None) -> None:
    known = SignIns()
    made = known.open("k", "n", "admin:write")
    assert made.may_change
    assert known.find(cookie) is None and known.find(made.id) is None
    assert known.find(SignIns().cookie(made)) is None


def test_closed_is_closed() -> None:
    known = SignIns()
    made = known.open("k", "n", "admin:write")
    known.close(made)
    assert known.find(known.cookie(made)) is None


def test_a_link_opens_once_and_not_too_late() -> None:
    clock = Clock()
    known = SignIns(clock)
    token = known.link()
    assert known.opens(token) and known.opens(token)
    assert known.redeem(token) and not known.opens(token) and not known.redeem(token) and not known.redeem("x")
    late = known.link()
    clock.now += LINK_SECONDS
    assert not known.opens(late) and not known.redeem(late)


def test_a_cookie_is_named_by_the_port_that_the_browser_asked_for() -> None:
    hosts = ("localhost:8501", "localhost:8502", "[::1]:8501", "[::1]", "bots.example")
    names = [sign_ins.cookie_name(host) for host in hosts]
    assert names == ["limiter_console_8501", "limiter_console_8502", "limiter_console_8501", *2 * ["limiter_console"]]


def test_the_oldest_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "MOST", 2)
    known = SignIns()
    first, second, third = (known.open("k", str(n), "admin:read") for n in range(3))
    assert known.find(known.cookie(first)) is None
    assert known.find(known.cookie(second)) == second and known.find(known.cookie(third)) == third
