"""The database, through SQLAlchemy Core: schema, engines, the one writer, and every read."""
