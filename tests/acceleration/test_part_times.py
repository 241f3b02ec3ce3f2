"""Where the time of a pipeline goes: each sort of part, timed by its class from outside."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from bench.acceleration.arm.part_times import PartClock


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Part:
    """A module as far as the clock can tell."""

    def __init__(self, clock, seconds):
        self._clock, self._seconds, self.inner = clock, seconds, None

    def register_forward_pre_hook(self):
        raise AssertionError("nothing is hooked")

    def __call__(self):
        if self.inner is not None:
            self.inner()
        self._clock.now += self._seconds


class Autoencoder:
    def __init__(self, clock):
        self._clock = clock

    def decode(self, latents):
        self._clock.now += 3.0
        return latents

    def encode(self, image):
        self._clock.now += 0.25
        return image


class TextEncoder(Part):
    pass


@pytest.fixture
def pipe():
    clock = Clock()
    return SimpleNamespace(
        clock=clock,
        unet=Part(clock, 2.0),
        text_encoder=TextEncoder(clock, 0.5),
        text_encoder_2=None,
        vae=Autoencoder(clock),
    )


def test_each_sort_has_its_seconds_and_the_rest_has_what_is_left(pipe):
    timed = PartClock(pipe.clock)
    with ExitStack() as stack:
        timed.watch(stack, pipe)
        pipe.text_encoder()
        pipe.unet()
        pipe.unet()
        assert pipe.vae.decode("latents") == "latents"
        pipe.clock.now += 1.0
        found = timed.seconds()
    assert found == {"text encoder": 0.5, "denoiser": 4.0, "decoder": 3.0, "rest": 1.0}
    pipe.unet()  # its class is as it was
    assert timed.seconds()["denoiser"] == 4.0


def test_a_part_within_another_one_counts_once(pipe):
    pipe.unet.inner = pipe.text_encoder
    timed = PartClock(pipe.clock)
    with ExitStack() as stack:
        timed.watch(stack, pipe)
        pipe.unet()
    assert timed.seconds() == {"denoiser": 2.5, "rest": 0.0}


def test_another_instance_of_a_class_is_not_the_pipelines(pipe):
    other = Part(pipe.clock, 9.0)
    timed = PartClock(pipe.clock)
    with ExitStack() as stack:
        timed.watch(stack, pipe)
        other()
    assert timed.seconds() is None


def test_a_call_that_raises_is_timed_and_leaves_the_clock_usable(pipe):
    timed = PartClock(pipe.clock)
    pipe.unet.inner = lambda: 1 / 0
    with ExitStack() as stack:
        timed.watch(stack, pipe)
        with pytest.raises(ZeroDivisionError):
            pipe.unet()
        pipe.vae.encode("image")
    assert timed.seconds() == {"denoiser": 0.0, "image encoder": 0.25, "rest": 0.0}
