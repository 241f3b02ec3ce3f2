"""Marks of optional packages and replaced code are found; and the registry of detectors."""

import contextlib
import functools
import inspect
import math
import subprocess
import sys
import types
from pathlib import Path

import pytest
from tiny_pipeline import loaded, methods

from bench.acceleration.arm.detection import describe
from bench.acceleration.detectors.hooks import HOOKS
from bench.acceleration.detectors.shipped import METHODS
from bench.acceleration.methods import acceleration_method
from bench.acceleration.protocol.messages import json_value
from bench.acceleration.source.reading import read_source
from bench.core.errors import SourceProblem


def test_pipeline_without_scheduler_or_origin_says_null(transformer_pipe):
    found = describe(loaded(transformer_pipe))
    assert found.scheduler_class is None
    assert found.model_id is None


# Marks that packages leave which are not installed everywhere


class XFormersAttnProcessor:
    """Stands for the one of diffusers, which needs xformers."""


def test_marks_of_optional_packages_are_read(pipe, transformer_pipe):
    pipe.unet.mid_block.attentions[0].transformer_blocks[0].attn1.processor = XFormersAttnProcessor()
    pipe.unet._hf_peft_config_loaded = True
    assert methods(pipe) == {"xformers": {}, "lora": {"unet": [], "names": []}}  # no adapter is active
    transformer_pipe.transformer._is_cached = True
    assert methods(transformer_pipe) == {"para_attn": {}}
    transformer_pipe._context_manager, transformer_pipe._context_kwargs = (
        object(),
        {"Fn": 8, "limit": math.inf},
    )
    assert methods(transformer_pipe) == {"cache_dit": {"Fn": 8, "limit": "inf"}}


# What no detector knows


def replaced(forward):
    def call(*args, **kwargs):
        return forward(*args, **kwargs)

    return call


def wrapped(forward):
    return functools.wraps(forward)(replaced(forward))


def partial(forward):
    return functools.partial(replaced(forward))


def decorated(forward):
    import torch

    return torch.no_grad()(replaced(forward))


class Callable:
    def __init__(self, forward):
        self.forward = forward

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)


@pytest.mark.parametrize(
    "patch", [replaced, wrapped, partial, decorated, Callable], ids=lambda patch: patch.__name__
)
def test_forward_from_elsewhere_is_noticed_however_it_is_dressed(pipe, patch):
    block = pipe.unet.mid_block
    block.forward = patch(block.forward)
    assert methods(pipe) == {"patched_forward": {"files": ["test_detected_hooks.py"]}}
    del block.forward
    assert methods(pipe) == {}


def test_forward_replaced_on_the_class_is_noticed(pipe, monkeypatch):
    kind = type(pipe.unet.conv_in)
    monkeypatch.setattr(kind, "forward", wrapped(kind.forward))
    assert "patched_forward" in methods(pipe)


REPLACED = {"patched_forward": {"files": ["test_detected_hooks.py"]}}


@pytest.mark.parametrize(
    ("part", "name"),
    [("", "encode_prompt"), ("scheduler", "step"), ("vae", "decode"), ("image_processor", "postprocess")],
)
def test_a_method_replaced_on_the_pipeline_or_a_part_is_noticed(pipe, part, name):
    thing = getattr(pipe, part) if part else pipe
    setattr(thing, name, replaced(getattr(thing, name)))
    assert methods(pipe) == REPLACED
    delattr(thing, name)
    assert methods(pipe) == {}


