"""How full it is, the figures of one instant, and whether it is time for a larger machine."""

from typing import TYPE_CHECKING

from limiter.commands.declaring import command
from limiter.commands.over_http import over_http
from limiter.commands.text import counted, decimal, percent, table, told, word

if TYPE_CHECKING:
    from limiter.answers.capacity import AdviceAnswer, CapacityAnswer, StatsAnswer
    from limiter.client import Admin


def show_capacity(answer: "CapacityAnswer") -> str:
    now = answer.capacity
    slots = f"Active Bots: {now.current_bots} / {now.max_bots} slots ({now.percent_used}%)"  # the guide's own line
    over = told(fr=f"{-now.available_slots} au-dessus de la limite", en=f"{-now.available_slots} above the limit")
    free = counted(now.available_slots, fr=("libre", "libres"), en=("free", "free"))
    shut = told(fr=" ; aucun démarrage n'est admis : limiter stats", en="; no start is admitted: limiter stats")
    if now.can_accept_new or now.status == "FULL":
        shut = ""
    return f"{slots}\n{now.status}, {free if now.available_slots >= 0 else over}{shut}"


@command()
@over_http(show_capacity)
def capacity(admin: "Admin") -> "CapacityAnswer":
    """Bots against the limit, now."""
    return admin.capacity()


def show_stats(answer: "StatsAnswer") -> str:
    milliseconds = answer.decisions.p50_ms, answer.decisions.p99_ms
    now, system, rates, seen = answer.capacity, answer.system, answer.rates, answer.sessions
    none = told(fr="aucun", en="none")
    refusals = ", ".join(f"{word(reason)} {count}" for reason, count in rates.refusals_last_hour.items()) or none
    paused = told(fr=", en pause", en=", paused") if answer.paused else ""
    if not answer.storage_available:
        paused += f", {word('storage_unavailable')}"
    active, suspect, expired, up = seen.active, seen.suspect, seen.expired_last_hour, round(answer.uptime_seconds)
    ram = "-" if system.ram_percent is None else decimal(system.ram_percent, ".1f")
    rows: list[list[object]] = [
        ["bots", f"{now.current_bots} / {now.max_bots} ({percent(now.percent_used)}), {now.status}{paused}"],
        [
            "sessions",
            ", ".join(
                (
                    counted(active, fr=("active", "actives"), en=("active", "active")),
                    counted(suspect, fr=("suspecte", "suspectes"), en=("suspect", "suspect")),
                    counted(expired, fr=("expirée", "expirées"), en=("expired", "expired"))
                    + told(fr=" en une heure", en=" in the last hour"),
                )
            ),
        ],
        [told(fr="démarrages, une heure", en="starts, last hour"), rates.starts_last_hour],
        [told(fr="refus, une heure", en="refusals, last hour"), refusals],
        [told(fr="trades du jour", en="trades today"), rates.trades_today],
        [told(fr="signaux, une minute", en="signals, last minute"), rates.signals_last_minute],
        [told(fr="tokens, une minute", en="tokens, last minute"), rates.tokens_last_minute],
        ["CPU %", "-" if system.cpu_percent is None else decimal(system.cpu_percent, ".1f")],
        ["RAM %", told(fr=f"{ram} de {decimal(system.ram_total_gb)} Go", en=f"{ram} of {system.ram_total_gb} GB")],
        [told(fr="limite recommandée", en="recommended limit"), system.recommended_max_bots],
        [
            told(fr="décision, p50 / p99 ms", en="decision, p50 / p99 ms"),
            " / ".join("-" if ms is None else decimal(ms) for ms in milliseconds),
        ],
        [
            told(fr="garde-fous qui retiennent", en="guards that hold"),
            ", ".join(guard.message for guard in answer.guards if guard.held) or none,
        ],
        [
            told(fr="premiers utilisateurs", en="top users"),
            ", ".join(f"{user.user_id} {user.active}" for user in answer.top_users) or none,
        ],
        [
            "version",
            told(
                fr=f"{answer.version}, limites {answer.limits_version}, en marche depuis {up} s",
                en=f"{answer.version}, limits {answer.limits_version}, up {up} s",
            ),
        ],
    ]
    return table(["WHAT", answer.at], rows)


@command()
@over_http(show_stats)
def stats(admin: "Admin") -> "StatsAnswer":
    """Everything of one instant."""
    return admin.stats()


def show_advice(answer: "AdviceAnswer") -> str:
    ram, bots, usd = decimal(answer.detected_ram_gb, "g"), answer.recommended_max_bots, answer.price_usd_month
    first = told(
        fr=f"{ram} Go de RAM : jusqu'à {bots} bots recommandés"
        + (f", environ {usd} $ par mois." if usd is not None else "."),
        en=f"{ram} GB of RAM: up to {bots} bots are recommended"
        + (f", about {usd} USD a month." if usd is not None else "."),
    )
    soon = {False: told(fr="Bientôt : ", en="Soon: "), True: told(fr="Maintenant : ", en="Now: ")}
    nothing = told(fr="Rien n'appelle une autre machine.", en="Nothing speaks for another machine.")
    decided = [answer.decision.sentence] if answer.decision is not None else []
    reasons = [soon[one.strong] + one.message for one in answer.advice]
    return "\n".join([first, *decided, *(reasons or ([] if decided else [nothing]))])


@command()
@over_http(show_advice)
def advice(admin: "Admin") -> "AdviceAnswer":
    """What this machine's memory is good for, and whether it is time for a larger one."""
    return admin.advice()
