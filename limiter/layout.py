"""Where the program's own files lie: beside this package in a checkout, within it where it was installed."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = PACKAGE / "console_app"  # console.py, pages/ and .streamlit/, put there by pyproject.toml
CONSOLE = (INSTALLED if INSTALLED.exists() else PACKAGE.parent) / "console.py"
"""The script that launches the console; Streamlit finds its pages and settings beside it."""
