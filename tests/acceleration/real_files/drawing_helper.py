"""Settings by the name of a quality."""

STEPS = {"sketch": 3, "print": 8}


def draw(pipeline, quality):
    """Draw one picture."""
    return pipeline("a large yellow ring", num_inference_steps=STEPS[quality]).images[0]


def save_memory(pipeline):
    """Decode one picture at a time."""
    pipeline.vae.enable_slicing()
    return pipeline
