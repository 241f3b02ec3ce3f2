"""benchmarks/power.py: which corruptions of images the gates see, and from which strength on."""

import random
import re

import numpy as np
import pytest
from suites import MODEL


@pytest.mark.slow
def test_it_prints_the_share_of_trials_that_are_rejected(scripts, monkeypatch, capsys):
    import power

    monkeypatch.setattr(power, "MODEL", MODEL)
    monkeypatch.setattr(power, "STEPS", 4)
    monkeypatch.setattr(
        "sys.argv",
        ["power.py", "--prompts", "10", "--samples", "8", "--trials", "2", "--null-pairs", "4",
         "--only", "black frame"],
    )  # fmt: skip
    power.main()
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert re.match(r"\d+ images in \d+ s; rejected, in percent of trials", lines[0])
    assert lines[1].startswith("black frame           baseline")
    assert lines[2].startswith("black frame           target")
    # A frame of a quarter of the side is seen by both.
    assert "0.25 of side: 100 [34, 100]" in lines[1]
    assert "0.25 of side: 100 [34, 100]   from" in lines[2]
    assert "null pairs rejected: against the baseline 0 " in printed
    assert printed.count("which makes other images: rejected against the baseline") == 3


def images(count=12):
    rng = np.random.default_rng(0)
    plain = rng.integers(60, 200, (count, 1, 1, 3)) + rng.normal(0, 8, (count, 32, 32, 3))
    plain[:, 8:20, 10:24] += 50
    return [image.round().clip(0, 255).astype(np.uint8) for image in plain]


@pytest.fixture
def pool():
    base = images()
    others = {f"guidance {level}": images()[::-1] for level in range(4)}
    return {"base": base, "one seed": base[::-1], **others}


def test_every_corruption_is_stronger_with_each_strength(scripts, pool):
    from corruptions import CORRUPTIONS, STRENGTHS

    chosen = list(range(8))
    assert len(CORRUPTIONS) == 12
    for corruption in CORRUPTIONS:
        assert len(corruption.strengths) == STRENGTHS
        sizes = []
        for level in range(STRENGTHS):
            made = corruption.apply(pool, level, chosen, random.Random(0))
            assert len(made) == len(chosen)
            assert all(image.shape == (32, 32, 3) and image.dtype == np.uint8 for image in made)
            changed = [
                abs(image.astype(int) - pool["base"][index]).mean()
                for image, index in zip(made, chosen, strict=True)
            ]
            sizes.append(np.mean(changed))
        assert sizes[-1] > 0, corruption.name
        if corruption.name != "guidance dropped late":  # whose images come with the pool
            assert sizes == sorted(sizes), corruption.name


def test_shares_are_replaced_as_they_say(scripts, pool):
    from corruptions import CORRUPTIONS

    chosen = list(range(8))
    for corruption in CORRUPTIONS:
        if corruption.strengths[0] == "25 %" and corruption.name != "guidance dropped late":
            made = corruption.apply(pool, 1, chosen, random.Random(0))
            kept = sum(
                (image == pool["base"][index]).all() for image, index in zip(made, chosen, strict=True)
            )
            assert kept == 4, corruption.name


def test_a_strength_counts_from_where_all_stronger_ones_are_caught(scripts, capsys):
    from power import Share, print_corruption

    def shares(*rejected):
        return [(Share(count, 20), Share(20, 20)) for count in rejected]

    print_corruption("blur", ("a", "b", "c", "d"), shares(20, 5, 19, 20))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("from c")
    assert second.endswith("from a")
    print_corruption("blur", ("a", "b", "c", "d"), shares(20, 20, 20, 18))
    assert capsys.readouterr().out.splitlines()[0].endswith("from -")
