"""The database, through SQLAlchemy Core: schema, engines, the two kinds of writer, and every read."""
