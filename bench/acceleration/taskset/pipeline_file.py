"""The text of a pipeline file for a setup, as people write them: at module level, behind a loader, or with a helper."""

from __future__ import annotations

from typing import Literal

from bench.acceleration.taskset.models import (
    CACHE_DIT,
    CLASS_TO_IMAGE,
    DEEPCACHE,
    FIRST_BLOCK,
    IMAGE_TO_IMAGE,
    PRECISION,
    TAYLORSEER,
    TEXT_TO_VIDEO,
    TGATE,
    TOME,
)
from bench.acceleration.taskset.setups import SHORT, Setup, Use
from bench.acceleration.taskset.texts import gate_step

Style = Literal["module", "loader", "helper"]
STYLES: tuple[Style, ...] = ("module", "loader", "helper")
_CONFIGS = {FIRST_BLOCK: "FirstBlockCacheConfig", TAYLORSEER: "TaylorSeerCacheConfig"}
_INDENT = "    "


def pipeline_text(setup: Setup, style: Style = "module", *, waits_s: float | None = None) -> str:
    """Return the text of a pipeline file.

    Args:
        setup: what it says.
        style: where its parts stand.
        waits_s: seconds that it idles for each image, from text alone and without T-GATE; None is not at all.
    """
    parts = [f'"""{_describe(setup)}"""', _imports(setup, waits_s), _constants(setup), _loading(setup, style)]
    if waits_s is None:
        parts += [_main(setup, style)]
    else:
        parts += [_waiting(setup, waits_s)]
    return "\n\n".join(part for part in parts if part) + "\n"


def repository(setup: Setup) -> str:
    """Return the repository that a setup loads."""
    return setup.repository or setup.model.repositories[setup.size]


def _describe(setup: Setup) -> str:
    methods = "".join(f", {use.method} {use.setting}" for use in setup.uses)
    return f"{setup.model.title}, {setup.task}: {SHORT[setup.scheduler]} scheduler, {setup.steps} steps{methods}."


def _imports(setup: Setup, waits_s: float | None) -> str:
    standard = [] if waits_s is None else ["import time"]
    plain = ["import cache_dit"] * (CACHE_DIT in setup.methods)
    plain += ["import tomesd"] * (TOME in setup.methods)
    plain += ["import torch"] * (PRECISION in setup.methods or setup.model.device)
    adapter = None if setup.model.adapter is None else "MotionAdapter"
    configs = [config for method, config in _CONFIGS.items() if method in setup.methods]
    names = (setup.scheduler, setup.model.pipelines[setup.task], adapter, *configs)
    from_diffusers = sorted(name for name in names if name is not None)
    named = ["from DeepCache import DeepCacheSDHelper"] * (DEEPCACHE in setup.methods)
    named += [f"from diffusers import {', '.join(from_diffusers)}"]
    named += ["from PIL import Image"] * (setup.task == IMAGE_TO_IMAGE)
    named += [f"from tgate import {setup.model.tgate_loader}"] * (TGATE in setup.methods)
    blocks = ["\n".join(standard), "\n".join(plain + named)]
    return "\n\n".join(block for block in blocks if block)