@pytest.mark.parametrize("put", [functools.cache, staticmethod, classmethod, property])
def test_what_replaces_a_method_in_a_librarys_class_is_noticed(pipe, monkeypatch, put):
    kind = type(pipe).__mro__[1]
    name = next(name for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_")
    monkeypatch.setattr(kind, name, put(replaced(getattr(kind, name))))
    assert methods(pipe) == REPLACED


def test_a_class_that_every_module_extends_is_looked_at(pipe, monkeypatch):
    import torch

    monkeypatch.setattr(torch.nn.Module, "register_buffer", wrapped(torch.nn.Module.register_buffer))
    assert methods(pipe) == REPLACED


def test_what_only_shows_progress_or_checks_images_is_no_replaced_code(pipe):
    pipe.progress_bar = lambda *arguments, **more: contextlib.nullcontext()
    pipe.run_safety_checker = lambda image, device, dtype: (image, None)
    assert methods(pipe) == {}


def test_forward_decorated_by_known_packages_is_the_pipelines_own(pipe):
    import torch

    pipe.unet.forward = functools.partial(torch.no_grad()(pipe.unet.forward))
    assert methods(pipe) == {}


# The registry


def test_hooks_are_those_that_this_diffusers_has():
    from diffusers import hooks

    names = set()
    for module in vars(hooks).values():
        if inspect.ismodule(module):
            names |= {value for value in vars(module).values() if isinstance(value, str)}
    assert set(HOOKS) <= names
    assert set(HOOKS.values()) <= set(METHODS)


def test_method_under_a_name_that_is_taken_is_refused_with_both_places():
    with pytest.raises(
        ValueError, match=r"'tome' is registered twice: in .*attention\.py:\d+ and in .*test_detected_hooks"
    ):
        acceleration_method("tome")(lambda loaded: None)


def test_one_registration_is_all_that_a_new_method_needs(pipe, own_methods, tmp_path):
    @acceleration_method(
        "free_u", switched_on={"enable_freeu": ("s1", "s2", "b1", "b2")}, switched_off=("disable_freeu",)
    )
    def free_u(loaded):
        block = loaded.pipe.unet.up_blocks[0]
        return None if getattr(block, "b1", None) is None else {"b1": block.b1, "of": types}

    assert methods(pipe) == {}
    pipe.enable_freeu(0.9, 0.2, 1.2, 1.4)
    assert methods(pipe) == {"free_u": {"b1": 1.2, "of": str(types)}}
    text = "pipe = P.from_pretrained('m')\npipe.enable_freeu(0.9, 0.2, b1=1.2, b2=1.4)\n"
    file = tmp_path / "file.py"
    file.write_text(text)
    assert read_source(file).methods == {"free_u": {"s1": 0.9, "s2": 0.2, "b1": 1.2, "b2": 1.4}}
    file.write_text(f"{text}pipe.disable_freeu()\n")
    assert read_source(file).methods == {}


def test_code_of_a_methods_own_package_is_no_unknown_patch(pipe, own_methods):
    block = pipe.unet.mid_block
    block.forward = replaced(block.forward)
    assert "patched_forward" in methods(pipe)
    acceleration_method("mine", packages=(__name__.partition(".")[0],))(lambda loaded: {"on": True})
    assert methods(pipe) == {"mine": {"on": True}}


@pytest.mark.parametrize(
    ("detect", "words"),
    [
        (lambda loaded: loaded.pipe.no_such_thing, "raised AttributeError"),
        (lambda loaded: True, "returned a bool"),
        (lambda loaded: [("interval", 3)], "returned a list"),
    ],
)
def test_detector_that_fails_is_named_with_its_place(pipe, own_methods, detect, words):
    acceleration_method("broken")(detect)
    with pytest.raises(SourceProblem, match=rf"'broken' \(.*test_detected_hooks\.py:\d+\) {words}") as caught:
        methods(pipe)
    assert "fix the detector" in str(caught.value)


def test_collecting_knows_all_methods_without_a_framework():
    program = (
        "import sys\nfrom bench.acceleration.detectors.shipped import METHODS\n"
        "assert {'tome', 'deepcache', 'lora', 'mag_cache'} <= set(METHODS)\n"
        "assert not {'torch', 'diffusers', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2.5, None), [1, 2.5, None]),
        ({1: {"a"}}, {"1": ["a"]}),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (True, True),
        (3 + 4j, "(3+4j)"),
    ],
)
def test_every_parameter_becomes_something_that_json_holds(value, expected):
    assert json_value(value) == expected
