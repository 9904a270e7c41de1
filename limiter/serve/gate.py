"""The gate at the start: the first key, who may ask without one, and a key for the commands of this machine."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from limiter.access import Access, make_key
from limiter.committer import Committer
from limiter.config import Config, ConfigError
from limiter.hosts import is_loopback, reachable, web_address
from limiter.rules.changes import Write
from limiter.rules.records import Key
from limiter.rules.refusals import Refusal
from limiter.serve.listening import addresses
from limiter.store.location import StoreError, key_file
from limiter.store.lock import Lock

log = logging.getLogger("limiter")


async def open_access(config: Config, committer: Committer, read_keys: Callable[[], list[Key]]) -> Access:
    """The gate with its keys; makes the first key; refuses to serve others than loopback without a `bots` key."""
    access = Access(local=all(is_loopback(address) for address in addresses(config.host)))
    found = read_keys()
    if not any(key.scope == "admin:write" for key in found):  # a `bots` key may come before the first start
        text, key = make_key("admin:write", "admin", committer.clock.now())
        path = key_file(config.database_url)
        write_first_key(path, text)
        row = {name: getattr(key, name) for name in ("id", "name", "scope", "digest", "created_at", "revoked_at")}
        made = await committer.submit(Write("keys", row, "start", "key", f"{key.id} {key.scope}"))
        if isinstance(made, Refusal):
            raise StoreError(
                fr="la première clé n'a pu être gardée : la base peut-elle être écrite ?",
                en="the first key could not be saved: is the database writable?",
            )
        log.info("first_key file=%s", path)
        found = read_keys()
    access.load(found)
    if access.open and (hosts := config.allowed_hosts):
        log.warning("open_door hosts=%s: behind a proxy anybody can ask, for no bots key was made", ",".join(hosts))
    if not access.local and not any(key.scope == "bots" and key.revoked_at is None for key in found):
        make = "`python -m limiter keys create --scope bots`"
        raise ConfigError(
            fr=f"LIMITER_HOST : {config.host} n'est pas la boucle locale, il faut donc une clé aux bots : {make}",
            en=f"LIMITER_HOST: {config.host} is not loopback, so bots need a key: make one with {make}",
        )
    return access


def write_first_key(path: Path, text: str) -> None:
    """Keep the first key for its owner's eyes only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(handle, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")


def open_to_commands(lock: Lock, access: Access, host: str, port: int, now: int) -> None:
    """Let the commands on this file ask this process: where it is, and a key that lives as long as it does."""
    text, access.control = make_key("admin:write", "local", now, "local")
    access.keys["local"] = access.control
    lock.describe(url=web_address(reachable(host), port), key=text)
