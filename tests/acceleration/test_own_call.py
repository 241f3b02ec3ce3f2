"""How a pipeline file is called is seen while the file runs as a script, whatever leads to its call."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from arms import SAMPLES, ArmStarter

from bench.acceleration.comparison import differences
from bench.acceleration.host.own_call import SeenCall, see_call
from bench.acceleration.host.pipeline_arm import PipelineArm
from bench.acceleration.protocol.messages import SET, OwnCall, Probed
from bench.core.errors import ArmProblem

# A pipeline without a model that says in its images how it was called.
HEAD = """
import PIL.Image
import torch
from diffusers import DiffusionPipeline


class Painter(DiffusionPipeline):
    def __init__(self, shade=0):
        super().__init__()
        self.register_to_config(shade=shade)

    def __call__(self, prompt=None, steps=50, guidance=7.5, generator=None, prompt_embeds=None, negative_prompt=None,
                 extra=None, output_type="pil", num_images_per_prompt=1):
        assert isinstance(prompt, list) and prompt_embeds is None, "the prompts are the run's"
        state = torch.is_autocast_enabled("cpu"), torch.is_inference_mode_enabled()
        print("CALLED", steps, guidance, negative_prompt, *state)
        return [PIL.Image.new("RGB", (8, 8), (steps, 0, 0)) for _ in prompt]
