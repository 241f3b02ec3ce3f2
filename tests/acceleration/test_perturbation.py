"""What a baseline is set to for a moment is taken back to the last bit."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from bench.acceleration.arm.perturbation import Perturbation
from bench.acceleration.arm.serve import Arm


def pipeline() -> SimpleNamespace:
    torch.manual_seed(0)
    return SimpleNamespace(
        vae=torch.nn.Linear(8, 8), half=torch.nn.Linear(2, 2).to(torch.bfloat16), scheduler=object()
    )


def test_weights_are_rounded_and_restored() -> None:
    pipe, change = pipeline(), Perturbation()
    before = pipe.vae.weight.detach().clone()
    assert change.apply(pipe, {"round": "vae"}) == {"applied": True}
    assert torch.equal(pipe.vae.weight, before.to(torch.bfloat16).float())
    assert not torch.equal(pipe.vae.weight, before)
    assert change.apply(pipe, {}) == {"applied": True}
    assert torch.equal(pipe.vae.weight, before)


def test_what_has_no_wide_weights_is_not_applied() -> None:
    pipe, change = pipeline(), Perturbation()
    for name in ("half", "scheduler", "text_encoder"):
        assert change.apply(pipe, {"round": name}) == {"applied": False}


def test_threads_are_set_and_restored() -> None:
    change, before = Perturbation(), torch.get_num_threads()
    change.apply(pipeline(), {"threads": before + 1})
    assert torch.get_num_threads() == before + 1
    change.apply(pipeline(), {"threads": before + 2})  # the first one is taken back before
    change.undo()
    assert torch.get_num_threads() == before


def test_an_arm_answers_a_request_to_change() -> None:
    arm = Arm()
    arm._pipeline = SimpleNamespace(pipe=pipeline())
    before = arm._pipeline.pipe.vae.weight.detach().clone()
    assert arm.answer({"op": "perturb", "round": "vae"}, b"") == ({"applied": True}, b"")
    assert arm.answer({"op": "perturb"}, b"") == ({"applied": True}, b"")
    assert torch.equal(arm._pipeline.pipe.vae.weight, before)
