"""A candidate's configuration against its target's: what differs, and what of it a task leaves free."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from bench.acceleration.comparison import COMPARED, Mismatch, differences, missing_methods
from bench.acceleration.configuration import Configuration
from bench.acceleration.freedom import OF_LEVEL, require_free_name, split
from bench.acceleration.gates import judge_configuration
from bench.acceleration.methods import METHODS
from bench.acceleration.protocol.messages import Part

TARGET = Configuration(
    pipeline_class="StableDiffusionPipeline",
    model_id="someone/model",
    scheduler_class="DDIMScheduler",
    num_inference_steps=30,
    scheduler_steps=30,
    methods={"tome": {"ratio": 0.5}},
    dtypes={"unet": "float32"},
    denoiser_calls_per_image=60.0,
    denoiser_layer_calls=9000,
    layers_per_call=300.0,
    arguments={"guidance_scale": 7.5, "eta": 0.0, "height": 64},
    scheduler={"timestep_spacing": "leading"},
)


def changed(**fields: object) -> Configuration:
    return msgspec.structs.replace(TARGET, **fields)


def fields(found: list[Mismatch]) -> list[str]:
    return [entry.field for entry in found]


@pytest.mark.parametrize(("known_as", "counts"), [("free_u", []), (None, ["unet.freeu"])])
def test_factors_of_freeu_are_as_free_as_the_method_that_puts_them_in_place(
    known_as: str | None, counts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if known_as is not None:
        method = SimpleNamespace(
            switched_on={"enable_freeu": ()},
            only_told=frozenset(),
            hidden_by=None,
            changes=frozenset(),
            shows="anything",
        )
        monkeypatch.setitem(METHODS._things, known_as, method)
    plain, freed = (
        {"unet": Part(class_name="UNet2DConditionModel", settings={"freeu": one})}
        for one in (None, {"s1": 0.9})
    )
    methods = {} if known_as is None else {known_as: {}}
    target, candidate = changed(parts=plain), changed(parts=freed, methods=TARGET.methods | methods)
    counting, _ = split(differences(target, candidate), (), required=methods)
    assert fields(counting) == counts


def test_equal_configurations_do_not_differ() -> None:
    assert differences(TARGET, changed()) == []


@pytest.mark.parametrize(
    ("field", "target", "candidate"),
    [
        ("pipeline_class", "StableDiffusionPipeline", "StableDiffusionXLPipeline"),
        ("model_id", "someone/model", "someone/smaller"),
        ("model_id", "someone/model", None),
        ("scheduler_class", "DDIMScheduler", "UniPCMultistepScheduler"),
        ("num_inference_steps", 30, 15),
        ("scheduler_steps", 30, 16),
    ],
)
def test_every_compared_field_is_listed_with_both_values_and_rejected(
    field: str, target: object, candidate: object
) -> None:
    found = differences(TARGET, changed(**{field: candidate}))
    assert found == [Mismatch(field=field, target=target, candidate=candidate)]
    verdict = judge_configuration(found)
    assert verdict.reason_code == "config_mismatch"
    assert f"{field}: target {target!r}, candidate {candidate!r}" in verdict.reason
    assert field in COMPARED


def test_an_argument_that_the_entry_point_has_no_parameter_for_is_listed() -> None:
    given = changed(arguments={**TARGET.arguments, "**callback": "a function"})
    expected = Mismatch(field="arguments.callback", target=None, candidate="a function")
    assert differences(TARGET, given) == [expected]
    elsewhere = changed(arguments=given.arguments, entry_point="tgate")
    assert differences(TARGET, elsewhere) == []
    assert differences(TARGET, changed(arguments={**TARGET.arguments, "of_a_newer_version": 1})) == []


@pytest.mark.parametrize(
    ("target", "candidate", "listed"),
    [
        ("0f", "0f", []),
        ("0f", "1e", ["arguments.negative_prompt"]),
        (None, None, ["arguments.negative_prompt"]),
    ],
)
def test_a_negative_prompt_counts_by_what_text_encoders_read(
    target: str | None, candidate: str | None, listed: list[str]
) -> None:
    one, other = (
        changed(arguments={**TARGET.arguments, "negative_prompt": text}, texts=read)
        for text, read in ((None, target), ("", candidate))
    )
    assert fields(differences(one, other)) == fields(differences(other, one)) == listed


def test_a_second_prompt_counts_by_what_its_encoder_reads() -> None:
    one, other = (changed(arguments={"prompt_2": text}, texts="0f") for text in (None, "a small red star"))
    assert differences(one, other) == []
    embedded = changed(arguments={"prompt_embeds_scale": 2.0}, texts="0f")
    plain = changed(arguments={"prompt_embeds_scale": 1.0}, texts="0f")
    assert fields(differences(plain, embedded)) == ["arguments.prompt_embeds_scale"]


def test_no_arguments_to_hand_on_are_none() -> None:
    one, other, more = (
        changed(arguments={**TARGET.arguments, "cross_attention_kwargs": given})
        for given in (None, {}, {"scale": 0.5})
    )
    assert differences(one, other) == []
    assert fields(differences(other, more)) == ["arguments.cross_attention_kwargs"]


def test_several_differences_are_all_listed() -> None:
    found = differences(TARGET, changed(pipeline_class="A", model_id="b", num_inference_steps=1))
    assert fields(found) == ["pipeline_class", "model_id", "num_inference_steps"]


@pytest.mark.parametrize("field", ["num_inference_steps", "scheduler_class"])
def test_what_only_follows_from_another_difference_is_not_listed(field: str) -> None:
    other = changed(**{field: "another", "scheduler_steps": 3, "denoiser_calls_per_image": 6.0})
    assert fields(differences(TARGET, other)) == [field]


def test_precision_and_entry_point_are_no_differences_of_their_own() -> None:
    assert differences(TARGET, changed(dtypes={"unet": "bfloat16"}, entry_point="tgate")) == []


def test_a_required_method_that_is_not_in_place_is_a_mismatch() -> None:
    assert missing_methods((), TARGET) == missing_methods(("tome",), TARGET) == []
    found = missing_methods(("tome", "deepcache"), TARGET)
    assert found == [Mismatch(field="methods.deepcache", target="required", candidate=None)]
    assert judge_configuration(found).reason_code == "config_mismatch"


# Methods


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ({"tome": {"ratio": 0.3}}, [("methods.tome", {"ratio": 0.5}, {"ratio": 0.3})]),
        ({}, [("methods.tome", {"ratio": 0.5}, None)]),
        ({"tome": {"ratio": 0.5}, "vae_slicing": {}}, [("methods.vae_slicing", None, {})]),
    ],
)
def test_methods_are_compared_with_their_parameters(methods: dict, expected: list[tuple]) -> None:
    found = differences(TARGET, changed(methods=methods))
    assert [(entry.field, entry.target, entry.candidate) for entry in found] == expected


def test_of_code_without_a_name_only_the_presence_is_compared() -> None:
    one, other = ({"patched_forward": {"files": [name]}} for name in ("target.py", "candidate.py"))
    assert differences(changed(methods=one), changed(methods=other)) == []
    assert fields(differences(changed(methods={}), changed(methods=other))) == ["methods.patched_forward"]


@pytest.mark.parametrize(
    ("level", "counting"),
    [
        ("L1", ["methods.deepcache", "methods.tome"]),
        ("L3", ["methods.deepcache", "methods.tome"]),
        (None, ["methods.tome"]),  # what the target has must be there; more may
        ("L4", []),
        ("L5", []),
    ],
)
def test_the_level_decides_whether_methods_count(level: str | None, counting: list[str]) -> None:
    found = differences(TARGET, changed(methods={"deepcache": {"cache_interval": 3}}))
    kept, free = split(found, OF_LEVEL[level])
    assert fields(kept) == counting
    assert {*fields(kept), *fields(free)} == {"methods.deepcache", "methods.tome"}


def test_a_method_that_the_task_asks_for_need_not_be_the_targets() -> None:
    more = changed(methods={"tome": {"ratio": 0.5}, "torch_compile": {"modules": ["unet"]}})
    kept, free = split(differences(TARGET, more), OF_LEVEL["L2"], ("torch_compile",))
    assert (fields(kept), fields(free)) == ([], ["methods.torch_compile"])
    # Where the target has it, its parameters count.
    kept, _ = split(differences(TARGET, changed(methods={"tome": {"ratio": 0.3}})), OF_LEVEL["L2"], ("tome",))
    assert fields(kept) == ["methods.tome"]


# Work


def test_calls_that_move_from_one_denoiser_to_another_are_a_difference() -> None:
    first, second = (
        {"transformer": 20.0, "transformer_2": 40.0},
        {"transformer": 30.0, "transformer_2": 30.0},
    )
    target = changed(calls_by_component=first)
    assert differences(target, target) == []
    moved = changed(calls_by_component=second)
    assert differences(target, moved) == [
        Mismatch(field="work.calls_by_component", target=first, candidate=second)
    ]
    assert fields(differences(target, changed(calls_by_component=second, denoiser_calls_per_image=30.0))) == [
        "work.denoiser_calls_per_image"
    ]


def test_fewer_denoiser_calls_for_an_image_are_a_difference() -> None:
    found = differences(TARGET, changed(denoiser_calls_per_image=30.0))
    assert found == [Mismatch(field="work.denoiser_calls_per_image", target=60.0, candidate=30.0)]
    kept, _ = split(found, OF_LEVEL["L5"])
    assert fields(kept) == ["work.denoiser_calls_per_image"], "no method is there that would explain it"


def test_fewer_layers_in_a_call_are_a_difference() -> None:
    found = differences(TARGET, changed(layers_per_call=200.0))
    assert found == [Mismatch(field="work.layers_per_call", target=300.0, candidate=200.0)]


def test_guidance_that_differs_says_why_there_are_fewer_calls() -> None:
    other = changed(arguments={**TARGET.arguments, "guidance_scale": 0.0}, denoiser_calls_per_image=30.0)
    assert fields(differences(TARGET, other)) == ["arguments.guidance_scale"]


def test_what_could_not_be_counted_is_not_compared() -> None:
    assert differences(TARGET, changed(layers_per_call=None, denoiser_calls_per_image=None)) == []


def test_work_that_a_method_explains_is_as_free_as_the_method() -> None:
    cached = changed(methods={**TARGET.methods, "deepcache": {"cache_interval": 3}}, layers_per_call=120.0)
    found = differences(TARGET, cached)
    assert found[-1].because == ["methods.deepcache"]
    assert fields(split(found, OF_LEVEL["L4"])[0]) == []
    assert fields(split(found, OF_LEVEL["L1"])[0]) == ["methods.deepcache", "work.layers_per_call"]


def test_a_method_explains_only_what_it_changes() -> None:
    # DeepCache runs fewer layers; it does not call the denoiser for fewer samples.
    cached = changed(
        methods={**TARGET.methods, "deepcache": {}, "vae_slicing": {}}, denoiser_calls_per_image=30.0
    )
    kept, _ = split(differences(TARGET, cached), OF_LEVEL["L5"])
    assert fields(kept) == ["work.denoiser_calls_per_image"]
    gated = changed(methods={**TARGET.methods, "tgate": {}}, denoiser_calls_per_image=40.0)
    assert split(differences(TARGET, gated), OF_LEVEL["L5"])[0] == []


def test_layers_that_never_run_are_explained_by_a_method_that_skips_them_and_by_no_other() -> None:
    idle = {"idle_layers": ["mid_block.attentions.0.proj_in"]}
    skipped = differences(
        changed(idle_layers=[]), changed(methods={**TARGET.methods, "layer_skip": {}}, **idle)
    )
    assert [entry.because for entry in skipped if entry.field == "layers"] == [["methods.layer_skip"]]
    assert split(skipped, OF_LEVEL["L5"])[0] == []
    cached = differences(
        changed(idle_layers=[]), changed(methods={**TARGET.methods, "deepcache": {}}, **idle)
    )
    assert fields(split(cached, OF_LEVEL["L5"])[0]) == ["layers"], "a cache runs each layer once"


def test_a_lora_that_one_has_fused_is_compared_by_weights() -> None:
    before, after, other = (
        Part(class_name="A", parameters=4, weights={"w": values}) for values in ([1.0], [1.001], [1.2])
    )
    unfused = changed(
        parts={"unet": before}, methods={"lora": {"unet": {"rank": 16, "scale": 1.0}, "names": ["x"]}}
    )
    fused = {"lora": {"fused": 1, "names": ["x"]}}
    assert differences(unfused, changed(parts={"unet": after}, methods=fused)) == []
    assert fields(differences(unfused, changed(parts={"unet": other}, methods=fused))) == ["unet.weights"]
    scaled = {"lora": {"unet": {"rank": 16, "scale": 0.9}, "names": ["x"]}}
    assert fields(differences(unfused, changed(parts={"unet": before}, methods=scaled))) == ["methods.lora"]
    assert fields(differences(unfused, changed(parts={"unet": before}, methods={}))) == ["methods.lora"]


def test_rounded_weights_are_part_of_casting_layer_by_layer() -> None:
    before, after = (Part(class_name="A", parameters=4, weights={"w": values}) for values in ([1.0], [1.06]))
    target = changed(parts={"unet": before})
    found = differences(
        target, changed(parts={"unet": after}, methods={**TARGET.methods, "layerwise_casting": {}})
    )
    assert fields(found) == ["methods.layerwise_casting"]
    assert fields(differences(target, changed(parts={"unet": after}))) == ["unet.weights"]


# Freed by name


@pytest.mark.parametrize(
    ("free", "difference"),
    [
        ("steps", {"num_inference_steps": 20}),
        ("scheduler", {"scheduler_class": "EulerDiscreteScheduler"}),
        ("scheduler", {"scheduler": {"timestep_spacing": "trailing"}}),
        ("scheduler.timestep_spacing", {"scheduler": {"timestep_spacing": "trailing"}}),
        ("guidance", {"arguments": {**TARGET.arguments, "guidance_scale": 1.0}}),
        ("arguments.eta", {"arguments": {**TARGET.arguments, "eta": 1.0}}),
        ("arguments", {"arguments": {**TARGET.arguments, "eta": 1.0}}),
        ("size", {"arguments": {**TARGET.arguments, "height": 32}}),
        ("methods.tome", {"methods": {}}),
        ("work", {"denoiser_calls_per_image": 30.0}),
        ("pipeline_class", {"pipeline_class": "Another"}),
    ],
)
def test_what_a_task_frees_is_listed_and_does_not_count(free: str, difference: dict) -> None:
    assert require_free_name(free) == free
    found = differences(TARGET, changed(**difference))
    assert len(found) == 1
    assert split(found, (free,)) == ([], found)
    assert split(found, ()) == (found, [])
    for other in ("unet", "arguments.generator_device", "scheduler.beta_start", "methods.deepcache"):
        assert split(found, (other,))[0] == found


def test_one_argument_that_is_free_frees_no_other() -> None:
    other = changed(arguments={**TARGET.arguments, "eta": 1.0, "guidance_scale": 1.0})
    assert fields(split(differences(TARGET, other), ("arguments.eta",))[0]) == ["arguments.guidance_scale"]


@pytest.mark.parametrize("name", ["arguments", "unet", "text_encoder_2", "methods.deepcache", "work"])
def test_what_can_be_free_is_accepted(name: str) -> None:
    assert require_free_name(name) == name


@pytest.mark.parametrize("name", ["methods.deepcash", "guidence", "", 3, None, "arguments.", "anything.else"])
def test_what_could_free_nothing_is_refused(name: object) -> None:
    with pytest.raises(
        ValueError, match=rf"expected names from methods, added_methods, steps.*found {name!r}"
    ):
        require_free_name(name)


def test_the_reason_of_a_pass_names_what_was_free() -> None:
    found = differences(TARGET, changed(methods={**TARGET.methods, "deepcache": {}}))
    verdict = judge_configuration([], found)
    assert verdict.reason == "configuration equals the target's but for what is free (methods.deepcache)"
