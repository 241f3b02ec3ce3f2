"""What a file sets on its scheduler after it was made is part of the configuration; what a run stores there is not."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bench.acceleration.arm.set_attributes import set_attributes
from bench.acceleration.comparison import differences
from bench.acceleration.configuration import Configuration
from bench.acceleration.protocol.messages import AS_MADE, NOW, SET

# Those that need a package or settings of their own are no scheduler that could be made here.
KINDS = ("DDIM", "DDPM", "PNDM", "LMSDiscrete", "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "LCM", "TCD",
         "DPMSolverMultistep", "DPMSolverSinglestep", "UniPCMultistep", "DEISMultistep", "SASolver", "KDPM2Discrete",
         "FlowMatchEulerDiscrete", "FlowMatchHeunDiscrete", "EDMEuler", "IPNDM", "CogVideoXDDIM", "UnCLIP")  # fmt: skip


def made(name: str, **settings: Any) -> Any:
    import diffusers

    return getattr(diffusers, f"{name}Scheduler")(**settings)


def run(scheduler: Any, steps: int = 4) -> None:
    """Let a scheduler take all steps of a run, and noise a sample, as a pipeline would."""
    import torch

    sample = torch.ones(1, 3, 4, 4)
    scheduler.set_timesteps(steps)
    for time in scheduler.timesteps:
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(sample, time)
        takes = inspect.signature(scheduler.step).parameters
        more = {name: None for name in takes if takes[name].default is inspect.Parameter.empty}
        given = {"model_output": 0.1 * sample, "timestep": time, "sample": sample}
        sample = scheduler.step(**{**more, **given})[0]
    if hasattr(scheduler, "add_noise"):
        scheduler.add_noise(sample, torch.ones_like(sample), scheduler.timesteps[:1])


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # diffusers' own
@pytest.mark.parametrize("name", KINDS)
def test_a_scheduler_as_its_class_makes_it_has_nothing_set_before_and_after_a_run(name: str) -> None:
    scheduler = made(name)
    assert set_attributes(scheduler) == {}
    run(scheduler)
    assert set_attributes(scheduler) == {}


def test_settings_of_another_class_and_a_run_make_no_difference() -> None:
    euler = made("EulerDiscrete", timestep_spacing="trailing", use_karras_sigmas=True)
    ddim = type(made("DDIM")).from_config(euler.config, rescale_betas_zero_snr=True)
    for scheduler in (euler, ddim):
        run(scheduler, steps=3)
        assert set_attributes(scheduler) == {}


def cumulated(scheduler: Any) -> None:
    scheduler.alphas_cumprod = scheduler.alphas_cumprod**1.1


def one_of_them(scheduler: Any) -> None:
    scheduler.alphas_cumprod[-1] = 0.5


def shifted(scheduler: Any) -> None:
    scheduler.set_shift(7.0)


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("DDIM", lambda it: setattr(it, "init_noise_sigma", 0.9), "init_noise_sigma"),
        ("DDIM", cumulated, "alphas_cumprod"),
        ("DDIM", one_of_them, "alphas_cumprod"),
        ("DDIM", lambda it: setattr(it, "alphas_cumprod", it.alphas_cumprod.flip(0)), "alphas_cumprod"),
        ("DDIM", lambda it: setattr(it, "order", 2), "order"),
        ("EulerDiscrete", lambda it: setattr(it, "use_karras_sigmas", True), "use_karras_sigmas"),
        ("UniPCMultistep", lambda it: setattr(it, "disable_corrector", [0]), "disable_corrector"),
        ("FlowMatchEulerDiscrete", shifted, "shift"),
        ("DDIM", lambda it: it.register_to_config(beta_end=0.05), "betas"),
    ],
)
def test_what_is_set_afterwards_is_told_with_both_values_also_after_a_run(name, change, field) -> None:
    scheduler = made(name)
    change(scheduler)
    found = set_attributes(scheduler)
    assert field in found
    assert found[field][NOW] != found[field][AS_MADE]
    if field != "order":
        run(scheduler)
        assert set_attributes(scheduler) == found


@pytest.mark.parametrize("other", ["linear", [0.5, 0.25], [[0.5], [0.25, 0.1]]])
def test_what_is_of_another_form_is_told_too(other: Any) -> None:
    scheduler = made("DDIM")
    scheduler.alphas_cumprod = other
    assert set_attributes(scheduler)["alphas_cumprod"][NOW] == other


def moved(scheduler: Any) -> None:
    import torch

    scheduler.alphas_cumprod = scheduler.alphas_cumprod.to(torch.float16)


@pytest.mark.parametrize(
    "change",
    [
        moved,
        lambda it: setattr(it, "note", "of the file's own"),  # nothing reads it
        lambda it: setattr(it, "use_karras_sigmas", True),  # DDIM has no such attribute
        lambda it: setattr(it, "num_inference_steps", 7),
        lambda it: it.set_timesteps(9),
        lambda it: setattr(it, "init_noise_sigma", 1),
    ],
)
def test_another_precision_a_note_and_what_a_run_stores_are_not_told(change) -> None:
    scheduler = made("DDIM")
    change(scheduler)
    assert set_attributes(scheduler) == {}


def test_a_constructor_of_the_file_is_not_run_again() -> None:
    base, count = type(made("DDIM")), []

    class Own(base):
        def __init__(self, **settings: Any) -> None:
            count.append(1)
            super().__init__(**settings)
            self.init_noise_sigma = 0.9

    class Plain(base):
        """Its constructor is the one of diffusers."""

    assert set_attributes(Own()) == {}
    assert count == [1]
    plain = Plain()
    plain.init_noise_sigma = 0.9
    assert set_attributes(plain) == {"init_noise_sigma": {NOW: 0.9, AS_MADE: 1.0}}


@pytest.mark.parametrize("thing", [None, SimpleNamespace(config={"a": 1}), object()])
def test_of_what_is_no_scheduler_of_diffusers_nothing_is_told(thing: object) -> None:
    assert set_attributes(thing) == {}


# Compared


def configured(sigma: object = None, **settings: object) -> Configuration:
    own = {} if sigma is None else {SET: {"init_noise_sigma": {NOW: sigma, AS_MADE: 1.0}}}
    return Configuration(scheduler_class="DDIMScheduler", scheduler={"beta_end": 0.02, **settings, **own})


@pytest.mark.parametrize(
    ("target", "candidate", "values"),
    [(None, 0.9, (1.0, 0.9)), (0.9, None, (0.9, 1.0)), (0.9, 0.8, (0.9, 0.8))],
)
def test_what_one_of_two_schedulers_has_set_is_a_difference_by_value(target, candidate, values) -> None:
    (found,) = differences(configured(target), configured(candidate))
    assert (found.field, found.target, found.candidate) == ("scheduler.init_noise_sigma", *values)


def test_the_same_values_set_in_both_and_words_that_are_none_are_no_difference() -> None:
    assert differences(configured(0.9), configured(0.9)) == []
    for odd in (3, [1], {"x": 2}, {"x": {NOW: 1}}):
        assert differences(configured(), configured(**{SET: odd})) == []
    assert SET not in msgspec.to_builtins(configured())["scheduler"]
