"""Models are the same by class, settings and weights, whatever folder they came from and however a method wraps them."""

from __future__ import annotations

import copy

import msgspec
import pytest
import tiny_pipeline

from bench.acceleration.arm.parts_of_model import MAX_TENSORS, parts_of
from bench.acceleration.parts import differing_parts


@pytest.fixture
def before(pipe):
    return parts_of(pipe)


def fields(before, pipe):
    return [name for name, *_ in differing_parts(before, parts_of(pipe))]


def test_parts_are_plain_and_small(before, pipe):
    assert set(before) == {"vae", "text_encoder", "unet", "tokenizer"}
    assert len(before["unet"].weights) == len(list(pipe.unet.parameters())) < MAX_TENSORS
    assert before["unet"].class_name == "UNet2DConditionModel"
    assert before["unet"].settings["block_out_channels"] == [32, 64]
    assert len(msgspec.json.encode(before)) < 100_000


def test_the_same_model_from_another_folder_is_the_same(before, pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "copy")
    assert fields(before, tiny_pipeline.load_pipeline(tmp_path / "copy")) == []


def tome(pipe):
    import tomesd

    tomesd.apply_patch(pipe, ratio=0.5)


def deepcache(pipe):
    from DeepCache import DeepCacheSDHelper

    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=2, cache_branch_id=0)
    helper.enable()


def compiled(pipe):
    import torch

    pipe.unet = torch.compile(pipe.unet, backend="eager")
    pipe.vae.compile(backend="eager")


def rounded(pipe):
    import torch

    pipe.to(torch.bfloat16)


def fused(pipe):
    pipe.fuse_qkv_projections()


def last_channels(pipe):
    import torch

    pipe.unet.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("method", [tome, deepcache, compiled, rounded, fused, last_channels])
def test_a_method_leaves_the_model_what_it_is(before, pipe, method):
    method(pipe)
    assert fields(before, pipe) == []


def test_a_lora_counts_with_the_weights_that_it_completes_fused_or_not(pipe):
    import torch
    from peft import LoraConfig

    plain = parts_of(pipe)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=["to_q", "conv1", "proj_in"], init_lora_weights=False
    )
    torch.manual_seed(0)
    pipe.unet.add_adapter(config, adapter_name="style")
    before = parts_of(pipe)
    assert [name for name, *_ in differing_parts(plain, before)] == ["unet.weights"]
    assert before["unet"].parameters == plain["unet"].parameters
    assert before["unet"].weight_bytes > plain["unet"].weight_bytes
    pipe.unet.fuse_lora()
    assert fields(before, pipe) == []
    assert fields(plain, pipe) == ["unet.weights"]
    pipe.unet.unload_lora()
    assert fields(before, pipe) == []
    assert parts_of(pipe)["unet"].weights.keys() == before["unet"].weights.keys()


def test_a_lora_of_another_scale_makes_other_weights_and_one_that_is_disabled_none(pipe):
    import torch
    from peft import LoraConfig

    plain = parts_of(pipe)
    torch.manual_seed(0)
    pipe.unet.add_adapter(
        LoraConfig(r=4, target_modules=["to_q"], init_lora_weights=False), adapter_name="style"
    )
    before = parts_of(pipe)
    pipe.unet.set_adapters(["style"], [0.2])
    assert fields(before, pipe) == ["unet.weights"]
    pipe.unet.disable_adapters()
    assert fields(plain, pipe) == []


def test_other_weights_are_another_model(before, pipe):
    import torch

    with torch.no_grad():
        for weight in pipe.unet.parameters():
            weight.add_(0.1 * torch.randn(weight.shape) * weight.abs().mean())
    assert fields(before, pipe) == ["unet.weights"]


def test_a_block_that_is_missing_or_of_another_size_is_another_model(before, pipe):
    from diffusers import UNet2DConditionModel

    config = {**pipe.unet.config, "layers_per_block": 1}
    pipe.unet = UNet2DConditionModel.from_config(config)
    assert {"unet.layers_per_block", "unet.weights"} <= set(fields(before, pipe))


def test_a_part_that_is_missing_or_of_another_class_is_named(before):
    other = copy.copy(before)
    part = other.pop("vae")
    assert differing_parts(before, other) == [("vae", "AutoencoderKL", None)]
    other["vae"] = msgspec.structs.replace(part, class_name="AutoencoderTiny")
    assert differing_parts(before, other) == [("vae", "AutoencoderKL", "AutoencoderTiny")]
    assert differing_parts(other, before) == [("vae", "AutoencoderTiny", "AutoencoderKL")]


def test_weights_can_be_left_to_the_methods_that_change_them(before, pipe):
    import torch

    with torch.no_grad():
        pipe.unet.conv_in.weight.mul_(9.0)
    assert fields(before, pipe) == ["unet.weights"]
    assert differing_parts(before, parts_of(pipe), weights=False) == []


def test_another_tokenizer_is_another_part(before, pipe):
    pipe.tokenizer.model_max_length = 4
    assert differing_parts(before, parts_of(pipe)) == [("tokenizer.model_max_length", 32, 4)]
    pipe.tokenizer.model_max_length = 32
    pipe.tokenizer.add_tokens(["<style>"])
    (found,) = differing_parts(before, parts_of(pipe))
    assert found[0] == "tokenizer.tokens"


def test_freeu_is_a_setting_of_the_model(before, pipe):
    pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)
    factors = {"s1": 0.9, "s2": 0.2, "b1": 1.2, "b2": 1.4}
    assert differing_parts(before, parts_of(pipe)) == [("unet.freeu", None, factors)]
    pipe.disable_freeu()
    assert differing_parts(before, parts_of(pipe)) == []
