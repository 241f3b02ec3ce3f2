"""The acceleration methods that the source of a pipeline file can apply, and the calls that apply them.

A call is known by the last part of its name. What needs more than a row of a table here has a method of its
own in :mod:`bench.acceleration.source.applied`.
"""

from __future__ import annotations

KNOWN_METHODS: tuple[str, ...] = (
    "attention_slicing",
    "cache_dit",
    "deepcache",
    "faster_cache",
    "first_block_cache",
    "fused_qkv",
    "layer_skip",
    "layerwise_casting",
    "lora",
    "mag_cache",
    "pab",
    "para_attn",
    "precision",
    "quantized",
    "sea_cache",
    "taylorseer",
    "teacache",
    "text_kv_cache",
    "tgate",
    "tome",
    "torch_compile",
    "vae_slicing",
    "vae_tiling",
    "xformers",
)

# Methods of the pipeline or of a component: name -> (method, names of the positional parameters).
SWITCHED_ON: dict[str, tuple[str, tuple[str, ...]]] = {
    "enable_attention_slicing": ("attention_slicing", ("slice_size",)),
    "set_attention_slice": ("attention_slicing", ("slice_size",)),
    "enable_vae_tiling": ("vae_tiling", ()),
    "enable_tiling": ("vae_tiling", ()),
    "enable_vae_slicing": ("vae_slicing", ()),
    "enable_slicing": ("vae_slicing", ()),
    "enable_xformers_memory_efficient_attention": ("xformers", ("attention_op",)),
    "fuse_qkv_projections": ("fused_qkv", ()),
    "load_lora_weights": ("lora", ("weights",)),
    "enable_layerwise_casting": ("layerwise_casting", ("storage_dtype", "compute_dtype")),
}
SWITCHED_OFF: dict[str, tuple[str, ...]] = {
    "disable_attention_slicing": ("attention_slicing",),
    "disable_vae_tiling": ("vae_tiling",),
    "disable_tiling": ("vae_tiling",),
    "disable_vae_slicing": ("vae_slicing",),
    "disable_slicing": ("vae_slicing",),
    "disable_xformers_memory_efficient_attention": ("xformers",),
    "unfuse_qkv_projections": ("fused_qkv",),
    "unload_lora_weights": ("lora",),
    "disable_cache": (
        "faster_cache", "first_block_cache", "mag_cache", "pab", "sea_cache", "taylorseer", "text_kv_cache",
    ),
}  # fmt: skip
# Configuration classes of diffusers' hooks: an apply_*() function or enable_cache() takes one.
HOOK_CONFIGS: dict[str, str] = {
    "FasterCacheConfig": "faster_cache",
    "FirstBlockCacheConfig": "first_block_cache",
    "LayerSkipConfig": "layer_skip",
    "MagCacheConfig": "mag_cache",
    "PyramidAttentionBroadcastConfig": "pab",
    "SeaCacheConfig": "sea_cache",
    "TaylorSeerCacheConfig": "taylorseer",
    "TextKVCacheConfig": "text_kv_cache",
}
HOOK_FUNCTIONS: dict[str, str] = {
    "apply_faster_cache": "faster_cache",
    "apply_first_block_cache": "first_block_cache",
    "apply_layer_skip": "layer_skip",
    "apply_layerwise_casting": "layerwise_casting",
    "apply_mag_cache": "mag_cache",
    "apply_pyramid_attention_broadcast": "pab",
    "apply_sea_cache": "sea_cache",
    "apply_taylorseer_cache": "taylorseer",
    "apply_text_kv_cache": "text_kv_cache",
}
# An empty name is an argument that is no parameter of the method: the module that it is applied to.
TOME_PARAMETERS = ("", "ratio", "max_downsample", "sx", "sy", "use_rand", "merge_attn",
                   "merge_crossattn", "merge_mlp")  # fmt: skip
DEEPCACHE_PARAMETERS = ("cache_interval", "cache_branch_id", "skip_mode")
TGATE_PARAMETERS = ("gate_step", "sp_interval", "fi_interval", "warm_up")
PRECISIONS = {"half": "float16", "float16": "float16", "fp16": "float16", "bfloat16": "bfloat16"}
FULL_PRECISIONS = frozenset({"float", "float32", "double", "float64", "auto"})
