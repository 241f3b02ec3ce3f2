"""Pipeline files run, and are called as they call themselves, with the suite's prompts and seeds."""

import sys
import textwrap

import numpy as np
import pytest

from bench.acceleration.arm.loading import MODULE_NAME, load
from bench.acceleration.detectors.attention import tgate_defaults
from bench.core.errors import SourceProblem

PROMPTS, SEEDS = ["a red circle", "a blue ring"], [11, 12]


@pytest.fixture
def loads(model, tmp_path, monkeypatch):
    """Write a pipeline file that begins with a loaded ``base`` pipeline, and load it as an arm does."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    yield lambda text, prefer="pipe", head="", device="cpu": load(
        write(tmp_path / "candidate.py", f"{head}\n{HEAD.format(model=str(model))}\n{textwrap.dedent(text)}"),
        prefer=prefer,
        device=device,
    )
    sys.modules.pop(MODULE_NAME, None)


HEAD = """
from diffusers import DiffusionPipeline, StableDiffusionPipeline

class Bare(DiffusionPipeline):
    def __init__(self):
        super().__init__()
        self.register_to_config()  # its parts: none

    def __call__(self, prompt): ...

def fresh():
    return StableDiffusionPipeline.from_pretrained({model!r})
"""


def write(path, text):
    path.write_text(text)
    return str(path)


class Call:
    """Stands in for a pipeline's entry point, and keeps what it is called with."""

    def __init__(self):
        self.arguments = None

    def __call__(self, *positional, **keywords):
        self.arguments = (positional, keywords)
        return ["image"] * 2


def called_with(loaded, attribute="spy"):
    """Call a loaded pipeline whose entry point is replaced; return the arguments but the generators."""
    spy = Call()
    loaded.entry = attribute
    setattr(loaded.pipe, attribute, spy)
    assert loaded.generate(PROMPTS, SEEDS) == ["image", "image"]
    positional, keywords = spy.arguments
    assert [generator.initial_seed() for generator in keywords.pop("generator")] == SEEDS
    return positional, keywords


# Which pipeline


BOTH = """
pipe = Bare()
pipe.mark = "pipe"

def load_pipe():
    made = Bare()
    made.mark = "load_pipe"
    return made
"""


@pytest.mark.parametrize("prefer", ["pipe", "load_pipe"])
def test_of_two_pipelines_the_preferred_one_is_used(loads, prefer):
    assert loads(BOTH, prefer).pipe.mark == prefer


@pytest.mark.parametrize("prefer", ["pipe", "load_pipe"])
def test_one_alone_is_used_whatever_is_preferred(loads, prefer):
    assert loads("pipe = Bare()", prefer).pipe
    assert loads("def load_pipe():\n    return Bare()", prefer).pipe
    assert loads("load_pipe = 'no function'\npipe = Bare()", prefer).pipe


@pytest.mark.parametrize(("prefer", "said"), [("pipe", "OnePipeline"), ("load_pipe", "OtherPipeline")])
def test_reading_of_the_text_describes_the_pipeline_that_is_used(loads, prefer, said):
    text = """
        class OnePipeline(Bare):
            @classmethod
            def from_pretrained(cls, name):
                return cls()

        class OtherPipeline(OnePipeline): ...

        pipe = OnePipeline.from_pretrained("a")

        def load_pipe():
            return OtherPipeline.from_pretrained("b")
        """
    loaded = loads(text, prefer)
    assert loaded.source.pipeline_class == type(loaded.pipe).__name__ == said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("other = Bare()", r"defines neither `pipe` nor `load_pipe\(\)`; assign the pipeline to `pipe`"),
        ("pipe = None", r"`pipe` is None, but a diffusers pipeline was expected; assign or return"),
        ("def load_pipe():\n    Bare()", r"`load_pipe\(\)` is None, but a diffusers pipeline was expected"),
        ("pipe = lambda: Bare()", r"`pipe` is a builtins\.function, but a diffusers pipeline"),
        ("pipe = fresh().unet", r"`pipe` is a diffusers\..*\.UNet2DConditionModel, but a diffusers pipeline"),
        ("load_pipe = None", r"defines neither"),
    ],
)
def test_file_without_a_pipeline_is_refused_by_name(loads, text, message):
    with pytest.raises(SourceProblem, match=rf"candidate\.py.*{message}"):
        loads(text)


