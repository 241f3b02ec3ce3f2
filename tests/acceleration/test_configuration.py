"""What a configuration is put together from, and a file's text against the object that it makes."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from bench.acceleration.configuration import CallTaken, Configuration, Disagreement, Said, combine
from bench.acceleration.methods import acceleration_method
from bench.acceleration.protocol.messages import Described, Observed
from bench.acceleration.source.reading import EntryCall, SourceReading
from bench.core.record import plain_problems

DESCRIBED = {
    "pipeline_class": "StableDiffusionPipeline",
    "model_id": "someone/model",
    "scheduler_class": "DDIMScheduler",
    "entry_point": "tgate",
    "methods": {"tome": {"ratio": 0.5}},
    "dtypes": {"unet": "float32"},
}
OBSERVED = {
    "num_inference_steps": 30,
    "scheduler_steps": 31,
    "denoiser_calls": 30,
    "denoiser_calls_per_image": 60.0,
    "denoiser_layer_calls": 9000,
    "not_finite": False,
}
SAID = SourceReading(
    pipeline_class="StableDiffusionPipeline",
    model_id="someone/model",
    scheduler_class="DDIMScheduler",
    num_inference_steps=30,
    methods={"tome": {"ratio": 0.5}},
    entry=EntryCall("tgate", (), ("prompt",), 3),
)


def combined(described=None, observed=None, **said):
    return combine(
        msgspec.convert(DESCRIBED | (described or {}), Described),
        msgspec.convert(OBSERVED | (observed or {}), Observed),
        dataclasses.replace(SAID, **said),
    )


def test_configuration_is_what_was_observed():
    assert combined() == Configuration(
        pipeline_class="StableDiffusionPipeline",
        model_id="someone/model",
        scheduler_class="DDIMScheduler",
        num_inference_steps=30,
        scheduler_steps=31,
        entry_point="tgate",
        methods={"tome": {"ratio": 0.5}},
        dtypes={"unet": "float32"},
        denoiser_calls_per_image=60.0,
        denoiser_layer_calls=9000,
        layers_per_call=300.0,
        source=Said(
            pipeline_class="StableDiffusionPipeline",
            model_id="someone/model",
            scheduler_class="DDIMScheduler",
            num_inference_steps=30,
            methods={"tome": {"ratio": 0.5}},
        ),
        disagreements=[],
    )


def test_record_of_a_configuration_is_plain_and_gives_it_back():
    configuration = combined({"methods": {"tgate": {}}}, methods={"lora": {"weights": Path("adapter")}})
    assert plain_problems(configuration.to_json()) == []
    assert configuration.to_json()["source"]["methods"] == {"lora": {"weights": "adapter"}}
    assert Configuration.from_json(configuration.to_json()) == configuration


def test_what_was_not_seen_is_none():
    nothing = combine(Described(), Observed(), SourceReading())
    for name in ("pipeline_class", "model_id", "scheduler_class", "num_inference_steps", "scheduler_steps"):
        assert getattr(nothing, name) is None
    assert nothing.denoiser_calls_per_image is None
    assert nothing.denoiser_layer_calls is None
    assert (nothing.entry_point, nothing.methods, nothing.disagreements) == ("__call__", {}, [])


def test_steps_are_read_from_the_text_only_where_none_were_seen():
    assert combined(observed={"num_inference_steps": None}).num_inference_steps == 30
    assert combined(observed={"num_inference_steps": 4}).num_inference_steps == 4


# Source against object


@pytest.mark.parametrize(
    ("field", "source", "observed"),
    [
        ("pipeline_class", "StableDiffusionXLPipeline", "StableDiffusionPipeline"),
        ("model_id", "someone/other", "someone/model"),
        ("scheduler_class", "UniPCMultistepScheduler", "DDIMScheduler"),
        ("num_inference_steps", 50, 30),
    ],
)
def test_text_that_says_something_else_than_the_object_is_part_of_the_record(field, source, observed):
    assert combined(**{field: source}).disagreements == [
        Disagreement(field=field, source=source, observed=observed)
    ]


@pytest.mark.parametrize("field", ["pipeline_class", "model_id", "scheduler_class", "num_inference_steps"])
def test_text_that_says_nothing_contradicts_nothing(field):
    assert combined(**{field: None}).disagreements == []


@pytest.mark.parametrize("said", ["AutoPipelineForText2Image", "DiffusionPipeline"])
def test_text_that_leaves_the_class_to_the_model_contradicts_nothing(said):
    assert combined(pipeline_class=said).disagreements == []


def test_methods_only_written_or_only_found_are_disagreements():
    found = combined({"methods": {"tome": {}, "lora": {}}}, methods={"tome": {}, "deepcache": {}})
    assert found.disagreements == [
        Disagreement(field="methods.deepcache", source=True, observed=False),
        Disagreement(field="methods.lora", source=False, observed=True),
    ]


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({}, ["scheduler_class", "methods.deepcache", "methods.lora"]),
        ({"unsure": frozenset({"scheduler_class", "methods.deepcache"})}, ["methods.lora"]),
        ({"may_hide_methods": True}, ["scheduler_class", "methods.deepcache"]),
    ],
)
def test_text_that_leaves_something_open_contradicts_nothing(said, fields):
    found = combined(
        {"methods": {"lora": {}}}, scheduler_class="LCMScheduler", methods={"deepcache": {}}, **said
    )
    assert [entry.field for entry in found.disagreements] == fields


@pytest.mark.parametrize(
    ("line", "fields"), [(3, ["num_inference_steps"]), (None, ["num_inference_steps"]), (9, [])]
)
def test_steps_of_another_call_than_the_one_that_was_seen_contradict_nothing(line, fields):
    source = dataclasses.replace(SAID, num_inference_steps=50)
    described, observed = msgspec.convert(DESCRIBED, Described), msgspec.convert(OBSERVED, Observed)
    found = combine(described, observed, source, CallTaken(by="run", line=line))
    assert [entry.field for entry in found.disagreements] == fields


def test_replaced_code_that_no_method_accounts_for_is_no_disagreement():
    methods = {"tome": {}, "patched_forward": {"files": ["mine.py"]}}
    assert combined({"methods": methods}).disagreements == []


def test_method_that_names_no_calls_is_never_missed_in_the_text(own_methods):
    acceleration_method("without_calls")(lambda loaded: {})
    acceleration_method("with_calls", switched_on=("enable_it",))(lambda loaded: {})
    found = combined({"methods": {"tome": {"ratio": 0.5}, "without_calls": {}, "with_calls": {}}})
    assert [entry.field for entry in found.disagreements] == ["methods.with_calls"]


def test_local_model_is_the_same_however_its_path_is_written(tmp_path, monkeypatch):
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    resolved = str((tmp_path / "models" / "tiny").resolve())
    for written in ("models/tiny", "./models/../models/tiny", str(tmp_path / "link" / "tiny")):
        assert combined({"model_id": resolved}, model_id=written).disagreements == []


@pytest.mark.parametrize(
    ("written", "count"), [("mine", 0), ("./models/mine", 0), ("other/mine", 1), ("ine", 1), ("", 0)]
)
def test_a_folder_relative_to_where_the_file_runs_is_the_same_model(written, count):
    assert (
        len(combined({"model_id": "/somewhere/models/mine"}, model_id=written or None).disagreements) == count
    )
