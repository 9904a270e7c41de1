"""How the API travels: connections and bytes, strict JSON, one path for every request, what a handler sees of it."""
