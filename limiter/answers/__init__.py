"""The bodies that come in and the answers that go out, as types, by resource.

The API decodes bodies strictly and encodes answers with them, OpenAPI derives from them, and `client.Admin` decodes
answers into them. A field that a type does not know is passed over, so that an older client reads a newer limiter;
instants are RFC 3339 texts in UTC, durations seconds, an unset limit None.
"""
