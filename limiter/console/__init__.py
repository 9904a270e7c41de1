"""The console: sign-in, frame, words, charts. Pages are in `pages/`; a page reads the database and asks the API."""
