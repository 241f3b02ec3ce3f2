"""Where the encoder is that all of these tasks start from."""

from pathlib import Path

import bench

TINY_ENCODER = str(Path(bench.__file__).parents[1] / "fixtures/zoo/tiny-encoder")
