"""Messages on their way: tried at once, again after longer and longer pauses, given up in the end, never in a crowd."""

import pytest

from limiter.rules.deliveries import (
    FAILING_TRIES,
    GIVE_UP_MS,
    MAX_PENDING,
    NO_ANSWER,
    NOT_BACK,
    NOT_CONFIGURED,
    NOT_DELIVERED,
    TOO_MANY,
    UNDER_WAY,
    Outgoing,
    Tried,
    Trying,
    answer_in,
    failing_channels,
    may_have_arrived,
    pause_ms,
    tell,
)
from limiter.rules.records import Channel, Delivery
from limiter.rules.state import State
from tests.rules.world import HOUR, MINUTE, NOW, SECOND, decide, new_state


def state_with(*channels: str) -> State:
    state = new_state()
    state.channels = {name: Channel() for name in channels}
    return state


def say(state: State, text: str, level: str = "full", now: int = NOW) -> list[Delivery]:
    state.begin()
    return tell(state, now, None, level, text, "body")


def due(state: State, now: int) -> list[str]:
    return [f"{delivery.title}@{delivery.channel}" for delivery in decide(state, Outgoing(), now)]


def test_one_delivery_a_channel_due_at_once() -> None:
    state = state_with("mail", "chat")
    say(state, "a")
    say(state, "b")
    assert due(state, NOW) == ["a@mail", "a@chat", "b@mail", "b@chat"]


def test_without_channels_nothing_waits() -> None:
    state = state_with()
    assert say(state, "a") == []
    assert not state.changes.deliveries


def test_what_arrived_is_not_due_again() -> None:
    state = state_with("mail")
    (one,) = say(state, "a")
    sent = decide(state, Tried(one.number, None), NOW + SECOND)
    assert (sent.state, sent.tries, sent.answer, sent.tried_at) == ("sent", 1, None, NOW + SECOND)
    assert due(state, NOW + HOUR) == []
    assert state.channels["mail"] == Channel(0, None, NOW + SECOND, NOW + SECOND)
    assert decide(state, Tried(one.number, "late"), NOW) is None, "it was settled before"


