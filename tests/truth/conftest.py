"""Pages are opened as tests/pages opens them."""

from tests.pages.conftest import open_page, own_main  # noqa: F401 - fixtures
