"""Hosts and addresses in every spelling that people write: understood, or a sentence."""

import pytest

from limiter.hosts import HostNames, allowed_hosts, canonical, console_url, listening_host, web_address, web_url

HOSTS = {
    "localhost": "localhost", "LOCALHOST.": "localhost", "127.0.0.1": "127.0.0.1", "::1": "::1", "[::1]": "::1",
    "[0:0:0:0:0:0:0:1]": "::1", "::": "::", "0.0.0.0": "0.0.0.0", "FD00::0001": "fd00::1",
    "fe80::1%eth0": "fe80::1%eth0",
    "my_limiter": "my_limiter", "Bücher.example": "xn--bcher-kva.example",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTS)
def test_a_host_has_one_spelling(text: str) -> None:
    assert canonical(text) == listening_host(text) == HOSTS[text]


@pytest.mark.parametrize(
    "text", ["*", "", "http://localhost", "localhost:5001", "[localhost]", "[::1", "a b", "-a", "a..b", "[::1]:5001"]
)
def test_what_is_no_host_is_not_listened_on(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|neither"):
        listening_host(text)


def test_an_address_has_brackets_where_it_needs_them() -> None:
    assert [web_address(host, 1) for host in ("::1", "a", "127.0.0.1")] == [
        "http://[::1]:1", "http://a:1", "http://127.0.0.1:1",
    ]  # fmt: skip


def test_hosts_that_may_be_named() -> None:
    written = (
        " Bots.example.com, b.example:8443,*.c.example , *.d.example:81, [FD00::1], fd00::2, [fd00::3]:90,10.0.0.1,"
    )
    assert allowed_hosts(written) == (
        "bots.example.com", "b.example:8443", "*.c.example", "*.d.example:81", "[fd00::1]", "[fd00::2]", "[fd00::3]:90",
        "10.0.0.1",
    )  # fmt: skip
    assert allowed_hosts("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "*", "*.", "https://bots.example.com", "bots.example.com/", "a b", "a;b", "*a.example", "a.*.example", "a:b",
        "a:70000", "'a'", '"a,b"', "a:", "[a]", "**.a",
    ],
)  # fmt: skip
def test_what_names_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host alone|name:port|no port"):
        allowed_hosts(text)


KNOWN = {
    "": ["localhost", "LocalHost:9", "127.0.0.1", "127.0.0.1:5001", "127.1.2.3:1", "[::1]", "[::1]:5001", "localhost."],
    "a.example": ["a.example", "A.EXAMPLE:1", "a.example.", "a.example.:443"],
    "a.example:8443": ["a.example:8443"],
    "a.example:443": ["a.example", "a.example:443"],
    "*.a.example": ["x.a.example", "x.y.A.example:1"],
    "*.a.example:81": ["x.a.example:81"],
    "fd00::1": ["[fd00::1]", "[FD00:0::1]:5001"],
}
STRANGE = {
    "": ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[", "[::1", "::1]", "a,b", "a b",
         "[]", "localhost:x", "localhost:", "localhost:5001:5001", "10.0.0.1", "xn--", "é", "u@localhost", "0.0.0.0"],
    "a.example": ["x.a.example", "a.example.evil.example", "xa.example"],
    "a.example:8443": ["a.example", "a.example:443", "a.example:84430"],
    "a.example:443": ["a.example:80"],
    "*.a.example": ["a.example", "xa.example", "x.a.example.evil"],
    "*.a.example:81": ["x.a.example", "a.example:81", "x.a.example:82"],
    "fd00::1": ["[fd00::2]"],
}  # fmt: skip


@pytest.mark.parametrize("allowed", KNOWN)
def test_a_host_is_known_by_any_of_its_spellings_and_no_other(allowed: str) -> None:
    names = HostNames("::1", allowed_hosts(allowed))
    assert [header for header in KNOWN[allowed] if not names.know(header)] == []
    assert [header for header in STRANGE[allowed] if names.know(header)] == []


def test_the_address_that_is_listened_on_is_known() -> None:
    assert HostNames("10.0.0.1").know("10.0.0.1:5001") and HostNames("fd00::1").know("[fd00::1]:5001")


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:5001", "https://bots.example.com", "HTTP://[::1]:5001", "https://h.example/limiter"]
)
def test_an_address_of_the_web_is_taken_as_written(text: str) -> None:
    assert web_url(text) == web_url(text + "/") == text


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:5001", "localhost:5001", "localhost", "ftp://x", "http://", "http://::1:5001", "http://[::1",
        "http:/x",
        "http://x:port", "http://x:70000", "http://u:p@x", "http://x?a=1", "http://x/#a", "http://a b", "http://x y:1",
    ],
)  # fmt: skip
def test_what_is_no_address_of_the_web_says_so(text: str) -> None:
    for read in (web_url, console_url):
        with pytest.raises(ValueError, match=r"http"):
            read(text)


def test_the_console_is_under_admin_whether_that_is_written_or_not() -> None:
    for text in ("https://b.example", "https://b.example/", "https://b.example/admin", "https://b.example/admin/"):
        assert console_url(text) == "https://b.example/admin"
    assert console_url("http://[::1]:9") == "http://[::1]:9/admin" and console_url("") == ""
    with pytest.raises(ValueError, match="nowhere else"):
        console_url("https://b.example/console")