def test_a_channel_that_fails_rests_longer_and_longer() -> None:
    assert [pause_ms(n) // SECOND for n in range(11)] == [0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    state = state_with("mail")
    (one,) = say(state, "a")
    tried = decide(state, Tried(one.number, "refused"), NOW)
    assert (tried.state, tried.answer, tried.next_try_at) == ("pending", "refused", NOW + 2 * SECOND)
    assert due(state, NOW + 2 * SECOND - 1) == []
    assert due(state, NOW + 2 * SECOND) == ["a@mail"]


def test_a_new_message_is_tried_although_the_channel_rests() -> None:
    state = state_with("mail")
    (one,) = say(state, "a")
    for _ in range(8):
        decide(state, Tried(one.number, "refused"), NOW)
    say(state, "b", now=NOW + SECOND)
    assert due(state, NOW + SECOND) == ["b@mail"]


def test_once_it_works_all_that_waited_is_due() -> None:
    state = state_with("mail")
    (one,) = say(state, "a")
    (two,) = say(state, "b")
    for _ in range(8):
        decide(state, Tried(one.number, "refused"), NOW)
    decide(state, Tried(two.number, None), NOW + SECOND)
    assert due(state, NOW + SECOND) == ["a@mail"]


def test_a_channel_fails_after_3_tries_in_a_row_and_works_again_after_one() -> None:
    state = state_with("mail", "chat")
    mail, chat = say(state, "a")
    for n in range(FAILING_TRIES):
        assert failing_channels(state) == []
        decide(state, Tried(mail.number, f"refused {n}"), NOW)
    assert failing_channels(state) == ["mail"]
    decide(state, Tried(chat.number, None), NOW)
    assert failing_channels(state) == ["mail"]
    decide(state, Tried(mail.number, None), NOW)
    assert failing_channels(state) == []


@pytest.mark.parametrize(
    ("answer", "fr"),
    [
        (None, None),
        (UNDER_WAY, "en cours d'envoi"),
        (f"{NO_ANSWER} 30 s", "pas de réponse en 30 s"),
        ("2 of 3 have it: not delivered", "2 sur 3 l'ont reçu : non remis"),
        ("1 of 3 has it: not delivered", "1 sur 3 l'a reçu : non remis"),
        ("1 of 3 have it: not delivered", "1 sur 3 l'a reçu : non remis"),  # as it used to be kept
        ("2 of 3 have it: no answer for 60 s", "2 sur 3 l'ont reçu : pas de réponse en 60 s"),
        ("2 of 3 have it: 403 {x}\nForbidden", "2 sur 3 l'ont reçu : 403 {x}\nForbidden"),
        ("not delivered to room 3", "not delivered to room 3"),
    ],
)
def test_an_answer_is_told_in_the_language_of_who_reads_but_the_channels_own_words(
    answer: str | None, fr: str | None
) -> None:
    assert (answer_in(answer, "fr"), answer_in(answer, "en")) == (fr, answer)


def test_the_limiters_own_answers_are_all_in_french() -> None:
    """Those that a channel is said to have given, by the code that says so."""
    state = state_with("mail")
    for n in range(MAX_PENDING + 1):
        say(state, f"{n}")
    given_up = next(one for one in state.changes.deliveries.values() if one.state == "failed")
    own = [given_up.answer, NOT_CONFIGURED, NOT_BACK, NOT_DELIVERED]
    assert given_up.answer == TOO_MANY and all(answer_in(one, "fr") != one for one in own)


def test_it_is_given_up_after_6_hours() -> None:
    state = state_with("mail")
    (one,) = say(state, "a")
    assert decide(state, Tried(one.number, "refused"), NOW + GIVE_UP_MS - 1).state == "pending"
    assert decide(state, Tried(one.number, "refused"), NOW + GIVE_UP_MS).state == "failed"
    assert due(state, NOW + 2 * GIVE_UP_MS) == []


def test_a_test_is_tried_once() -> None:
    state = state_with("mail")
    (one,) = say(state, "a", "test")
    assert decide(state, Tried(one.number, "refused"), NOW).state == "failed"


def test_a_try_is_recorded_before_it_begins_and_a_message_says_so_where_nobody_knows_its_end() -> None:
    state = state_with("mail")
    (one,) = say(state, "a")
    assert not may_have_arrived(one)
    assert decide(state, Trying(one.number), NOW) is True
    begun = state.deliveries[one.number]
    assert (begun.state, begun.tries, begun.answer, begun.tried_at) == ("pending", 0, UNDER_WAY, NOW)
    assert state.changes.deliveries[one.number] == begun
    assert may_have_arrived(begun)
    refused = decide(state, Tried(one.number, "2 of 3 have it: refused", reached=("a", "b")), NOW)
    assert not may_have_arrived(refused) and refused.reached == ("a", "b")
    assert may_have_arrived(decide(state, Tried(one.number, "no answer for 30 s"), NOW))
    decide(state, Tried(one.number, None), NOW)
    assert decide(state, Trying(one.number), NOW) is False, "it was settled before"


def test_the_one_that_is_being_sent_does_not_give_way() -> None:
    state = state_with("mail")
    for n in range(MAX_PENDING):
        say(state, str(n))
    first, second = sorted(state.deliveries)[:2]
    decide(state, Trying(first), NOW)
    say(state, "last")
    assert first in state.deliveries and second not in state.deliveries


def test_at_most_100_wait_for_a_channel_and_the_oldest_gives_way() -> None:
    state = state_with("mail", "chat")
    for n in range(MAX_PENDING):
        say(state, str(n))
    for delivery in list(state.deliveries.values()):
        if delivery.channel == "chat":
            decide(state, Tried(delivery.number, None), NOW)
    say(state, "last")
    waiting = [one for one in state.deliveries.values() if one.channel == "mail"]
    assert (len(waiting), waiting[0].title, waiting[-1].title) == (MAX_PENDING, "1", "last")
    assert state.changes.deliveries[1].state == "failed"


def test_what_waits_for_a_channel_that_is_gone_fails() -> None:
    state = state_with("mail")
    say(state, "a")
    state.channels = {"chat": Channel()}
    assert due(state, NOW + MINUTE) == []
    assert not state.deliveries
    assert [one.state for one in state.changes.deliveries.values()] == ["failed"]


def test_a_batch_that_fails_takes_it_back() -> None:
    state = state_with("mail")
    (one,) = say(state, "a")
    decide(state, Tried(one.number, "refused"), NOW)
    state.undo()
    assert state.deliveries == {one.number: one}
    assert state.channels == {"mail": Channel()}


def test_tries_are_counted_for_the_metrics() -> None:
    state = state_with("mail")
    (one,) = say(state, "a")
    decide(state, Tried(one.number, "refused"), NOW)
    decide(state, Tried(one.number, None), NOW)
    assert (state.totals["alerts:mail:failed"], state.totals["alerts:mail:sent"]) == (1, 1)
