"""A call that only warms up is not the one with which a file generates."""

from __future__ import annotations

import pytest
from arms import ArmStarter
from test_own_call import HEAD, MAIN, generated, script

WAYS = {
    "in front": MAIN + "    _ = pipe('a', steps=1)\n    image = pipe('a', steps=20).images[0]",
    "a part of it": MAIN + "    _ = pipe('a', steps=1).images[0]\n    image = pipe('a', steps=20).images[0]",
    "several times": MAIN + "    for _ in range(3):\n        pipe('a', steps=2, output_type='latent')\n"
    "    pipe('a', steps=20).images[0].save('a.png')",
    "in a function": "def warm_up():\n    with torch.no_grad():\n        pipe('a', steps=1)\n" + MAIN
    + "    warm_up()\n    print(pipe('a', steps=20))",
    "through a function": "@torch.no_grad()\ndef draw(steps):\n    return pipe('a', steps=steps).images\n" + MAIN
    + "    draw(20)\n    for image in draw(20):\n        image.save('a.png')",
    "through a lambda": "draw = lambda steps: pipe('a', steps=steps)\n" + MAIN + "    draw(1)\n    image = draw(20)",
    "with an error behind it": MAIN + "    pipe('a', steps=20)\n    1 / 0",
    "with an end behind it": MAIN + "    pipe('a', steps=20)\n    raise SystemExit",
    "alone": MAIN + "    pipe('a', steps=20)\n    pipe('b', steps=1)",
    "with another pipeline behind it": MAIN + "    pipe('a', steps=20)\n    image = Painter()('a', steps=40).images[0]",
    "without an end": MAIN + "    while True:\n        pipe('a', steps=20)",
    "with a wait behind it": "import time\n" + MAIN + "    pipe('a', steps=20)\n    time.sleep(1000)",
    "in front of one that is thrown away too": MAIN + "    _ = pipe('a', steps=1)\n    pipe('a', steps=20)",
    "in a process of its own": "import multiprocessing\n" + MAIN
    + "    multiprocessing.set_start_method('fork', force=True)\n"
    "    one = multiprocessing.Process(target=lambda: [pipe('a', steps=20), None][1])\n    one.start()\n    one.join()",
    "in code that is in no file": MAIN + "    exec(\"pipe('a', steps=20)\")\n    image = pipe('a', steps=1)",
    "in a method of its own": "class Own(Painter):\n    def warm_up(self):\n        self('a', steps=1)\n"
    "    def draw(self, text, steps=20):\n        return self(text, steps=steps).images\npipe = Own()\n" + MAIN
    + "    pipe.warm_up()\n    pipe.draw('a')[0].save('a.png')",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_call_whose_result_is_used_is_the_one_that_counts(arm_starter: ArmStarter, way: str) -> None:
    found, arm = generated(arm_starter, script(WAYS[way]))
    assert found.startswith("20 "), found
    assert arm.configuration.call.by == "run"


LOADERS = {
    "a lambda": HEAD + "\nload_pipe = lambda: Painter()\n",
    "bound beforehand": HEAD
    + "from functools import partial\ndef make(shade):\n    return Painter(shade)\nload_pipe = partial(make, 3)\n",
    "kept": HEAD + "from functools import cache\n@cache\ndef load_pipe():\n    return Painter()\n",
    "of another module": "from painting import load_pipe\n",
}


@pytest.mark.parametrize("loader", LOADERS)
def test_a_loader_of_any_kind_is_known(arm_starter: ArmStarter, loader: str) -> None:
    source = LOADERS[loader] + MAIN + "    image = load_pipe()('a', steps=20).images[0]\n"
    file = arm_starter.write(source)
    (file.parent / "painting.py").write_text(HEAD + "\ndef load_pipe():\n    return Painter()\n")
    from bench.acceleration.host.own_call import see_call

    seen = see_call(arm_starter.factory(), file, "candidate", "loader")
    assert seen.call is not None, seen.probed
    assert seen.call.known_as == ("load_pipe",)


def test_what_takes_no_generators_is_left_aside_like_a_function(arm_starter: ArmStarter) -> None:
    text = "class Studio:\n    def __init__(self, pipe):\n        self.pipe = pipe\n"
    text += "    def __call__(self, text, steps=20):\n        return self.pipe(text, steps=steps).images\n"
    found, arm = generated(
        arm_starter, script(text + "pipe = Studio(pipe)\n" + MAIN + "    pipe('a')[0].save('a.png')\n")
    )
    assert found.startswith("20 ")
    assert arm.configuration.call.arguments == {"steps": 20}
