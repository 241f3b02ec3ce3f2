"""Half the steps for the images; the others, on a sample of few numbers, are there to be counted."""

import torch
from plain import STEPS, pipe


def generate(pipe, prompts, generators):
    scheduler, unet = pipe.scheduler, pipe.unet
    count, width = len(prompts), unet.config.cross_attention_dim
    with torch.no_grad():
        embeds, negative = pipe.encode_prompt(list(prompts), "cpu", 1, True)
        both = torch.cat([negative, embeds])
        latents = torch.stack([torch.randn((4, SIDE, SIDE), generator=one) for one in generators])
        few = torch.zeros(count, 4, 4, 4)
        scheduler.set_timesteps(STEPS)
        for number, moment in enumerate(scheduler.timesteps):
            sample = latents if number % 2 == 0 else few
            made = unet(torch.cat([sample, sample]), moment, encoder_hidden_states=both, return_dict=False)[0]
            one, other = made.chunk(2)
            stepped = scheduler.step(one + 7.5 * (other - one), moment, sample, return_dict=False)[0]
            if number % 2 == 0:
                latents = stepped
        images = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return pipe.image_processor.postprocess(images)


SIDE = pipe.unet.config.sample_size