def test_error_of_the_file_itself_is_not_dressed_up(loads):
    with pytest.raises(ZeroDivisionError):
        loads("pipe = 1 / 0")


# How the file is run


def test_file_is_a_module_of_its_own_and_no_script(loads):
    loaded = loads(
        """
        import sys
        from dataclasses import dataclass

        @dataclass
        class Options:
            steps: int = 3

        pipe = Bare()
        pipe.seen = (__name__, __file__, sys.modules[__name__].Options is Options)
        if __name__ == "__main__":
            raise SystemExit("this is for the author alone")
        """
    )
    name, file, found = loaded.pipe.seen
    assert name == MODULE_NAME
    assert file.endswith("candidate.py")
    assert found


@pytest.mark.parametrize(("head", "kind"), [("", type), ("from __future__ import annotations", str)])
def test_annotations_are_evaluated_as_the_file_itself_says(loads, head, kind):
    loaded = loads("def f(x: int): ...\npipe = Bare()\npipe.seen = f.__annotations__['x']", head=head)
    assert type(loaded.pipe.seen) is kind


def test_neighbours_of_the_file_can_be_imported(loads, tmp_path):
    (tmp_path / "steps_of_candidate.py").write_text("STEPS = 3")
    loaded = loads("from steps_of_candidate import STEPS\npipe = Bare()\npipe.seen = STEPS")
    assert loaded.pipe.seen == 3


# How it is called


@pytest.mark.parametrize(
    ("text", "entry", "positional", "keywords"),
    [
        ("", "__call__", (PROMPTS,), {}),
        (
            "pipe('x', num_inference_steps=STEPS)",
            "__call__",
            (),
            {"prompt": PROMPTS, "num_inference_steps": 3},
        ),
        ("pipe('x', 32, 32, guidance_scale=2 * 1.5)", "__call__", (PROMPTS, 32, 32), {"guidance_scale": 3.0}),
        ("pipe(prompt='x', eta=0.5)", "__call__", (), {"prompt": PROMPTS, "eta": 0.5}),
        ("pipe(STEPS, prompt='x')", "__call__", (3,), {"prompt": PROMPTS}),
        ("pipe('x', **OPTIONS)", "__call__", (), {"prompt": PROMPTS, "num_inference_steps": 3}),
        ("pipe(**OPTIONS, prompt='x')", "__call__", (), {"num_inference_steps": 3, "prompt": PROMPTS}),
        ("pipe(**{'prompt': 'x', 'eta': 1})", "__call__", (), {"prompt": PROMPTS, "eta": 1}),
        (
            "pipe('x', negative_prompt='y')",
            "__call__",
            (),
            {"prompt": PROMPTS, "negative_prompt": ["y", "y"]},
        ),
        ("pipe.sample('x', eta=1)", "sample", (PROMPTS,), {"eta": 1}),
    ],
)
def test_entry_point_is_the_files_own_call_with_its_arguments(loads, text, entry, positional, keywords):
    call = f"if __name__ == '__main__':\n    {text}" if text else ""
    loaded = loads(
        f"STEPS = 3\nOPTIONS = {{'num_inference_steps': STEPS}}\npipe = Bare()\npipe.sample = 1\n{call}"
    )
    assert loaded.entry == entry
    assert called_with(loaded) == (positional, keywords)


def test_arguments_that_the_suite_replaces_are_neither_kept_nor_evaluated(loads):
    loaded = loads(
        """
        pipe = Bare()
        if __name__ == "__main__":
            pipe(prompt=absent, generator=absent, output_type="latent", num_images_per_prompt=4,
                 return_dict=False, latents=absent, eta=1.0)
        """
    )
    assert called_with(loaded) == ((), {"prompt": PROMPTS, "eta": 1.0})


