"""Flask-SQLAlchemy on SQLite: count, compare, insert. Nothing between the count and the insert keeps others out."""

import os
import secrets
import time

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app)
CAP = int(os.environ["MAX_CONCURRENT_BOTS"])


class Bot(db.Model):
    """A running bot."""

    id = db.Column(db.Integer, primary_key=True)
    session_id = db.Column(db.String(40), unique=True, nullable=False)
    user_id = db.Column(db.String(64), index=True, nullable=False)
    bot_id = db.Column(db.String(64), nullable=False)
    started_at = db.Column(db.Float, nullable=False)


with app.app_context():
    db.create_all()


@app.post("/api/bots/start")
def start() -> ResponseReturnValue:
    """Take a slot."""
    body = request.get_json()
    if Bot.query.filter_by(user_id=body["user_id"]).count() >= 1:
        return jsonify(success=False, reason="user_limit"), 429
    if Bot.query.count() >= CAP:
        return jsonify(success=False, reason="server_full"), 503
    bot = Bot(
        session_id=secrets.token_urlsafe(18), user_id=body["user_id"], bot_id=body.get("bot_id") or "b",
        started_at=time.time(),
    )  # fmt: skip
    db.session.add(bot)
    db.session.commit()
    return jsonify(success=True, session_id=bot.session_id, user_id=bot.user_id, bot_id=bot.bot_id), 201
