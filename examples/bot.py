"""A bot with threads. Usage: python examples/bot.py [user] [seconds]"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, so that `limiter` is found

from limiter.client import BotSession, Refused

user = sys.argv[1] if len(sys.argv) > 1 else "alice"
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10

try:
    with BotSession(user_id=user, bot_id="scalper", wait_seconds=5) as bot:
        print(f"running as {bot.public_id}, {bot.capacity['available_slots']} slots left")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if bot.lost.wait(1.0):  # the slot is gone: stop trading now
                sys.exit(f"stopped: {bot.lost_because}")
            try:
                bot.signal()
                trade = bot.trade(symbol="BTC/USDT", side="buy", quantity="0.01", price="64000")
                print(f"traded, {trade['trades_left']} trades left today")
            except Refused as refused:  # a limit of the day or of the minute: the bot keeps its slot
                print(refused)
except Refused as refused:
    sys.exit(str(refused))
