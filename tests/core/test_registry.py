"""The registry: a name is taken once, its place is known, and an unknown one lists what is near."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.registry import Registry


def test_a_name_taken_twice_is_refused_with_both_places() -> None:
    registry: Registry = Registry("metric")
    registry.register("ssim")(lambda: 1)
    with pytest.raises(
        ValueError,
        match=r"metric 'ssim' is registered twice: in .*test_registry\.py:\d+ and in .*test_registry\.py:\d+",
    ):
        registry.register("ssim")(lambda: 2)
    assert registry["ssim"]() == 1


def test_what_is_no_function_has_a_place_too() -> None:
    registry: Registry = Registry("model")
    registry.add("tiny", {"path": "x"})
    assert Path(registry.place("tiny").file) == Path(__file__)
    with pytest.raises(ValueError, match=r"model 'tiny' is registered twice: in .*test_registry\.py:\d+"):
        registry.add("tiny", {})


def test_an_unknown_name_lists_the_nearest_and_what_to_do() -> None:
    registry: Registry = Registry("metric", hint="register it in a file of --user-dir")
    registry.register("psnr_db")(lambda: 1)
    with pytest.raises(KeyError, match="no metric is named 'psnr'; nearest: psnr_db; register it in a file"):
        registry["psnr"]
    with pytest.raises(KeyError, match="'psnr'"):
        registry.place("psnr")


def test_names_keep_the_order_of_their_registration_and_say_whose_they_are(tmp_path) -> None:
    registry: Registry = Registry("metric")
    for name in ("b", "a", "c"):
        registry.add(name, name)
    assert list(registry) == ["b", "a", "c"]
    assert registry.below([Path(__file__).parent]) == ["b", "a", "c"]
    assert registry.below([tmp_path]) == []
