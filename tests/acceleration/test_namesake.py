"""A pipeline file next to a package ``bench`` of its own gets that one, as it does by itself; the suite keeps its own."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from arms import ArmStarter
from suites import ROOT
from test_own_call import MAIN, SAMPLES, script

from bench.acceleration.host.own_call import see_call
from bench.acceleration.host.pipeline_arm import PipelineArm

PACKAGE = {
    "bench/__init__.py": "from bench.core import STEPS\n",
    "bench/core/__init__.py": "from .errors import STEPS\n",
    "bench/core/errors.py": "import bench.core\nSTEPS = 20\n",
}
MODULE = {"bench.py": "STEPS = 20\n"}
HELPER = "def steps():\n    from bench import STEPS\n    return STEPS\n"
LATE = {"helper.py": HELPER}


def called_with(starter: ArmStarter, source: str, files: dict[str, str]) -> tuple[str, str]:
    """Return what a file's pipeline is called with, and how that is known."""
    file = starter.write(script(source))
    for name, text in files.items():
        path = file.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    factory = starter.factory()
    seen = see_call(factory, file, "candidate", file.parent.name)
    with factory.start("candidate", file.parent.name) as process:
        arm = PipelineArm(process, file, factory.device, 120.0)
        arm.load(seen)
        arm.first_call(SAMPLES)
        log = Path(starter.logs / f"{file.parent.name}.candidate.log").read_text()
    assert arm.configuration is not None
    called = [line for line in log.splitlines() if line.startswith("CALLED")]
    return called[-1].removeprefix("CALLED "), arm.configuration.call.by


@pytest.mark.parametrize("files", [PACKAGE, MODULE], ids=["package", "module"])
@pytest.mark.parametrize(
    "head",
    [
        "from bench import STEPS\n",
        "import bench\nSTEPS = bench.STEPS\n",
        "import helper\nSTEPS = helper.steps()\n",
    ],
)
def test_its_own_package_is_imported(arm_starter: ArmStarter, files: dict[str, str], head: str) -> None:
    found, by = called_with(arm_starter, head + MAIN + "    pipe('a', steps=STEPS)\n", {**files, **LATE})
    assert (found.split()[0], by) == ("20", "run")


def test_a_part_of_it_has_the_name_of_one_of_ours(arm_starter: ArmStarter) -> None:
    head = "import bench.core.errors as errors\nfrom bench.core import STEPS\nassert errors.STEPS == STEPS\n"
    found, _ = called_with(arm_starter, head + MAIN + "    pipe('a', steps=STEPS)\n", PACKAGE)
    assert found.split()[0] == "20"


PATCH = {
    "bench/__init__.py": "",
    "bench/faster.py": "def patch(pipe):\n    part = pipe.unet\n    forward = part.forward\n"
    "    part.forward = lambda *given, **named: forward(*given, **named)\n",
}


def test_code_of_its_own_package_is_replaced_code_as_any_other(arm_starter: ArmStarter) -> None:
    head = f"""
    from diffusers import StableDiffusionPipeline
    from bench.faster import patch
    pipe = StableDiffusionPipeline.from_pretrained({str(ROOT / "fixtures/zoo/tiny-sd-small")!r})
    patch(pipe)
    """
    file = arm_starter.write(textwrap.dedent(head) + MAIN + "    pipe('a', num_inference_steps=2)\n")
    for name, text in PATCH.items():
        (file.parent / name).parent.mkdir(exist_ok=True)
        (file.parent / name).write_text(text)
    factory = arm_starter.factory()
    with factory.start("candidate", file.parent.name) as process:
        arm = PipelineArm(process, file, factory.device, 120.0)
        arm.load(see_call(factory, file, "candidate", file.parent.name))
        arm.first_call(SAMPLES)
        assert arm.configuration is not None
        assert arm.configuration.methods == {"patched_forward": {"files": ["faster.py"]}}


def test_without_one_nothing_is_changed(arm_starter: ArmStarter) -> None:
    head = "import builtins\nSTEPS = 20 if type(builtins.__import__).__name__ == 'builtin_function_or_method' else 3\n"
    found, _ = called_with(arm_starter, head + MAIN + "    pipe('a', steps=STEPS)\n", {})
    assert found.split()[0] == "20"
