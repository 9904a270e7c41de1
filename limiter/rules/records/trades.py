"""A trade, which counts against its user's limit of trades a day."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trade:
    """A counted trade. `quantity` and `price` are the exact text that was sent."""

    trade_id: str
    user_id: str
    number: int
    symbol: str
    side: str
    quantity: str
    price: str
    closes: bool
    at: int
    day: str