@pytest.mark.parametrize(
    "call", ["pipe('x', eta=absent + 1)", "pipe('x', absent + 1)", "pipe('x', **absent)"]
)
def test_argument_with_an_undefined_name_is_refused_with_its_line(loads, call):
    with pytest.raises(
        SourceProblem, match=r"candidate\.py, line \d+: the argument `absent.*NameError.*module level"
    ):
        loads(f"pipe = Bare()\nif __name__ == '__main__':\n    {call}")


def test_entry_point_that_the_pipeline_lacks_is_refused_with_its_line(loads):
    with pytest.raises(
        SourceProblem, match=r"line \d+: calls pipe\.tgate\(\.\.\.\), which the pipeline does not have"
    ):
        loads("pipe = Bare()\nif __name__ == '__main__':\n    pipe.tgate('x')")


def test_own_generate_gets_pipeline_prompts_and_generators(loads):
    loaded = loads(
        """
        pipe = Bare()

        def generate(pipe, prompts, generators):
            pipe.seen = (prompts, [generator.initial_seed() for generator in generators])
            return (prompt.upper() for prompt in prompts)
        """
    )
    assert loaded.entry == "generate"
    assert loaded.generate(PROMPTS, SEEDS) == ["A RED CIRCLE", "A BLUE RING"]
    assert loaded.pipe.seen == (PROMPTS, SEEDS)


# What it generates


def pixels(loaded, prompts=PROMPTS, seeds=SEEDS):
    return [np.asarray(image) for image in loaded.generate(list(prompts), list(seeds))]


def test_image_depends_on_its_prompt_and_seed_alone(loads):
    loaded = loads(
        "pipe = fresh()\nif __name__ == '__main__':\n    pipe('x', num_inference_steps=3, eta=0.5)"
    )
    both, alone = pixels(loaded), pixels(loaded, PROMPTS[1:], SEEDS[1:])
    assert [image.shape for image in both] == [(32, 32, 3)] * 2
    np.testing.assert_allclose(alone[0].astype(int), both[1].astype(int), atol=1)
    np.testing.assert_array_equal(pixels(loaded), both)
    assert (pixels(loaded, PROMPTS, [11, 99])[1] != both[1]).any()


def test_tgate_is_called_where_the_file_calls_it(loads):
    loaded = loads(
        """
        from tgate import TgateSDLoader
        pipe = TgateSDLoader(fresh(), gate_step=1, num_inference_steps=3)
        if __name__ == "__main__":
            pipe.tgate("x", gate_step=1, sp_interval=1, fi_interval=1, warm_up=1, num_inference_steps=3)
        """
    )
    assert (loaded.entry, loaded.arguments["gate_step"]) == ("tgate", 1)
    assert len(pixels(loaded)) == 2
    assert tgate_defaults(loaded.pipe.tgate) == {
        "gate_step": 10,
        "sp_interval": 5,
        "fi_interval": 1,
        "warm_up": 2,
    }


@pytest.mark.parametrize("result", ["None", "'image.png'", "b'png'"])
def test_result_without_images_is_refused(loads, result):
    loaded = loads(
        f"pipe = fresh()\npipe.sample = lambda *a, **k: {result}\nif __name__ == '__main__':\n    pipe.sample('x')"
    )
    with pytest.raises(SourceProblem, match=r"without images.*return pipe"):
        loaded.generate(PROMPTS, SEEDS)


@pytest.mark.parametrize(("offloaded", "expected"), [(False, "meta"), (True, "cpu")])
def test_pipeline_is_moved_unless_an_offloading_hook_places_its_parts(loads, offloaded, expected):
    hook = "pipe.unet._hf_hook = object()" if offloaded else ""
    loaded = loads(f"pipe = fresh()\n{hook}", device="meta")
    assert loaded.pipe.unet.device.type == expected


def test_pipeline_shows_no_progress_bar(loads):
    assert loads("pipe = Bare()").pipe._progress_bar_config == {"disable": True}
