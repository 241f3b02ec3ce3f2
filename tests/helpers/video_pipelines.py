"""Pipeline files that make videos with models that are put together when they load, of random weights or the zoo's."""

from suites import ROOT

FRAMES, SIDE, STEPS = 4, 32, 2

# The zoo's images, each frame a little moved by a motion adapter of random weights.
ANIMATED = f"""
import torch
from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter, StableDiffusionPipeline

torch.manual_seed(0)
adapter = MotionAdapter(
    block_out_channels=(48, 96), motion_norm_num_groups=8, motion_num_attention_heads=2, use_motion_mid_block=False
)
for name, weight in adapter.named_parameters():
    if "proj_out" in name:
        weight.data *= 0.1
still = StableDiffusionPipeline.from_pretrained({str(ROOT / "fixtures/zoo/tiny-sd")!r})
pipe = AnimateDiffPipeline(
    vae=still.vae, text_encoder=still.text_encoder, tokenizer=still.tokenizer, unet=still.unet, motion_adapter=adapter,
    scheduler=DDIMScheduler.from_config(still.scheduler.config),
)

if __name__ == "__main__":
    pipe("a small red star", num_frames={FRAMES}, num_inference_steps={STEPS}, guidance_scale=7.5)
"""

WAN_FRAMES, WAN_SIDE = 5, 16

WAN = f"""
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

torch.manual_seed(0)
words = ["<pad>", "</s>", "<unk>", "a", "red", "star", "blue", "circle"]
plain = Tokenizer(models.WordLevel({{word: number for number, word in enumerate(words)}}, unk_token="<unk>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
pipe = WanPipeline(
    tokenizer=PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"),
    text_encoder=UMT5EncoderModel(
        UMT5Config(vocab_size=len(words), d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    ).eval(),
    transformer=WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=32,
        freq_dim=32, ffn_dim=32, num_layers=1, rope_max_seq_len=32,
    ),
    vae=AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ),
    scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
)

if __name__ == "__main__":
    pipe(
        "a red star", height={WAN_SIDE}, width={WAN_SIDE}, num_frames={WAN_FRAMES}, num_inference_steps={STEPS},
        max_sequence_length=16,
    )
"""

SVD_FRAMES, SVD_SIDE = 3, 32

# It takes an image and no prompt.
SVD = f"""
import torch
from diffusers import (
    AutoencoderKLTemporalDecoder, EulerDiscreteScheduler, StableVideoDiffusionPipeline, UNetSpatioTemporalConditionModel
)
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

torch.manual_seed(0)
pipe = StableVideoDiffusionPipeline(
    vae=AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4
    ),
    image_encoder=CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32, projection_dim=32, num_hidden_layers=1, num_attention_heads=2, image_size=224,
            intermediate_size=37, patch_size=56,
        )
    ).eval(),
    unet=UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 32), layers_per_block=1, in_channels=8, out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=32,
        num_attention_heads=4, projection_class_embeddings_input_dim=96, addition_time_embed_dim=32,
    ),
    scheduler=EulerDiscreteScheduler(prediction_type="v_prediction", use_karras_sigmas=True),
    feature_extractor=CLIPImageProcessor(crop_size={{"height": 224, "width": 224}}, size={{"shortest_edge": 224}}),
)

if __name__ == "__main__":
    pipe(
        Image.new("RGB", ({SVD_SIDE}, {SVD_SIDE})), height={SVD_SIDE}, width={SVD_SIDE}, num_frames={SVD_FRAMES},
        num_inference_steps={STEPS},
    )
"""
