"""Acceleration methods are found on a pipeline when they are in place, and not when they were taken back."""

from types import SimpleNamespace

import pytest
from tiny_pipeline import PROMPT, STEPS, loaded, methods

from bench.acceleration.arm.detection import describe, model_id
from bench.acceleration.arm.parts_of_model import settings_of
from bench.acceleration.detectors.parts import components, modules
from bench.acceleration.protocol.messages import Described
from bench.acceleration.source.reading import SourceReading


def test_plain_pipeline_is_described_and_has_no_methods(pipe, model):
    assert describe(loaded(pipe)) == Described(
        pipeline_class="StableDiffusionPipeline",
        model_id=str(model.resolve()),
        scheduler_class="DDIMScheduler",
        scheduler=settings_of(pipe.scheduler),
        entry_point="__call__",
        methods={},
        dtypes={"vae": "float32", "text_encoder": "float32", "unet": "float32"},
    )


def test_model_is_named_by_its_resolved_directory_or_its_name_on_the_hub(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert model_id(SimpleNamespace(name_or_path=str(tmp_path / "link"))) == str(tmp_path.resolve())
    assert model_id(SimpleNamespace(name_or_path="someone/model")) == "someone/model"
    assert model_id(SimpleNamespace(config={"_name_or_path": "someone/model"})) == "someone/model"
    assert model_id(SimpleNamespace()) is None


# Each method applied, found with its parameters, and taken back


def deepcache(pipe):
    from DeepCache import DeepCacheSDHelper

    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=3, cache_branch_id=1)
    helper.enable()
    return helper.disable


def tome(pipe):
    import tomesd

    tomesd.apply_patch(pipe, ratio=0.4, max_downsample=2)
    return lambda: tomesd.remove_patch(pipe)


def attention_slicing(pipe):
    pipe.enable_attention_slicing("max")
    return pipe.disable_attention_slicing


def vae_tiling(pipe):
    pipe.vae.enable_tiling()
    return pipe.vae.disable_tiling


def vae_slicing(pipe):
    pipe.vae.enable_slicing()
    return pipe.vae.disable_slicing


def bfloat16(pipe):
    import torch

    pipe.to(torch.bfloat16)
    return lambda: pipe.to(torch.float32)


def half_of_the_parts(pipe):
    pipe.unet.half()
    return pipe.unet.float


def fused_qkv(pipe):
    pipe.fuse_qkv_projections(vae=False)
    return pipe.unfuse_qkv_projections


def layer_skip(pipe):
    from diffusers.hooks import HookRegistry, LayerSkipConfig, apply_layer_skip

    apply_layer_skip(pipe.unet, LayerSkipConfig([0], fqn="mid_block.attentions.0.transformer_blocks"))
    block = pipe.unet.mid_block.attentions[0].transformer_blocks[0]
    return lambda: HookRegistry.check_if_exists_or_initialize(block).remove_hook("layer_skip_hook")


def compiled_by_wrapping(pipe):
    import torch

    plain, pipe.unet = pipe.unet, torch.compile(pipe.unet, backend="eager")
    return lambda: setattr(pipe, "unet", plain)


def compiled_in_place(pipe):
    pipe.vae.compile(backend="eager")
    return lambda: setattr(pipe.vae, "_compiled_call_impl", None)


FOUND = {
    deepcache: {
        "deepcache": {"cache_interval": 3, "cache_layer_id": 1, "cache_block_id": 0, "skip_mode": "uniform"}
    },
    tome: {
        "tome": {
            "ratio": 0.4, "max_downsample": 2, "sx": 2, "sy": 2, "merge_attn": True, "merge_crossattn": False,
            "merge_mlp": False, "patched_blocks": 11,
        }
    },
    attention_slicing: {"attention_slicing": {"slice_size": 1}},
    vae_tiling: {"vae_tiling": {}},
    vae_slicing: {"vae_slicing": {}},
    bfloat16: {"precision": {"dtype": "bfloat16"}},
    half_of_the_parts: {"precision": {"dtype": "float16"}},
    fused_qkv: {"fused_qkv": {"components": ["unet"]}},
    layer_skip: {"layer_skip": {"dropout": 1.0, "modules": 2}},
    compiled_by_wrapping: {"torch_compile": {"modules": ["unet"]}},
    compiled_in_place: {"torch_compile": {"modules": ["vae"]}},
}  # fmt: skip
METHODS = pytest.mark.parametrize("apply", FOUND, ids=lambda apply: apply.__name__)


@METHODS
def test_method_is_found_with_its_parameters_and_gone_when_it_is_taken_back(pipe, apply):
    take_back = apply(pipe)
    assert methods(pipe) == FOUND[apply]
    take_back()
    assert methods(pipe) == {}


@pytest.mark.parametrize("apply", [deepcache, tome, layer_skip], ids=lambda apply: apply.__name__)
def test_method_is_still_found_after_generating_and_still_gone_after_that(pipe, apply):
    take_back = apply(pipe)
    pipe(PROMPT, num_inference_steps=STEPS)
    assert methods(pipe) == FOUND[apply]
    take_back()
    pipe(PROMPT, num_inference_steps=STEPS)
    assert methods(pipe) == {}


