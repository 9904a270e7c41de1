"""What the operators of the demo did and met: a launch in four steps, a desk with more bots, a reboot, a feed that
failed, a community that joined, a limit lowered and put back. Each through the rules, with its reason, in French or
English.

Days are those of a story of four weeks; a shorter or longer one is squeezed or stretched by whole days.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from limiter.demo.alarm import Alarm
from limiter.demo.history import History
from limiter.demo.people import DESK, HEAVY, JOINED, LENT
from limiter.rules.changes import Change, ChangeLimits, OverrideUser, Rollback, SetPause, Write
from limiter.rules.headlines import CAPACITY
from limiter.rules.incidents import SendTest
from limiter.rules.plan import ApplyPlan, SetPlan, due
from limiter.rules.records import Step
from limiter.rules.sessions import ReapSuspects
from limiter.rules.stops import StopByAdmin
from limiter.system_limits import Value
from limiter.units import DAY_MS, MINUTE_MS

WEEKS = 4
RECOMMENDED = 150  # what the 4 GB box of the story carries
REBOOT_SECONDS = 9 * 60
RETRY_SECONDS = 60  # a step that a guard holds is tried again
PLAN = ((0, 0, 50), (2, 9, 100), (6, 9, 150), (13, 9, 200))  # day, local hour, bots: the guide's days 1, 3, 7 and 14


class Story:
    """The script. `begin` puts it on the agenda of a history."""

    def __init__(self, history: History, language: str) -> None:
        agenda = history.agenda
        self.history, self.agenda, self.alarm = history, agenda, Alarm(agenda)
        self.language = agenda.state.language = language
        self.scale = (agenda.until - agenda.since) / (WEEKS * 7 * DAY_MS)
        began = datetime.fromtimestamp(agenda.since / 1000, agenda.zone)
        self.first = began.replace(hour=0, minute=0, second=0, microsecond=0)

    def begin(self) -> None:
        """Everything at its day and local hour, in this order where a short history has several at once."""
        agenda = self.agenda
        self.alarm.begin()
        agenda.after(1800, lambda: agenda.decide(SendTest("camille")))
        steps = [Step(self.when(*row[:2], order), row[2]) for order, row in enumerate(PLAN)]
        agenda.at(steps[0].at, lambda: self.plan((*steps, self.next_step())))
        for step in steps:
            agenda.at(step.at, self.apply_plan)
        for order, (day, hour, act) in enumerate(self.script(), start=len(steps)):
            agenda.at(self.when(day, hour, order), act)

    def when(self, day: float, hour: float, order: int) -> int:
        """That local hour of that day; in their order soon after the start where it lies before it."""
        local = self.first + timedelta(days=int(day * self.scale), hours=hour)
        return max(int(local.timestamp() * 1000), self.agenda.since + (1 + 40 * order) * MINUTE_MS)

    def next_step(self) -> Step:
        """One that is still to come when the history ends: in three days, for a bigger box."""
        ends = datetime.fromtimestamp(self.agenda.until / 1000, self.agenda.zone)
        local = ends.replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=3)
        return Step(int(local.timestamp() * 1000), 250)

    def script(self) -> list[tuple[float, float, Callable[[], object]]]:
        """Day, local hour, what is done."""
        return [
            (4, 11, self.mail),
            (6, 8.85, self.hiccup),
            (8, 10.5, self.desk),
            (10, 17, self.reconnect),
            (12, 4.2, self.reboot),
            (15, 14, self.incident),
            (17, 11.2, self.loop),
            (self.monday(16), 17.4, self.leak),
            (WEEKS * 7 * JOINED, 10, self.community),
            (21, 10, self.suspend),
            (22, 9.5, self.burst),
        ]

    def monday(self, day: int) -> float:
        """The first Monday (most demand) from this day of the story on; the day itself where none is in time."""
        first, scale = self.first, self.scale
        ahead = (7 - (first + timedelta(days=int(day * scale))).weekday()) % 7
        found = int(day * scale) + ahead
        fits = (first + timedelta(days=found, hours=20)).timestamp() * 1000 <= self.agenda.until
        return found / scale + 0.01 if fits else day

    # -- acts

    def plan(self, steps: tuple[Step, ...]) -> None:
        """The guide's launch plan, written down before the first bot."""
        self.agenda.decide(SetPlan(steps, self.text("Lancement progressif", "Progressive launch"), "camille"))

    def apply_plan(self) -> None:
        """What the job does: apply what is due, and try again while a guard holds it."""
        agenda, history = self.agenda, self.history
        if due(agenda.decide(ApplyPlan(history.readings(), RECOMMENDED)), agenda.now):
            agenda.after(RETRY_SECONDS, self.apply_plan)

    def mail(self) -> None:
        """Why there are more people from here on."""
        self.note("E-mail envoyé à la liste d'attente", "E-mail sent to the waiting list", "camille")

    def hiccup(self) -> None:
        """The feed is away for a while, just when a step is due: the guard holds it."""
        self.history.market.down = True
        self.agenda.after(25 * 60, lambda: setattr(self.history.market, "down", False))

    def desk(self) -> None:
        """One user gets five bots, another more trades for two days."""
        self.override(
            DESK, {"MAX_BOTS_PER_USER": 5}, None, "Contrat signé : cinq stratégies", "Contract signed: five strategies"
        )
        self.override(HEAVY, {"MAX_TRADES_PER_DAY": 800}, 2, "Essai de deux jours", "Trial of two days")
        for person in self.history.crowd.everyone:
            if person.user_id == DESK:
                person.wanted = 5

    def reconnect(self) -> None:
        """Another limit, changed and taken back."""
        self.change(
            {"WEBSOCKET_RECONNECT": 10}, "La bourse demande de ralentir", "The exchange asks to slow down", "camille"
        )
        back = ("La bourse est revenue à la normale", "The exchange is back to normal")
        self.agenda.after(26 * 3600, lambda: self.change({"WEBSOCKET_RECONNECT": "back"}, *back, "camille"))

    def incident(self) -> None:
        """The feed lags: bots go silent, starts are paused, the dead are reaped, it comes back."""
        agenda, history = self.agenda, self.history
        history.market.down = True
        self.alarm.broken = "e-mail"
        acts: list[tuple[float, Callable[[], object]]] = [
            (6, lambda: self.note("Flux en retard : moins de 5 tokens/min", "Feed lag: under 5 tokens/min", "samir")),
            (9, lambda: self.pause(True, "Flux en retard, on protège les actifs", "Feed lag, protecting running bots")),
            (11, lambda: self.see("feed", "Je regarde avec le fournisseur", "Looking at it with the provider")),
            (12, lambda: self.silence(9)),
            (12.85, self.reap),
            (38, lambda: setattr(history.market, "down", False)),
            (64, lambda: setattr(self.alarm, "broken", None)),
            (45, lambda: self.pause(False, "Flux revenu, 390 tokens/min", "Feed is back, 390 tokens/min")),
            (130, lambda: self.note(
                "Post-mortem : certificat du fournisseur expiré, 38 min sans flux ; alerte ajoutée",
                "Post-mortem: the provider's certificate had expired, 38 min without feed; alert added", "samir",
            )),
        ]  # fmt: skip
        for minutes, act in acts:
            agenda.after(minutes * 60, act)

    def silence(self, bots: int) -> None:
        """So many bots beat no more."""
        agenda, history = self.agenda, self.history
        for bot in [bot for number, bot in history.crowd.bots.items() if number in agenda.state.sessions][:bots]:
            bot.fate = "crashes"
            history.crowd.beat(bot.session, agenda.now)

    def reap(self) -> None:
        """End those that went silent."""
        self.agenda.decide(
            ReapSuspects("samir", self.text("Bots morts pendant la panne", "Bots that died in the outage"))
        )

    def loop(self) -> None:
        """One bot is stopped by hand."""
        agenda, history = self.agenda, self.history
        for session in list(agenda.state.sessions.values())[-1:]:
            history.crowd.beat(session, agenda.now)
            why = self.text("Le bot répète le même ordre en boucle", "The bot repeats the same order for ever")
            agenda.decide(StopByAdmin((session.number,), "camille", why))

    def leak(self) -> None:
        """RAM climbs, the limit is lowered under what runs, the leak is found, the limit put back."""
        agenda, history = self.agenda, self.history
        history.box.leak = 82.0 - history.box.ram
        version = agenda.state.limits.version

        def lower() -> None:
            bots = min(150, len(agenda.state.sessions) * 9 // 10)
            ram = f"{history.box.ram:.0f}"
            fr, en = f"RAM à {ram} %, on cherche la fuite", f"RAM at {ram}%, looking for the leak"
            self.change({"MAX_CONCURRENT_BOTS": bots}, fr, en, "samir")

        def seen() -> None:
            self.see(CAPACITY, "Limite baissée exprès", "Limit lowered on purpose")

        def mended() -> None:
            history.box.leak = 0.0
            self.note(
                "Fuite trouvée dans le cache des bougies, corrigée", "Leak found in the candle cache, fixed", "samir"
            )

        def restore() -> None:
            request = Rollback(
                version, self.text("Fuite corrigée", "Leak fixed"), False, "samir", history.readings(), RECOMMENDED
            )
            agenda.writer.fetch(agenda.state, [request], agenda.now)
            agenda.decide(request)

        for minutes, act in ((25, lower), (40, seen), (95, mended), (105, restore)):
            agenda.after(minutes * 60, act)

    def reboot(self) -> None:
        """The provider restarts the machine: no limiter, no bots, then a limiter that counts bots which have died."""
        history = self.history
        history.crowd.die(REBOOT_SECONDS)
        history.agenda.reboot(REBOOT_SECONDS)
        history.agenda.after(REBOOT_SECONDS + 35 * 60, lambda: self.note(
            "Redémarrage par l'hébergeur, 9 min ; les bots sont revenus seuls",
            "Rebooted by the provider, 9 min; the bots came back by themselves", "samir",
        ))  # fmt: skip

    def community(self) -> None:
        """Why the load is at another level from here on."""
        self.note("Communauté Hélios : 50 utilisateurs de plus", "Helios community: 50 more users", "camille")

    def suspend(self) -> None:
        """One user is suspended for two days."""
        self.override(LENT, {"MAX_BOTS_PER_USER": 0}, 2, "Clé prêtée à un tiers", "Key lent to somebody else")

    def burst(self) -> None:
        """Signals of one user get a limit of their own."""
        fr, en = "Un seul bot prenait tous les signaux", "One bot took all the signals"
        self.change({"MAX_SIGNALS_PER_MINUTE_PER_USER": 60}, fr, en, "camille")

    # -- how they are done

    def text(self, fr: str, en: str) -> str:
        """The one that the operator reads."""
        return en if self.language == "en" else fr

    def change(self, changes: Mapping[str, Change], fr: str, en: str, actor: str) -> object:
        """A change of limits, guards included."""
        readings = self.history.readings()
        request = ChangeLimits(changes, self.text(fr, en), None, False, actor, readings, RECOMMENDED)
        return self.agenda.decide(request)

    def override(self, user_id: str, limits: Mapping[str, Value], days: int | None, fr: str, en: str) -> None:
        """A user's own limits."""
        until = None if days is None else self.agenda.now + days * DAY_MS
        self.agenda.decide(OverrideUser(user_id, limits, until, self.text(fr, en), "camille"))

    def see(self, kind: str, fr: str, en: str) -> None:
        """Acknowledge what is open."""
        self.alarm.acknowledge(kind, self.text(fr, en), "samir")

    def pause(self, paused: bool, fr: str, en: str) -> None:
        """Close or open the door."""
        self.agenda.decide(SetPause(paused, self.text(fr, en), "samir"))

    def note(self, fr: str, en: str, author: str) -> None:
        """A mark on the charts."""
        now = self.agenda.now
        note_id = self.agenda.name()
        row = {"id": note_id, "at": now, "text": self.text(fr, en), "author": author, "created_at": now}
        self.agenda.decide(Write("notes", row, author, "note", note_id))
