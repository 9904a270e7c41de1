"""Occupancy → percent, status, free slots; what a VPS of a size carries.

Statuses come from exact integer arithmetic: LOW below 50 %, HEALTHY from 50, WARNING from 80, FULL from 100.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from msgspec import Struct

from limiter.system_limits import VPS_SIZES, get_recommended_limit_for_vps


class Status(StrEnum):
    """The four levels of the operator's guide."""

    LOW = "LOW"
    HEALTHY = "HEALTHY"
    WARNING = "WARNING"
    FULL = "FULL"


class Capacity(Struct, frozen=True):
    """Slots taken against the limit in force; `open` is False where no new user would be admitted for another cause."""

    current: int
    maximum: int
    open: bool = True

    @property
    def percent_used(self) -> float:
        """Percent of the limit in use, cut (not rounded) to one decimal; 100.0 where the limit is 0."""
        return self.current * 1000 // self.maximum / 10 if self.maximum else 100.0

    @property
    def status(self) -> Status:
        """LOW, HEALTHY, WARNING or FULL; lower bounds included."""
        used = 100 * self.current
        if used >= 100 * self.maximum:
            return Status.FULL
        if used >= 80 * self.maximum:
            return Status.WARNING
        return Status.HEALTHY if used >= 50 * self.maximum else Status.LOW

    @property
    def can_accept_new(self) -> bool:
        """Whether the next start by a new user would be admitted."""
        return self.open and self.current < self.maximum

    def as_dict(self) -> dict[str, Any]:
        """The six fields of the contract."""
        return {
            "current_bots": self.current,
            "max_bots": self.maximum,
            "percent_used": self.percent_used,
            "available_slots": self.maximum - self.current,
            "status": self.status.value,
            "can_accept_new": self.can_accept_new,
        }


@dataclass(frozen=True, slots=True)
class Box:
    """What the detected RAM counts as: a size counts from 90 % of it on; below 2 GB the RAM itself counts."""

    detected_ram_gb: float

    @property
    def counts_as_gb(self) -> float:
        """2, 4, 8, 16, or the RAM itself below the smallest size."""
        reached = [size.ram_gb for size in VPS_SIZES if self.detected_ram_gb >= 0.9 * size.ram_gb]
        return reached[-1] if reached else self.detected_ram_gb

    @property
    def recommended_max_bots(self) -> int:
        """Bots that such a box carries comfortably. Advice, never a guard."""
        return get_recommended_limit_for_vps(self.counts_as_gb)

    @property
    def price_usd_month(self) -> int | None:
        """US dollars a month for the size; None below the smallest."""
        return next((size.price_usd_month for size in VPS_SIZES if size.ram_gb == self.counts_as_gb), None)