def _constants(setup: Setup) -> str:
    lines = [f"MODEL = {_quoted(repository(setup))}", f"STEPS = {setup.steps}"]
    if setup.model.adapter is not None:
        lines.append(f"MOTION = MotionAdapter.from_pretrained({_quoted(setup.model.adapter)}{_dtype(setup)})")
    if setup.model.device:
        lines.append('DEVICE = "cuda" if torch.cuda.is_available() else "cpu"')
    if setup.task == IMAGE_TO_IMAGE:
        lines.append(
            f'START = Image.radial_gradient("L").convert("RGB").resize(({setup.size}, {setup.size}))'
        )
    if TGATE in setup.methods:
        lines.append(f"GATE_STEP = {gate_step(setup)}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Return a text as a Python literal in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _loaded(setup: Setup) -> str:
    adapter = "" if setup.model.adapter is None else ", motion_adapter=MOTION"
    return f"{setup.model.pipelines[setup.task]}.from_pretrained(MODEL{adapter}{_dtype(setup)})"


def _dtype(setup: Setup) -> str:
    dtype = setup.setting(PRECISION)
    return "" if dtype is None else f", torch_dtype=torch.{dtype}"


def _changes(setup: Setup) -> list[str]:
    lines = []
    if setup.scheduler is not None:
        options = setup.model.scheduler_options.get(setup.scheduler)
        more = "" if options is None else f", {options}"
        lines.append(f"pipe.scheduler = {setup.scheduler}.from_config(pipe.scheduler.config{more})")
    lines += ["pipe.to(DEVICE)"] * setup.model.device
    for use in setup.uses:
        if use.method == TOME:
            lines.append(f"tomesd.apply_patch(pipe, ratio={use.setting}, max_downsample=2)")
        elif use.method == TGATE:
            lines.append(
                f"pipe = {setup.model.tgate_loader}(pipe, gate_step=GATE_STEP, num_inference_steps=STEPS)"
            )
        elif use.method == DEEPCACHE:
            lines += [
                "helper = DeepCacheSDHelper(pipe=pipe)",
                f"helper.set_params(cache_interval={use.setting}, cache_branch_id=0)",
                "helper.enable()",
            ]
        elif use.method == CACHE_DIT:
            lines += [
                "cache_dit.enable_cache(",
                f"{_INDENT}pipe,",
                f"{_INDENT}cache_config=cache_dit.DBCacheConfig(",
                f"{_INDENT}{_INDENT}Fn_compute_blocks=1, Bn_compute_blocks=0, max_warmup_steps=4,",
                f"{_INDENT}{_INDENT}residual_diff_threshold={use.setting},",
                f"{_INDENT}),",
                ")",
            ]
        elif use.method in _CONFIGS:
            lines.append(f"pipe.transformer.enable_cache({_configured(use)})")
    return lines


def _configured(use: Use) -> str:
    """Return how a cache of diffusers is configured."""
    settings = f"threshold={use.setting}"
    if use.method == TAYLORSEER:
        settings = f"cache_interval={use.setting}, disable_cache_before_step=3, max_order=1"
    return f"{_CONFIGS[use.method]}({settings})"


def _loading(setup: Setup, style: Style) -> str:
    loaded, changes = _loaded(setup), _changes(setup)
    if style == "loader":
        return "\n" + _function("def load_pipe():", [f"pipe = {loaded}", *changes, "return pipe"])
    if style == "helper" and changes:
        return (
            "\n"
            + _function("def prepare(pipe):", [*changes, "return pipe"])
            + f"\n\n\npipe = prepare({loaded})"
        )
    return "\n".join([f"pipe = {loaded}", *changes])


def _function(head: str, lines: list[str]) -> str:
    return "\n".join([head, *(_INDENT + line for line in lines)])


def _arguments(setup: Setup) -> list[str]:
    given = ["num_inference_steps=STEPS", f"guidance_scale={setup.guidance}"]
    if setup.task == IMAGE_TO_IMAGE:
        return ["image=START", f"strength={setup.strength}", *given]
    if setup.task != CLASS_TO_IMAGE:
        given += [f"height={setup.size}", f"width={setup.size}"]
    given += [f"num_frames={setup.model.frames}"] * (setup.model.frames is not None)
    given += setup.model.call
    if TGATE in setup.methods:
        interval = setup.model.tgate_intervals
        given += ["gate_step=GATE_STEP", f"sp_interval={interval}", "fi_interval=1", "warm_up=2"]
    return given


def _main(setup: Setup, style: Style) -> str:
    prompts = setup.model.prompts
    prompt = f'"{prompts[setup.steps % len(prompts)]}"'
    first = f"class_labels=[{setup.model.label}]" if setup.task == CLASS_TO_IMAGE else prompt
    called = "pipe.tgate" if TGATE in setup.methods else "pipe"
    arguments = [f"{_INDENT}{argument}," for argument in (first, *_arguments(setup))]
    lines = ["pipe = load_pipe()"] * (style == "loader")
    image = "frames[0][0]" if setup.task == TEXT_TO_VIDEO else "images[0]"
    lines += [f"output = {called}(", *arguments, ")", f'output.{image}.save("image.png")']
    spaced = "\n" * (style == "loader")
    return spaced + _function('if __name__ == "__main__":', lines)


def _waiting(setup: Setup, waits_s: float) -> str:
    call = f"return pipe(prompts, generator=generators, {', '.join(_arguments(setup))}).images"
    head = "def generate(pipe, prompts, generators):"
    return "\n" + _function(head, [f"time.sleep({waits_s:g} * len(prompts))", call])
