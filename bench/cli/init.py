"""``init``: a task list, a baseline, a candidate and the settings of pytest, to begin with."""

from __future__ import annotations

from pathlib import Path

from bench.cli.refusing import refuse
from bench.shipped import shipped_root

_BASELINE = '''"""The pipeline as it is today. Modelgate runs this file as a script and watches the call at its end."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained({model!r})
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    images = pipe("a red circle above a blue square", num_inference_steps=30).images
    images[0].save("baseline.png")
'''
_CANDIDATE = '''"""The faster version. What differs from the baseline is found by running it, not by its text."""

from DeepCache import DeepCacheSDHelper
from diffusers import DDIMScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained({model!r})
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
helper = DeepCacheSDHelper(pipe=pipe)
helper.set_params(cache_interval=3, cache_branch_id=0)
helper.enable()

if __name__ == "__main__":
    images = pipe("a red circle above a blue square", num_inference_steps=30).images
    images[0].save("candidate.png")
'''
_TASKS = """[
 {
  "prompt_id": 1,
  "difficulty": "hard",
  "level": "L4",
  "prompt_context": "Make the 30 DDIM steps at least 1.3x faster, with at most 5% quality loss.",
  "target_file": "baseline.py",
  "baseline_file": "baseline.py",
  "candidate_file": "candidate.py"
 }
]
"""
_INI = """[pytest]
modelgate = true
modelgate_tasks = tasks.json
modelgate_prompts = {prompts}
modelgate_clip = {clip}
"""
_NEXT = """
next, in {folder}:
  modelgate judge candidate.py --baseline baseline.py --speedup 1.3      one verdict, with a card
  pytest --modelgate                                                     all tasks of tasks.json
Put your model in the place of {model} in both files; then give prompts and a CLIP model that know it (pytest.ini).
"""


def init(folder: Path) -> int:
    """Write a first task into a folder; nothing that is there is written over. Return the exit code."""
    shipped = shipped_root() / "fixtures"
    model = str(shipped / "zoo" / "tiny-sd")
    files = {
        "baseline.py": _BASELINE.format(model=model),
        "candidate.py": _CANDIDATE.format(model=model),
        "tasks.json": _TASKS,
        "pytest.ini": _INI.format(
            prompts=shipped / "datasets" / "shapes_prompts.jsonl", clip=shipped / "zoo" / "tiny-clip"
        ),
    }
    there = [name for name in files if (folder / name).exists()]
    if there:
        return refuse(
            f"{folder}: found {', '.join(there)} there, expected a folder without them; name another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        return refuse(f"{folder}: {error.strerror}; expected a folder that can be written to; name another")
    print("\n".join(f"wrote {folder / name}" for name in files))
    print(_NEXT.format(folder=folder, model="tiny-sd").rstrip())
    return 0
