"""The HTTP API: routes declared once, strict JSON in, JSON and problem+json out."""
