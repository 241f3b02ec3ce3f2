"""A place for runs next to other plugins."""

import other_plugins
import pytest


@pytest.fixture
def place(tmp_path):
    return other_plugins.Place(tmp_path)
