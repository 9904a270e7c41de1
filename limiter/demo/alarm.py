"""The demo's alerts: readings observed each minute, as the job does, and messages to two channels that do not exist."""

from limiter.demo.agenda import Agenda
from limiter.rules.deliveries import Outgoing, Tried
from limiter.rules.incidents import Acknowledge, Observe
from limiter.rules.vitals import Vitals

CHANNELS = ("discord", "e-mail")
PERIOD_SECONDS = 60
WELL = Vitals(sample_age_seconds=3.0, clock_step_seconds=0.0, disk_free_bytes=30 * 1024**3)


class Alarm:
    """What is told to whom. While `broken` names a channel, nothing gets through there."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.broken: str | None = None

    def begin(self) -> None:
        """From now on each minute, and at the end, so that no message is left on its way."""
        self.agenda.at(self.agenda.now, self._look)
        self.agenda.at(self.agenda.until - 1, self._look)

    def _look(self) -> None:
        agenda = self.agenda
        agenda.decide(Observe(WELL))
        for delivery in agenda.decide(Outgoing()):
            agenda.decide(Tried(delivery.number, "timed out after 10 s" if delivery.channel == self.broken else None))
        agenda.after(PERIOD_SECONDS, self._look)

    def acknowledge(self, kind: str, reason: str, actor: str) -> None:
        """Somebody looks after the open incident of that kind, where there is one."""
        incident = self.agenda.state.incidents.get(kind)
        if incident is not None:
            self.agenda.decide(Acknowledge(incident.number, reason, actor))