"""
PIPE = f"{HEAD}\n\npipe = Painter()\n"
MAIN = "\nif __name__ == '__main__':\n"


def script(text: str) -> str:
    return f"{PIPE}{textwrap.dedent(text)}"


def seen_in(
    starter: ArmStarter, source: str, role: str = "candidate", **limits: object
) -> tuple[Path, SeenCall]:
    file = starter.write(source)
    return file, see_call(starter.factory(**limits), file, role, file.parent.name)


def call_in(starter: ArmStarter, source: str, role: str = "candidate") -> OwnCall:
    _, seen = seen_in(starter, source, role)
    assert seen.call is not None, seen.probed.why
    return seen.call


def generated(starter: ArmStarter, source: str, role: str = "candidate") -> tuple[str, PipelineArm]:
    """Return what the pipeline was called with by an arm that calls it as was seen."""
    file, seen = seen_in(starter, source, role)
    factory = starter.factory()
    with factory.start(role, file.parent.name) as process:
        arm = PipelineArm(process, file, factory.device, 120.0)
        arm.load(seen)
        arm.first_call(SAMPLES)
        log = (starter.logs / f"{file.parent.name}.{role}.log").read_text()
    lines = [line for line in log.splitlines() if line.startswith("CALLED")]
    return lines[-1].removeprefix("CALLED "), arm


WAYS = {
    "in the main part": MAIN + "    pipe('a ring', steps=20)",
    "at module level": "\npipe(['a ring'], steps=20)",
    "by position": MAIN + "    pipe('a ring', 20)",
    "in a method": "class App:\n    def draw(self, text):\n        return pipe(text, steps=20)\n" + MAIN
    + "    App().draw('a')",
    "in a coroutine": "import asyncio\nasync def answer(text):\n"
    "    return await asyncio.to_thread(lambda: pipe(text, steps=20))\n" + MAIN + "    asyncio.run(answer('a'))",
    "in a thread": "import threading\n" + MAIN
    + "    thread = threading.Thread(target=lambda: pipe('a', steps=20))\n    thread.start()\n    thread.join()",
    "from a table": "TABLE = {'normal': {'steps': 20}, 'draft': {'steps': 5}}\n" + MAIN
    + "    for name, options in TABLE.items():\n        pipe('a', **options)",
    "through a partial": "from functools import partial\n" + MAIN + "    partial(pipe, steps=20)('a')",
    "by its method": MAIN + "    pipe.__call__('a', steps=20)",
    "from a class of its own": "class Fast(Painter):\n    def __call__(self, prompt, **options):\n"
    "        return super().__call__(prompt, **options)\npipe = Fast()\n" + MAIN + "    pipe('a', steps=20)",
    "after another one": MAIN + "    Painter()('a', steps=40).images[0].save('slow.png')\n    pipe('a', steps=20)",
    "before another one": MAIN + "    pipe('a', steps=20)\n    Painter()('a', steps=40)",
    "in a loop that never ends": MAIN + "    while True:\n        pipe('a', steps=20)",
    "caught by everything": MAIN
    + "    try:\n        pipe('a', steps=20)\n    except BaseException:\n        pipe('a', steps=9)",
    "from an argument's default": "import argparse\n" + MAIN + "    parser = argparse.ArgumentParser()\n"
    "    parser.add_argument('--steps', type=int, default=20)\n    pipe('a', steps=parser.parse_args().steps)",
    "by a function of the same name": "def generate(prompt, steps=20):\n    return pipe(prompt, steps=steps)\n" + MAIN
    + "    generate('a')",
    "with its images asked for in another form": MAIN
    + "    pipe('a', steps=20, output_type='np', num_images_per_prompt=4)",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_whatever_leads_to_the_call_it_is_the_one_that_is_made(arm_starter: ArmStarter, way: str) -> None:
    found, arm = generated(arm_starter, script(WAYS[way]))
    assert found.startswith("20 7.5 None"), found
    assert arm.configuration.call.by == "run"
    assert arm.configuration.call.arguments == {"steps": 20}


def test_a_call_in_a_module_next_to_the_file_is_seen(arm_starter: ArmStarter) -> None:
    file = arm_starter.write(script("from drawing import draw\n" + MAIN + "    draw(pipe, 'draft')\n"))
    (file.parent / "drawing.py").write_text(
        "STEPS = {'draft': 5}\ndef draw(pipeline, kind):\n    return pipeline('a', steps=STEPS[kind])\n"
    )
    seen = see_call(arm_starter.factory(), file, "candidate", "neighbour")
    assert seen.call is not None, seen.probed.why
    assert seen.call.arguments == {"steps": 5}
    assert seen.call.line == file.read_text().splitlines().index("    draw(pipe, 'draft')") + 1


def test_what_load_pipe_made_is_the_files_own_too(arm_starter: ArmStarter) -> None:
    source = (
        HEAD
        + "\ndef load_pipe(shade=3):\n    return Painter(shade)\n"
        + MAIN
        + "    p = load_pipe()\n    p('a', steps=20)\n"
    )
    found, arm = generated(arm_starter, source)
    assert found.startswith("20 ")
    assert arm.configuration.call.by == "run"
    assert call_in(arm_starter, source).known_as == ("load_pipe",)


def test_a_loader_with_arguments_is_left_alone_next_to_a_pipeline(arm_starter: ArmStarter) -> None:
    text = (
        "def load_pipe(where, variant=None):\n    raise AssertionError\n" + MAIN + "    pipe('a', steps=20)\n"
    )
    found, _ = generated(arm_starter, script(text))
    assert found.startswith("20 ")


def test_contexts_around_the_call_are_entered_again(arm_starter: ArmStarter) -> None:
    text = (
        MAIN
        + "    with torch.inference_mode(), torch.autocast('cpu', dtype=torch.bfloat16):\n        pipe('a', steps=20)\n"
    )
    found, arm = generated(arm_starter, script(text))
    assert found == "20 7.5 None True True"
    state = arm.configuration.call.state
    assert (state["autocast.cpu"], state["inference_mode"]) == ("bfloat16", True)
    quiet, _ = generated(arm_starter, script(MAIN + "    pipe('a', steps=20)\n"))
    assert quiet == "20 7.5 None False False"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("'ugly'", "['ugly', 'ugly']"),
        ("['ugly']", "['ugly', 'ugly']"),
        ("['ugly', 'dim', 'odd']", "['ugly', 'dim']"),
    ],
)
def test_a_negative_prompt_of_any_form_stands_next_to_each_prompt(
    arm_starter: ArmStarter, given: str, expected: str
) -> None:
    found, _ = generated(arm_starter, script(MAIN + f"    pipe('a', steps=20, negative_prompt={given})\n"))
    assert found.startswith(f"20 7.5 {expected} ")


def test_arguments_of_any_type_arrive_as_they_are(arm_starter: ArmStarter) -> None:
    text = """
        class Options:
            def __init__(self, steps):
                self.steps = steps

            def __repr__(self):
                return f"Options({self.steps})"


        if __name__ == "__main__":
            pipe("a", steps=20, extra={"tensor": torch.ones(2), "own": Options(3), "pair": (1, 2.5)})
        """
    found, arm = generated(arm_starter, script(text))
    assert found.startswith("20 ")
    assert arm.configuration.call.arguments["extra"]["own"] == "Options(3)"


def test_what_only_exists_in_the_script_is_taken_from_the_text_or_refused(arm_starter: ArmStarter) -> None:
    known = "HOOK = lambda step: step\n" + MAIN + "    pipe('a', steps=20, extra=HOOK)\n"
    found, _ = generated(arm_starter, script(known))
    assert found.startswith("20 ")
    hidden = (
        "def draw(hook):\n    pipe('a', **{'steps': 20, 'extra': hook})\n"
        + MAIN
        + "    draw(lambda step: step)\n"
    )
    with pytest.raises(
        ArmProblem, match=r"the argument `extra` of the generating call is a function that only exists there"
    ):
        generated(arm_starter, script(hidden))


ENDS = {
    "nothing": ("", "it ran to its end"),
    "an option that is missing": (
        "import argparse\n" + MAIN + "    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('--prompt', required=True)\n    parser.parse_args()\n    pipe('a', steps=20)",
        "it ended by itself with exit code 2",
    ),
    "an error": (MAIN + "    1 / 0\n    pipe('a', steps=20)", "line 23: ZeroDivisionError: division by zero"),
    "another pipeline alone": (
        MAIN + "    other = Painter()\n    other('a', steps=20)",
        "it ran to its end; it generated with another pipeline than `pipe` (Painter in line 24)",
    ),
    "an abrupt end": ("import os\n" + MAIN + "    os._exit(3)", "exit code 3"),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_why_no_call_was_seen_is_said(arm_starter: ArmStarter, end: str) -> None:
    text, why = ENDS[end]
    _, seen = seen_in(arm_starter, script(text))
    assert seen.call is None
    assert why in seen.probed.why


def test_a_script_that_does_not_end_is_ended(arm_starter: ArmStarter) -> None:
    _, seen = seen_in(
        arm_starter, script("import time\n" + MAIN + "    time.sleep(600)\n"), load_timeout_s=2.0
    )
    assert seen.call is None
    assert "2 s" in seen.probed.why


def test_its_text_says_how_where_the_script_does_not(arm_starter: ArmStarter) -> None:
    found, arm = generated(arm_starter, script(ENDS["an option that is missing"][0]))
    assert found.startswith("20 ")
    call = arm.configuration.call
    assert (call.by, call.why) == ("text", "it ended by itself with exit code 2")


def test_a_generate_of_its_own_needs_no_script(arm_starter: ArmStarter) -> None:
    source = script(
        "raise_if_run = __name__\ndef generate(pipe, texts, generators):\n    return pipe(texts, steps=20)\n"
    )
    _, seen = seen_in(arm_starter, source)
    assert seen == SeenCall()
    found, arm = generated(arm_starter, source)
    assert found.startswith("20 ")
    assert (arm.configuration.call.by, arm.configuration.entry_point) == ("generate", "generate")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            "    pipe = torch.nn.Module and type('Other', (Painter,), {'__call__': Painter.__call__})()\n",
            "the class is Other, and Painter when",
        ),
        ("    pipe.scheduler = DDIMScheduler()\n", "the scheduler is DDIMScheduler, and None when"),
    ],
)
def test_a_pipeline_that_the_main_part_changes_is_refused(
    arm_starter: ArmStarter, change: str, named: str
) -> None:
    text = "from diffusers import DDIMScheduler\n" + MAIN + change + "    pipe('a', steps=20)\n"
    with pytest.raises(ArmProblem, match=named) as caught:
        generated(arm_starter, script(text))
    assert "move what changes it to module level or into load_pipe()" in str(caught.value)


SETS = "pipe.scheduler.init_noise_sigma = 0.5\n"
SCHEDULED = "from diffusers import DDIMScheduler\npipe.scheduler = DDIMScheduler()\n"


def test_what_is_set_on_a_scheduler_counts_where_the_file_is_loaded_and_is_refused_in_its_main_part(
    arm_starter: ArmStarter,
) -> None:
    call = MAIN + "    pipe('a', steps=20)\n"
    _, arm = generated(arm_starter, script(SCHEDULED + SETS + call))
    _, plain = generated(arm_starter, script(SCHEDULED + "pipe.scheduler.set_timesteps(7)\n" + call))
    found = {
        entry.field: (entry.target, entry.candidate)
        for entry in differences(plain.configuration, arm.configuration)
    }
    assert found == {"scheduler.init_noise_sigma": (1.0, 0.5)}
    assert SET not in plain.configuration.scheduler
    with pytest.raises(
        ArmProblem, match="the scheduler's init_noise_sigma is set, and not when the file is loaded"
    ):
        generated(arm_starter, script(SCHEDULED + MAIN + f"    {SETS}" + "    pipe('a', steps=20)\n"))


def test_a_class_that_hands_everything_on_is_called_as_it_is_and_known_by_what_it_hands_on(
    arm_starter: ArmStarter,
) -> None:
    text = "class Fast(Painter):\n    def __call__(self, *args, **options):\n"
    text += "        return super().__call__(*args, **options)\n"
    found, arm = generated(
        arm_starter, script(text + "pipe = Fast()\n" + MAIN + "    pipe('a', 20, guidance=0)\n")
    )
    assert found.startswith("20 0 None")
    assert {name: arm.configuration.arguments[name] for name in ("steps", "guidance")} == {
        "steps": 20,
        "guidance": 0,
    }


def test_what_a_class_changes_on_the_way_is_what_counts(arm_starter: ArmStarter) -> None:
    text = "class Fast(Painter):\n    def __call__(self, prompt, **options):\n"
    text += "        return super().__call__(prompt, **{**options, 'guidance': 0})\npipe = Fast()\n"
    found, arm = generated(arm_starter, script(text + MAIN + "    pipe('a', steps=20)\n"))
    assert found.startswith("20 0 None")
    assert arm.configuration.arguments["guidance"] == 0


@pytest.mark.parametrize("text", ["", "from drawing import generate\n"])
def test_a_file_that_makes_no_call_is_refused_where_no_target_says_how(
    arm_starter: ArmStarter, text: str
) -> None:
    file = arm_starter.write(script(text))
    (file.parent / "drawing.py").write_text("def generate(prompt, steps=20):\n    raise AssertionError\n")
    factory = arm_starter.factory()
    seen = see_call(factory, file, "candidate", "silent")
    with factory.start("candidate", "silent") as process:
        arm = PipelineArm(process, file, factory.device, 120.0)
        with pytest.raises(
            ArmProblem, match=r"makes no call that generates \(it ran to its end\); expected one"
        ):
            arm.load(seen)


def test_what_has_no_name_is_refused(arm_starter: ArmStarter) -> None:
    text = "class Odd(Painter):\n    def __call__(self, prompt, *rest):\n        return super().__call__(prompt, *rest)\n"
    with pytest.raises(ArmProblem, match="more arguments by position than its entry point has names for"):
        generated(arm_starter, script(text + "pipe = Odd()\n" + MAIN + "    pipe('a', 20)\n"))


def test_another_pipeline_that_does_the_generating_is_refused(arm_starter: ArmStarter) -> None:
    with pytest.raises(
        ArmProblem, match=r"generates with another pipeline than `pipe` \(Painter in line 24\)"
    ) as caught:
        generated(arm_starter, script(ENDS["another pipeline alone"][0]))
    assert "assign the one that generates to `pipe`" in str(caught.value)


def test_a_seen_call_survives_the_cache() -> None:
    seen = SeenCall(Probed(call=OwnCall(arguments={"steps": 3}, state={"grad": False}, line=4)), b"\x00\xff")
    assert SeenCall.from_json(seen.to_json()) == seen
