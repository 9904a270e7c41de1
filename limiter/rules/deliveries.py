"""Messages on their way to channels: what is due, and what a try has come to.

Promises: a message is tried at once, and waits until it was sent, for 6 hours beside quiet hours at most; a channel
that fails is tried again after 2, 4, 8 … 300 s; at most 100 messages wait for it; a try is recorded before it begins,
so that a message says, when it is sent again after a try that nobody saw the end of, that it may have arrived. Not
promised: that one is sent only once, where the limiter is killed meanwhile or a server takes it and does not say so. A
test is tried once.
"""

import re
from dataclasses import dataclass, replace

from limiter.rules.records import Channel, Delivery
from limiter.rules.state import State
from limiter.rules.words import Words
from limiter.units import HOUR_MS

TEST = "test"
MAX_PENDING = 100  # deliveries that wait for one channel; the oldest gives way
GIVE_UP_MS = 6 * HOUR_MS
FIRST_PAUSE_MS, MAX_PAUSE_MS = 2_000, 300_000  # between tries: doubled each time
UNDER_WAY, NO_ANSWER = "being sent", "no answer for"  # answers of a try that nobody knows the end of
TOO_MANY, NOT_CONFIGURED = "too many wait for this channel", "the channel is no longer configured"
NOT_BACK, NOT_DELIVERED = "the try before has not come back", "not delivered"
SOME_HAVE_IT = Words("{n} sur {all} {n:l'a|l'ont} reçu : {why}", "{n} of {all} {n:has|have} it: {why}")
ANSWERS = (
    Words("en cours d'envoi", UNDER_WAY),
    Words("trop de messages attendent ce canal", TOO_MANY),
    Words("le canal n'est plus configuré", NOT_CONFIGURED),
    Words("l'essai précédent n'est pas revenu", NOT_BACK),
    Words("non remis", NOT_DELIVERED),
    Words("pas de réponse en {seconds} s", f"{NO_ANSWER} {{seconds}} s"),
    SOME_HAVE_IT,
)
"""What is kept of a try, in English, where it is the limiter's own words and not what the channel said."""


def _form(english: str) -> re.Pattern[str]:
    """What a text of that format looks like, by the names of its facts; each form of what it counts, of any number."""
    named = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(english)).replace("(?P<n>.+?)", r"(?P<n>\d+)")
    return re.compile(re.sub(r"\\{\w+:(.+?)\\\|(.+?)\\}", r"(?:\1|\2)", named), re.DOTALL)


_FORMS = [(_form(words.en), words) for words in ANSWERS]
FAILING_TRIES = 3  # in a row, and the channel counts as failing


def tell(state: State, now: int, incident: int | None, level: str, title: str, body: str) -> list[Delivery]:
    """One delivery a channel."""
    told = []
    for channel in state.channels:
        waiting = [one for one in state.deliveries.values() if one.channel == channel]
        if len(waiting) >= MAX_PENDING:  # the one that is being sent may arrive: it is not said to have failed
            oldest = min((one for one in waiting if one.answer != UNDER_WAY), key=lambda one: one.number)
            _fail(state, oldest, TOO_MANY)
        number = state.numbers["delivery"]
        state.put(state.numbers, "delivery", number + 1)
        told.append(Delivery(number, incident, now, level, title, body, channel, "pending", 0, None, None, now))
        _settle(state, told[-1])
    return told


def pause_ms(failures: int) -> int:
    """How long a channel rests after so many tries that failed in a row."""
    return min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(failures - 1, 10)) if failures else 0


def _settle(state: State, delivery: Delivery) -> None:
    state.put(state.deliveries, delivery.number, delivery if delivery.state == "pending" else None)
    state.put(state.changes.deliveries, delivery.number, delivery)


def _fail(state: State, delivery: Delivery, answer: str) -> None:
    _settle(state, replace(delivery, state="failed", answer=answer, next_try_at=None))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The job asks what to send. What it is given is durable."""

    def decide(self, state: State, now: int) -> list[Delivery]:
        """The deliveries that are due, oldest first; those of a channel that is no longer configured fail."""
        for delivery in tuple(state.deliveries.values()):
            if delivery.channel not in state.channels:
                _fail(state, delivery, NOT_CONFIGURED)
        rested = {name for name, one in state.channels.items() if now >= (one.tried_at or 0) + pause_ms(one.failures)}
        due = (one for one in state.deliveries.values() if one.tries == 0 or one.channel in rested)
        return sorted(due, key=lambda one: one.number)


def may_have_arrived(delivery: Delivery) -> bool:
    """Whether nobody knows what came of its last try: the limiter was killed in it, or no answer came."""
    return delivery.answer is not None and delivery.answer.startswith((UNDER_WAY, NO_ANSWER))


def answer_in(answer: str | None, language: str) -> str | None:
    """What came of a try, from what is kept of it, in `fr` or `en`; what a channel said stays as it is."""
    for form, words in _FORMS:
        if language != "en" and answer is not None and (found := form.fullmatch(answer)):
            facts = {name: answer_in(part, language) for name, part in found.groupdict().items()}
            return words.filled(**facts | {name: int(found[name]) for name in facts if name == "n"}).told(language)
    return answer


@dataclass(frozen=True, slots=True)
class Trying:
    """A try begins."""

    number: int

    def decide(self, state: State, now: int) -> bool:
        """Whether it may: the delivery still waits."""
        delivery = state.deliveries.get(self.number)
        if delivery is None:
            return False
        _settle(state, replace(delivery, answer=UNDER_WAY, tried_at=now, next_try_at=None))
        return True


@dataclass(frozen=True, slots=True)
class Tried:
    """How a try ended; `failure` says why it did not arrive, None: it did. `quiet_ms` may have gone by before it;
    `reached` names those of several recipients who have it."""

    number: int
    failure: str | None
    quiet_ms: int = 0
    reached: tuple[str, ...] = ()

    def decide(self, state: State, now: int) -> Delivery | None:
        """The delivery after it: sent, waiting for the next try, or given up. None where it was settled before."""
        delivery = state.deliveries.get(self.number)
        if delivery is None:
            return None
        channel = state.channels.get(delivery.channel, Channel())
        tried = replace(
            delivery, tries=delivery.tries + 1, tried_at=now, answer=self.failure, next_try_at=None,
            reached=self.reached,
        )  # fmt: skip
        if self.failure is None:
            tried = replace(tried, state="sent")
            channel = Channel(tried_at=now, sent_at=now)
        else:
            channel = Channel(channel.failures + 1, self.failure, now, channel.sent_at)
            if delivery.level == TEST or now - delivery.at >= GIVE_UP_MS + self.quiet_ms:
                tried = replace(tried, state="failed")
            else:
                tried = replace(tried, next_try_at=now + pause_ms(channel.failures))
        _settle(state, tried)
        if delivery.channel in state.channels:
            state.put(state.channels, delivery.channel, channel)
        state.count(f"alerts:{delivery.channel}:{'failed' if self.failure else 'sent'}", now)
        return tried


def failing_channels(state: State) -> list[str]:
    """The channels that do not get through, by name."""
    return sorted(name for name, channel in state.channels.items() if channel.failures >= FAILING_TRIES)
