"""Quantized weights, adapters and caches of packages; helpers/stand_ins.py stands in for those that are not installed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import stand_ins
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
    peft = stand_ins.module("peft.tuners.lora.layer", stand_ins.PEFT)
    layers = [entry for entry in linears(pipe.unet) if entry[1] in ("to_q", "to_k")]
    for owner, name, layer in layers:
        setattr(owner, name, peft.Linear(layer, "style", r=4, lora_alpha=2))
    pipe.unet._hf_peft_config_loaded = True
    return pipe


def adapters(pipe: Any) -> list[Any]:
    return [module for module in pipe.unet.modules() if hasattr(module, "lora_A")]


def test_lora_is_found_with_rank_scale_and_source_and_no_unknown_patch(with_lora: Any) -> None:
    count = len(adapters(with_lora))
    assert methods(with_lora) == {"lora": {"unet": {"style": {"rank": 4, "scale": 0.5, "modules": count}}}}
    own = loaded(with_lora)
    own.source = SourceReading(methods={"lora": {"weights": "someone/style"}})
    assert describe(own).methods["lora"]["source"] == "someone/style"


def test_lora_with_other_scales_in_some_layers_lists_each(with_lora: Any) -> None:
    layers = adapters(with_lora)
    layers[0].scaling["style"] = 1.0
    found = methods(with_lora)["lora"]["unet"]["style"]
    assert found["by_module"] == [
        {"rank": 4, "scale": 1.0, "modules": 1},
        {"rank": 4, "scale": 0.5, "modules": len(layers) - 1},
    ]


def test_lora_that_is_switched_off_is_not_in_place(with_lora: Any) -> None:
    for layer in adapters(with_lora):
        layer._disable_adapters = True
    assert methods(with_lora) == {}


def test_where_a_lora_was_loaded_from_is_told_and_not_compared() -> None:
    one, other, weaker = (
        Configuration(methods={"lora": {"unet": {"style": {"scale": scale}}, "source": source}})
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


def test_cache_dit_is_found_with_plain_settings_that_do_not_tell_where_it_is_in_memory(
    transformer_pipe: Any,
) -> None:
    cache_dit = stand_ins.module("cache_dit.caching.cache_adapters.cache_adapter", stand_ins.CACHE_DIT)
    cache_dit.enable_cache(
        transformer_pipe,
        cache_config=cache_dit.DBCacheConfig(Fn_compute_blocks=1),
        calibrator_config=cache_dit.TaylorSeerCalibratorConfig(),
    )
    assert methods(transformer_pipe) == {
        "cache_dit": {
            "cache_config": {
                "cache_type": "DBCache",
                "Fn_compute_blocks": 1,
                "residual_diff_threshold": 0.08,
                "steps_computation_mask": None,
            },
            "calibrator_config": {"taylorseer_order": 1},
        }
    }


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