def test_methods_on_top_of_each_other_are_all_found(pipe):
    applied = (bfloat16, tome, deepcache, vae_tiling, compiled_by_wrapping)
    for apply in applied:
        apply(pipe)
    expected = {name: found for apply in applied for name, found in FOUND[apply].items()}
    assert methods(pipe) == expected


def test_methods_made_ready_but_never_switched_on_are_not_found(pipe):
    from DeepCache import DeepCacheSDHelper

    DeepCacheSDHelper(pipe=pipe).set_params(cache_interval=3, cache_branch_id=0)
    assert methods(pipe) == {}


# T-GATE has an entry point of its own, and only that one is accelerated


@pytest.fixture
def tgate_pipe(pipe):
    from tgate import TgateSDLoader

    return TgateSDLoader(pipe, gate_step=2, num_inference_steps=STEPS)


def test_tgate_is_found_with_the_parameters_of_its_own_call(tgate_pipe):
    found = methods(tgate_pipe, "tgate", gate_step=2, warm_up=1, num_inference_steps=STEPS)
    assert found == {"tgate": {"gate_step": 2, "sp_interval": 5, "fi_interval": 1, "warm_up": 1}}


def test_tgate_does_not_count_when_the_pipeline_itself_is_called(tgate_pipe):
    assert methods(tgate_pipe) == {}
    tgate_pipe(PROMPT, num_inference_steps=STEPS)
    assert methods(tgate_pipe) == {}


def test_tgate_does_not_count_without_its_loader(pipe):
    assert methods(pipe, "tgate") == {}
    pipe.tgate = print  # its name alone is not enough
    assert methods(pipe, "tgate") == {}


@pytest.mark.parametrize("called", ["tgate", "__call__"])
def test_tgate_within_the_files_own_generate_counts_once_it_has_run(tgate_pipe, called):
    own = loaded(tgate_pipe, "generate")
    own.source = SourceReading(defines_generate=True, methods={"tgate": {"gate_step": 2}})
    assert "tgate" not in describe(own).methods
    getattr(tgate_pipe, called)(PROMPT, num_inference_steps=STEPS)
    expected = (
        {"gate_step": 2, "sp_interval": 5, "fi_interval": 1, "warm_up": 2} if called == "tgate" else None
    )
    assert describe(own).methods.get("tgate") == expected


def test_tgate_with_deepcache_is_both_by_its_entry_and_deepcache_alone_by_the_plain_one(pipe):
    from tgate import TgateSDDeepCacheLoader

    TgateSDDeepCacheLoader(pipe, cache_interval=3, cache_branch_id=0)
    assert set(methods(pipe, "tgate")) == {"tgate", "deepcache"}
    assert set(methods(pipe)) == {"deepcache"}


def test_every_module_is_looked_at_once_in_the_order_of_torch(pipe):
    pipe.unet.again = pipe.unet.mid_block  # two names of one module
    pipe.unet.register_module("nothing", None)
    whole = pipe.vae

    class Engine:
        """Stands for a component, as a compiled one of another library does."""

        def __getattr__(self, name):
            return getattr(whole, name)

    pipe.vae = Engine()
    expected = [module for _, part in components(pipe) for module in part.modules()]
    assert list(map(id, modules(pipe))) == list(map(id, expected))
    assert len(expected) > 100


def test_a_scheduler_that_only_has_the_name_of_one_is_another_class(pipe):
    from diffusers import DDIMScheduler

    of_own = {"__module__": "somewhere", "step": DDIMScheduler.step}
    own = type("DDIMScheduler", (DDIMScheduler,), of_own)
    scheduler = own.from_config(pipe.scheduler.config)
    pipe.scheduler = scheduler
    found = describe(loaded(pipe))
    assert found.scheduler_class == "DDIMScheduler, a class of its own"
    pipe.scheduler = type("Own", (DDIMScheduler,), of_own).from_config(scheduler.config)
    assert describe(loaded(pipe)).scheduler_class == "Own"


def test_a_class_that_only_adds_to_its_base_computes_what_that_does(pipe):
    base = type(pipe)
    pipe.__class__ = type(
        "Drawing", (base,), {"__module__": "somewhere", "draw": lambda self, text: self(text)}
    )
    assert describe(loaded(pipe)).pipeline_class == "StableDiffusionPipeline"
    assert methods(pipe) == {}


def test_a_class_of_the_file_counts_as_the_pipeline_that_it_extends_and_its_methods_as_replaced_code(pipe):
    class Own(type(pipe)):
        do_classifier_free_guidance = property(lambda self: True)

    class OwnOfOwn(Own):
        def draw(self, text):
            return self(text)

    pipe.__class__ = OwnOfOwn
    found = describe(loaded(pipe))
    assert found.pipeline_class == "StableDiffusionPipeline"
    assert found.methods == {"patched_forward": {"files": ["test_detection.py"]}}


def test_a_class_of_the_file_that_extends_no_pipeline_keeps_its_name(pipe):
    from diffusers import DiffusionPipeline

    class Own(DiffusionPipeline):
        def __init__(self, unet):
            super().__init__()
            self.register_modules(unet=unet)

        def __call__(self, prompt):
            return prompt

    assert describe(loaded(Own(pipe.unet))).pipeline_class == "Own"
