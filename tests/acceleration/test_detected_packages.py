"""Quantized weights, adapters and caches of packages; helpers/stand_ins.py stands in for those that are not installed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import stand_ins
from suites import ROOT
from tiny_pipeline import PROMPT, STEPS, loaded, methods

from bench.acceleration.arm.detection import describe
from bench.acceleration.arm.parts_of_model import parts_of
from bench.acceleration.comparison import differences
from bench.acceleration.configuration import Configuration
from bench.acceleration.source.reading import SourceReading


def linears(model: Any) -> list[tuple[Any, str, Any]]:
    """Return every linear layer of a model with its owner and its name there."""
    import torch

    return [
        (owner, name, layer)
        for owner in model.modules()
        for name, layer in owner.named_children()
        if type(layer) is torch.nn.Linear
    ]


# Quantized weights


def by_torchao(pipe: Any) -> None:
    import torch

    torchao = stand_ins.module("torchao.quantization", stand_ins.INT8_TENSOR)
    for _, _, layer in linears(pipe.unet):
        layer.weight = torch.nn.Parameter(torchao.quantized(layer.weight.detach()), requires_grad=False)


def by_torchao_dynamically(pipe: Any) -> None:
    import torch

    torchao = stand_ins.module("torchao.dtypes.affine_quantized_tensor", stand_ins.INT8_TENSOR)
    activations = stand_ins.module(
        "torchao.quantization.linear_activation_quantized_tensor", stand_ins.ACTIVATION_TENSOR
    )
    for _, _, layer in linears(pipe.unet):
        inner = torchao.quantized(layer.weight.detach())
        outer = activations.LinearActivationQuantizedTensor(
            layer.weight.detach(), original_weight_tensor=inner, input_quant_func=abs
        )
        layer.weight = torch.nn.Parameter(outer, requires_grad=False)


def by_quanto(pipe: Any) -> None:
    from types import SimpleNamespace

    quanto = stand_ins.module("optimum.quanto.nn.qlinear", stand_ins.QUANTO)
    for owner, name, layer in linears(pipe.unet):
        made = quanto.QLinear(layer.in_features, layer.out_features, layer.bias is not None)
        made.load_state_dict(layer.state_dict())
        made.weight_qtype, made.activation_qtype = SimpleNamespace(name="qint8"), None
        setattr(owner, name, made)


def by_torch_dynamically(pipe: Any) -> None:
    import torch

    pipe.unet = torch.ao.quantization.quantize_dynamic(pipe.unet, {torch.nn.Linear}, dtype=torch.qint8)


QUANTIZED = {
    by_torchao: ("torchao", "Int8Tensor int8"),
    by_torchao_dynamically: ("torchao", "LinearActivationQuantizedTensor Int8Tensor int8 dynamic"),
    by_quanto: ("quanto", "QLinear qint8"),
    by_torch_dynamically: ("torch.ao", "Linear qint8"),
}


@pytest.mark.parametrize("quantize", QUANTIZED, ids=lambda quantize: quantize.__name__)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_quantized_weights_are_found_by_who_made_them_and_how_they_are_kept(pipe: Any, quantize: Any) -> None:
    method, kept = QUANTIZED[quantize]
    count, before = len(linears(pipe.unet)), parts_of(pipe)["unet"]
    quantize(pipe)
    found = methods(pipe)
    assert found == {"quantized": {"unet": {"method": method, "layers": {kept: count}}}}
    pipe(PROMPT, num_inference_steps=1)
    assert methods(pipe) == found
    after = parts_of(pipe)
    if quantize is not by_quanto:  # whose weights are made smaller when they are frozen
        assert after["unet"].weight_bytes < before.weight_bytes
    assert after["vae"].weight_bytes > 0
    # The numbers can still be read, and are nearly the same.
    shared = before.weights.keys() & after["unet"].weights.keys()
    assert max(math.dist(before.weights[name], after["unet"].weights[name]) for name in shared) < 0.05


def test_what_a_library_notes_of_its_quantization_is_recorded(pipe: Any) -> None:
    from types import SimpleNamespace

    pipe.text_encoder.is_quantized, pipe.text_encoder.quantization_method = True, "bitsandbytes"
    assert methods(pipe) == {"quantized": {"text_encoder": {"method": "bitsandbytes"}}}
    config = SimpleNamespace(load_in_4bit=True, bnb_4bit_quant_type="nf4", modules=object(), _load=1)
    pipe.text_encoder.hf_quantizer = SimpleNamespace(quantization_config=config)
    assert methods(pipe)["quantized"]["text_encoder"] == {
        "method": "bitsandbytes",
        "config": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    }


# LoRA


@pytest.fixture
def with_lora(pipe: Any) -> Any:
    from peft import LoraConfig

    pipe.unet.add_adapter(
        LoraConfig(r=4, lora_alpha=2, target_modules=["to_q", "to_k"]), adapter_name="style"
    )
    return pipe


def adapters(pipe: Any) -> list[Any]:
    return [module for module in pipe.unet.modules() if hasattr(module, "lora_A")]


def test_lora_is_found_with_rank_scale_and_source_and_no_unknown_patch(with_lora: Any) -> None:
    count = len(adapters(with_lora))
    assert count > 4
    rank = {"rank": 4, "scale": 0.5, "modules": count}
    assert methods(with_lora) == {"lora": {"unet": rank, "names": ["style"]}}
    own = loaded(with_lora)
    own.source = SourceReading(methods={"lora": {"weights": "someone/style"}})
    assert describe(own).methods["lora"]["source"] == "someone/style"


def test_lora_with_other_scales_in_some_layers_lists_each(with_lora: Any) -> None:
    layers = adapters(with_lora)
    layers[0].scaling["style"] = 1.0
    found = methods(with_lora)["lora"]["unet"]
    assert found["by_module"] == [
        {"rank": 4, "scale": 1.0, "modules": 1},
        {"rank": 4, "scale": 0.5, "modules": len(layers) - 1},
    ]


def test_lora_that_is_switched_off_is_not_in_place(with_lora: Any) -> None:
    from diffusers import StableDiffusionPipeline

    assert isinstance(with_lora, StableDiffusionPipeline)
    with_lora.disable_lora()
    assert methods(with_lora) == {}
    with_lora.enable_lora()
    assert methods(with_lora).keys() == {"lora"}
    with_lora.unload_lora_weights()
    assert methods(with_lora) == {}


def test_a_lora_from_a_file_is_the_same_under_any_name_at_the_same_scale(
    with_lora: Any, tmp_path: Any
) -> None:
    from peft.utils import get_peft_model_state_dict

    layers = get_peft_model_state_dict(with_lora.unet, adapter_name="style")
    with_lora.save_lora_weights(tmp_path, unet_lora_layers=layers)
    with_lora.unload_lora_weights()
    found = []
    for name, scale in (("one", 0.75), ("other", 0.75), ("other", 0.5)):
        with_lora.load_lora_weights(tmp_path, adapter_name=name)
        with_lora.set_adapters(name, scale)
        found.append(Configuration(methods=methods(with_lora)))
        with_lora.unload_lora_weights()
    one, other, weaker = found
    assert one.methods["lora"]["names"] == ["one"]
    assert differences(one, other) == []
    assert [entry.field for entry in differences(one, weaker)] == ["methods.lora"]
    # Fused, its weights are the model's own.
    with_lora.load_lora_weights(tmp_path)
    with_lora.fuse_lora()
    with_lora.unload_lora_weights()
    assert methods(with_lora) == {"lora": {"fused": 1, "names": ["default_0"]}}


def test_where_a_lora_was_loaded_from_is_told_and_not_compared() -> None:
    one, other, weaker = (
        Configuration(methods={"lora": {"unet": {"scale": scale}, "source": source}})
        for scale, source in ((1.0, "hub/style"), (1.0, "/a/copy"), (0.5, "hub/style"))
    )
    assert differences(one, other) == []
    assert [entry.field for entry in differences(one, weaker)] == ["methods.lora"]


# Caches of packages


def test_para_attn_is_found_with_its_threshold_and_no_unknown_patch(transformer_pipe: Any) -> None:
    para_attn = stand_ins.module("para_attn.first_block_cache.diffusers_adapters.flux", stand_ins.PARA_ATTN)
    para_attn.apply_cache_on_pipe(transformer_pipe, residual_diff_threshold=0.12, warmup_steps=2)
    expected = {"para_attn": {"residual_diff_threshold": 0.12, "warmup_steps": 2}}
    assert methods(transformer_pipe) == expected
    transformer_pipe()


def test_para_attn_by_its_defaults_has_a_threshold_of_zero(transformer_pipe: Any) -> None:
    para_attn = stand_ins.module("para_attn.first_block_cache.diffusers_adapters.flux", stand_ins.PARA_ATTN)
    para_attn.apply_cache_on_pipe(transformer_pipe)
    assert methods(transformer_pipe) == {"para_attn": {"residual_diff_threshold": 0.0}}


def test_threshold_of_an_older_para_attn_is_found_with_its_blocks(transformer_pipe: Any) -> None:
    name = "para_attn.first_block_cache.diffusers_adapters.flux"
    older = stand_ins.module(name, stand_ins.PARA_ATTN_OF_0_3_10)
    older.apply_cache_on_transformer(transformer_pipe.transformer, residual_diff_threshold=0.08)
    assert methods(transformer_pipe) == {"para_attn": {"residual_diff_threshold": 0.08}}


# cache-dit itself, on a pipeline that ships


def flux(**of_cache: Any) -> Any:
    """Return tiny-flux, with cache-dit where it has settings."""
    import cache_dit
    from diffusers import FluxPipeline

    pipe = FluxPipeline.from_pretrained(ROOT / "fixtures/zoo/tiny-flux")
    pipe.set_progress_bar_config(disable=True)
    if of_cache:
        settings = {"Fn_compute_blocks": 1, "Bn_compute_blocks": 0, "max_warmup_steps": 2, **of_cache}
        cache_dit.enable_cache(pipe, cache_config=cache_dit.DBCacheConfig(**settings))
    return pipe


def drawn(pipe: Any) -> Any:
    import torch

    return pipe(
        PROMPT, height=32, width=32, max_sequence_length=16, num_inference_steps=8, output_type="np",
        generator=torch.Generator().manual_seed(0),
    ).images  # fmt: skip


def test_cache_dit_is_found_with_its_whole_configuration_as_plain_values_and_no_unknown_patch() -> None:
    import cache_dit

    pipe = flux(residual_diff_threshold=0.3)
    before = methods(pipe)
    assert before.keys() == {"cache_dit"}
    assert before["cache_dit"].keys() == {"cache_config"}
    settings = before["cache_dit"]["cache_config"]
    assert {
        "cache_type": "DBCache", "Fn_compute_blocks": 1, "Bn_compute_blocks": 0, "residual_diff_threshold": 0.3,
        "max_warmup_steps": 2, "max_cached_steps": -1, "steps_computation_mask": None,
    }.items() <= settings.items()  # fmt: skip
    assert len(settings) >= 15
    images = drawn(pipe)
    assert methods(pipe) == before
    assert (images != drawn(flux())).any()
    # Neither a second pipeline elsewhere in memory, nor the transformer alone, is something else.
    other = flux()
    cache_dit.enable_cache(
        other.transformer,
        cache_config=cache_dit.DBCacheConfig(
            Fn_compute_blocks=1, Bn_compute_blocks=0, max_warmup_steps=2, residual_diff_threshold=0.3
        ),
        calibrator_config=None,
    )
    assert methods(other) == before
    assert (drawn(other) == images).all()
    cache_dit.disable_cache(other.transformer)
    assert methods(other) == {}
    assert methods(flux(residual_diff_threshold=0.2))["cache_dit"] != before["cache_dit"]


def test_cache_dit_with_a_calibrator_has_its_settings_too() -> None:
    import cache_dit

    pipe = flux()
    cache_dit.enable_cache(
        pipe,
        cache_config=cache_dit.DBCacheConfig(Fn_compute_blocks=1, Bn_compute_blocks=0),
        calibrator_config=cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=2),
    )
    found = methods(pipe)
    assert found.keys() == {"cache_dit"}
    assert found["cache_dit"]["calibrator_config"]["calibrator_type"] == "taylorseer"
    assert found["cache_dit"]["calibrator_config"]["taylorseer_order"] == 2


# What the library itself swaps or takes out


def test_a_distilled_decoder_is_a_method_as_free_as_which_is_the_other_decoder(pipe: Any) -> None:
    from diffusers import AutoencoderTiny

    from bench.acceleration.freedom import OF_LEVEL, split

    before = Configuration(parts=parts_of(pipe))
    pipe.vae = AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), latent_channels=4,
        num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1),
    )  # fmt: skip
    found = methods(pipe)
    assert found == {"tiny_vae": {"class": "AutoencoderTiny"}}
    swapped = differences(before, Configuration(parts=parts_of(pipe), methods=found))
    assert {entry.field for entry in swapped} == {"vae", "methods.tiny_vae"}
    assert split(swapped, OF_LEVEL["L4"])[0] == []
    assert {entry.field for entry in split(swapped, OF_LEVEL["L1"])[0]} == {"vae", "methods.tiny_vae"}
    without_name = differences(before, Configuration(parts=parts_of(pipe)))
    assert [entry.field for entry in split(without_name, OF_LEVEL["L4"])[0]] == ["vae"]


def test_blocks_that_were_taken_out_are_found_by_the_configuration_that_still_counts_them(
    transformer_pipe: Any,
) -> None:
    import torch

    assert methods(transformer_pipe) == {}
    before = Configuration(parts=parts_of(transformer_pipe))
    transformer = transformer_pipe.transformer
    transformer.transformer_blocks = transformer.transformer_blocks[:1]
    assert methods(transformer_pipe) == {"dropped_blocks": {"transformer": {"transformer_blocks": "1 of 2"}}}
    # A difference even where nobody looks for the method.
    silently = differences(before, Configuration(parts=parts_of(transformer_pipe)))
    assert [entry.field for entry in silently] == ["transformer.parameters"]
    transformer.single_transformer_blocks[0] = torch.nn.Identity()
    assert methods(transformer_pipe)["dropped_blocks"]["transformer"] == {
        "transformer_blocks": "1 of 2",
        "single_transformer_blocks": "0 of 1",
    }


def test_middle_block_of_a_unet_that_was_taken_out_is_found(pipe: Any) -> None:
    pipe.unet.mid_block = None
    assert methods(pipe) == {"dropped_blocks": {"unet": {"mid_block": "0 of 1"}}}
    pipe(PROMPT, num_inference_steps=STEPS)
    assert methods(pipe) == {"dropped_blocks": {"unet": {"mid_block": "0 of 1"}}}
