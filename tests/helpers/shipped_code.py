"""What ships under fixtures/shipped, imported as the run imports it: under its own name, as a user's folder."""

from __future__ import annotations

from pathlib import Path

from bench.run.user_code import import_user_dir

SHIPPED = Path(__file__).resolve().parents[2] / "fixtures/shipped"


def import_shipped() -> None:
    """Import the folder; afterwards ``from shipped.regression import ...`` works."""
    import_user_dir(SHIPPED)
