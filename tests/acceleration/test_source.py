"""What is read from the text of a pipeline file, and that nothing in it is ever executed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bench.acceleration.detectors import shipped
from bench.acceleration.source.reading import EntryCall, SourceReading, read_source
from bench.core.errors import SourceProblem

HEAD = "import torch\nfrom diffusers import StableDiffusionPipeline\n"
PIPE = HEAD + "pipe = StableDiffusionPipeline.from_pretrained('org/tiny-sd')\n"


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str, **options: bool) -> SourceReading:
        file = tmp_path / "pipelines" / "file.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return read_source(file, **options)

    return read


def test_a_whole_file_is_read(read, tmp_path: Path) -> None:
    reading = read(
        """
        from pathlib import Path
        import tomesd, torch
        from DeepCache import DeepCacheSDHelper
        from diffusers import DPMSolverMultistepScheduler as DPM, StableDiffusionPipeline

        MODEL = Path(__file__).resolve().parents[1] / "zoo" / "tiny-sd"
        STEPS = 20

        def load_pipe(interval=3):
            pipe = StableDiffusionPipeline.from_pretrained(str(MODEL), torch_dtype=torch.bfloat16)
            pipe.scheduler = DPM.from_config(pipe.scheduler.config)
            helper = DeepCacheSDHelper(pipe=pipe)
            helper.set_params(cache_interval=interval, cache_branch_id=0)
            helper.enable()
            tomesd.apply_patch(pipe, ratio=0.5)
            pipe = pipe.to("cpu")
            return pipe

        def main():
            pipe = load_pipe()
            images = pipe(["a cat"], num_inference_steps=STEPS, guidance_scale=7.5).images

        if __name__ == "__main__":
            main()
        """
    )
    assert (reading.defines_pipe, reading.defines_load_pipe, reading.defines_generate) == (False, True, False)
    assert reading.pipeline_class == "StableDiffusionPipeline"
    assert reading.model_id == str(tmp_path.resolve() / "zoo" / "tiny-sd")
    assert reading.scheduler_class == "DPMSolverMultistepScheduler"
    assert reading.num_inference_steps == 20
    assert reading.methods == {
        "deepcache": {"cache_interval": 3, "cache_branch_id": 0},
        "precision": {"dtype": "bfloat16"},
        "tome": {"ratio": 0.5},
    }
    assert reading.entry == EntryCall(
        None, (("num_inference_steps", "STEPS"), ("guidance_scale", "7.5")), ("['a cat']",), 22
    )


@pytest.mark.parametrize(
    ("text", "defined"),
    [
        ("pipe = 1", "pipe"),
        ("pipe: object = make()", "pipe"),
        ("from elsewhere import pipe", "pipe"),
        ("with make() as pipe:\n    pass", "pipe"),
        ("try:\n    pipe = a()\nexcept ImportError:\n    pipe = b()", "pipe"),
        ("def main():\n    global pipe\n    pipe = 1", "pipe"),
        ("def load_pipe():\n    return 1", "load_pipe"),
        ("load_pipe = lambda: 1", "load_pipe"),
        ("from elsewhere import load_pipe", "load_pipe"),
        ("from elsewhere import build as load_pipe", "load_pipe"),
        ("def generate(pipe, prompts, generators):\n    return []", "generate"),
        ("pipe: object", None),
        ("pipeline = 1", None),
        ("from elsewhere import pipe as other", None),
        ("if __name__ == '__main__':\n    pipe = 1", None),
        ("if False:\n    pipe = 1", None),
        ("def main():\n    pipe = 1", None),
        ("class A:\n    pipe = 1\n    def load_pipe(self): ...", None),
        ("async def load_pipe(): ...", None),
        ("", None),
    ],
)
def test_what_a_file_defines_on_import_is_seen(read, text: str, defined: str | None) -> None:
    reading = read(text)
    found = {name for name in ("pipe", "load_pipe", "generate") if getattr(reading, f"defines_{name}")}
    assert found == ({defined} if defined else set())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pipe = StableDiffusionPipeline.from_pretrained('m')", "StableDiffusionPipeline"),
        ("pipe = StableDiffusionPipeline(unet=unet)", "StableDiffusionPipeline"),
        ("import diffusers\npipe = diffusers.DiTPipeline.from_pretrained('m')", "DiTPipeline"),
        ("from diffusers import DiTPipeline as P\npipe = P.from_pretrained('m')", "DiTPipeline"),
        ("P = StableDiffusionPipeline\npipe = P.from_pretrained('m')", "StableDiffusionPipeline"),
        ("pipe = AutoPipelineForText2Image.from_pretrained('m').to('cuda')", "AutoPipelineForText2Image"),
        ("p = DiffusionPipeline.from_pretrained('m')\npipe = p", "DiffusionPipeline"),
        ("pipe = DiTPipeline.from_pretrained('m')\npipe = pipe.to('cpu')", "DiTPipeline"),
        ("pipe = TgateSDLoader(StableDiffusionPipeline.from_pretrained('m'), gate_step=5)", "StableDiffusionPipeline"),
        ("from speed import accelerate\npipe = accelerate(DiTPipeline.from_pretrained('m'))", "DiTPipeline"),
        ("def build():\n    return DiTPipeline.from_pretrained('m')\npipe = build()", "DiTPipeline"),
        ("def fast(p):\n    return p\npipe = fast(DiTPipeline.from_pretrained('m'))", "DiTPipeline"),
        ("pipe = DiTPipeline.from_pretrained('m') if big else X.from_pretrained('m')", "DiTPipeline"),
        ("def load_pipe():\n    with no_grad():\n        pipe = DiTPipeline.from_pretrained('m')\n    return pipe",
         "DiTPipeline"),
        ("load_pipe = lambda: DiTPipeline.from_pretrained('m')", "DiTPipeline"),
        ("other = DiTPipeline.from_pretrained('m')\npipe = StableDiffusionPipeline.from_pretrained('m')",
         "StableDiffusionPipeline"),
        ("from elsewhere import pipe", None),
        ("pipe = pipe", None),
        ("def load_pipe():\n    return load_pipe()", None),
        ("pipe = make()", None),
    ],
)  # fmt: skip
def test_the_class_that_ends_up_in_pipe_is_found(read, text: str, name: str | None) -> None:
    assert read(text).pipeline_class == name


def test_a_caller_chooses_which_of_pipe_and_load_pipe_is_described(read) -> None:
    text = "pipe = A.from_pretrained('a')\ndef load_pipe():\n    return B.from_pretrained('b')\n"
    assert read(text).model_id == "a"
    assert read(text, prefer_load_pipe=True).model_id == "b"


@pytest.mark.parametrize(
    ("head", "argument", "model"),
    [
        ("", "'org/model'", "org/model"),
        ("", "pretrained_model_name_or_path='org/model'", "org/model"),
        ("MODEL: str = 'org/model'", "MODEL", "org/model"),
        ("ORG = 'org'", "f'{ORG}/model'", "org/model"),
        ("ORG = 'org'", "ORG + '/' + 'model'", "org/model"),
        ("C = {'model': 'org/model'}", "C['model']", "org/model"),
        ("import os", "os.environ.get('MODEL', 'org/model')", "org/model"),
        ("import os", "os.path.join('zoo', 'tiny')", "zoo/tiny"),
        ("from pathlib import Path", "Path('zoo') / 'tiny'", "zoo/tiny"),
        ("import pathlib as pl", "str(pl.Path('zoo', 'tiny'))", "zoo/tiny"),
        ("import sys", "sys.argv[1]", None),
        ("", "'%s' % name", None),
        ("", "MODEL", None),
        ("A = A", "A", None),
        ("", "", None),
    ],
)
def test_a_model_id_is_resolved_where_it_is_constant(
    read, head: str, argument: str, model: str | None
) -> None:
    assert read(f"{head}\npipe = DiTPipeline.from_pretrained({argument})").model_id == model


def test_a_path_beside_the_file_is_resolved(read, tmp_path: Path) -> None:
    for expression in (
        "Path(__file__).parent.parent / 'zoo'",
        "Path(__file__).resolve().parents[1].joinpath('zoo')",
        "os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'zoo')",
    ):
        reading = read(f"import os\nfrom pathlib import Path\npipe = P.from_pretrained({expression})")
        assert Path(reading.model_id).resolve() == (tmp_path / "zoo").resolve()


def test_an_argument_of_load_pipe_is_followed(read) -> None:
    text = "def build(model, n=1):\n    return P.from_pretrained(model)\npipe = build('org/one', n=2)\n"
    assert read(text).model_id == "org/one"
    assert read("def load_pipe(model='org/two'):\n    return P.from_pretrained(model)").model_id == "org/two"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)", "DDIMScheduler"),
        ("s = DDIMScheduler()\npipe.scheduler = s", "DDIMScheduler"),
        ("pipe.scheduler = A()\npipe.scheduler = UniPCMultistepScheduler()", "UniPCMultistepScheduler"),
        ("def fast(pipe):\n    pipe.scheduler = DDIMScheduler()\nfast(pipe)", "DDIMScheduler"),
        ("pipe = DiTPipeline.from_pretrained('m', scheduler=DDIMScheduler())", "DDIMScheduler"),
        ("s = DDIMScheduler.from_pretrained('m')\npipe = DiTPipeline.from_pretrained('m', scheduler=s)",
         "DDIMScheduler"),
        ("pipe = DiTPipeline.from_pretrained('m', scheduler=A())\npipe.scheduler = DDIMScheduler()", "DDIMScheduler"),
        ("def never(pipe):\n    pipe.scheduler = DDIMScheduler()", None),
        ("if __name__ == '__main__':\n    pipe.scheduler = DDIMScheduler()", None),
        ("other.scheduler = DDIMScheduler()", None),
        ("pipe.scheduler = make(pipe)", None),
    ],
)  # fmt: skip
def test_the_scheduler_that_is_set_last_is_found(read, text: str, name: str | None) -> None:
    assert read(PIPE + text).scheduler_class == name


HELPER = "from DeepCache import DeepCacheSDHelper as Helper\nhelper = Helper(pipe=pipe)\n"
METHODS = [
    (HELPER + "helper.set_params(cache_interval=2, cache_branch_id=0)\nhelper.enable()",
     {"deepcache": {"cache_interval": 2, "cache_branch_id": 0}}),
    (HELPER + "helper.set_params(3, 1, skip_mode='uniform')\nhelper.enable()",
     {"deepcache": {"cache_interval": 3, "cache_branch_id": 1, "skip_mode": "uniform"}}),
    (HELPER + "O = dict(cache_interval=2)\nhelper.set_params(**O)\nhelper.enable()", {"deepcache": {"cache_interval": 2}}),
    (HELPER + "helper.set_params(cache_interval=2)", {}),
    (HELPER + "helper.enable()\nhelper.disable()", {}),
    ("gate.enable()", {}),
    ("import tomesd\ntomesd.apply_patch(pipe, 0.4, max_downsample=2)", {"tome": {"ratio": 0.4, "max_downsample": 2}}),
    ("from tomesd import apply_patch as patch\npatch(pipe.unet, ratio=R)", {"tome": {"ratio": "R"}}),
    ("import tomesd\ntomesd.apply_patch(pipe, 0.4)\ntomesd.remove_patch(pipe)", {}),
    ("import tomesd\ntomesd.remove_patch(pipe)\ntomesd.apply_patch(pipe, 0.4)", {"tome": {"ratio": 0.4}}),
    ("other.apply_patch(pipe, 0.4)", {}),
    ("from tgate import TgateSDLoader\npipe = TgateSDLoader(pipe, gate_step=9, num_inference_steps=20)\n"
     "pipe.tgate('a', gate_step=10)", {"tgate": {"gate_step": 10}}),
    ("from tgate import TgateSDLoader\npipe = TgateSDLoader(pipe, gate_step=9)\npipe('a')", {}),
    ("from tgate import TgateSDDeepCacheLoader\npipe = TgateSDDeepCacheLoader(pipe, cache_interval=3)\n"
     "if __name__ == '__main__':\n    pipe.tgate('a', gate_step=10)",
     {"deepcache": {"cache_interval": 3}, "tgate": {"gate_step": 10}}),
    ("pipe.unet = torch.compile(pipe.unet, mode='reduce-overhead')", {"torch_compile": {"mode": "reduce-overhead"}}),
    ("pipe.unet.compile(fullgraph=True)", {"torch_compile": {"fullgraph": True}}),
    ("pipe.unet.compile_repeated_blocks(fullgraph=True)", {"torch_compile": {"fullgraph": True}}),
    (
        "from accelerate.utils import compile_regions\npipe.unet = compile_regions(pipe.unet, fullgraph=True)",
        {"torch_compile": {"fullgraph": True}},
    ),
    ("from mine import compile_regions\ncompile_regions(pipe.unet)", {}),
    ("import re\nre.compile('a')\ncompile('1', 'f', 'eval')", {}),
    ("pipe.to(torch.float16)", {"precision": {"dtype": "float16"}}),
    ("pipe.to('cuda', torch.bfloat16)", {"precision": {"dtype": "bfloat16"}}),
    ("pipe.unet.to(dtype=torch.bfloat16)", {"precision": {"dtype": "bfloat16"}}),
    ("pipe.unet.half()", {"precision": {"dtype": "float16"}}),
    ("pipe.half()\npipe.float()", {}),
    ("pipe.to('cuda')\nlatents.to(torch.float16)\nx.half()", {}),
    ("D = torch.float16\npipe = P.from_pretrained('m', torch_dtype=D)", {"precision": {"dtype": "float16"}}),
    ("pipe = P.from_pretrained('m', torch_dtype=torch.float32)", {}),
    ("pipe = P.from_pretrained('m', dtype=pick())", {"precision": {"dtype": "pick()"}}),
    ("pipe.enable_attention_slicing()", {"attention_slicing": {}}),
    ("pipe.enable_attention_slicing(1)", {"attention_slicing": {"slice_size": 1}}),
    ("pipe.enable_attention_slicing()\npipe.disable_attention_slicing()", {}),
    ("pipe.enable_vae_tiling()", {"vae_tiling": {}}),
    ("pipe.vae.enable_tiling()", {"vae_tiling": {}}),
    ("pipe.vae.enable_slicing()", {"vae_slicing": {}}),
    ("pipe.enable_xformers_memory_efficient_attention()", {"xformers": {}}),
    ("pipe.fuse_qkv_projections()", {"fused_qkv": {}}),
    ("pipe.load_lora_weights('l')\npipe.fuse_lora()", {"lora": {"weights": "l"}}),
    ("from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache\n"
     "apply_first_block_cache(pipe.transformer, FirstBlockCacheConfig(threshold=0.2))",
     {"first_block_cache": {"threshold": 0.2}}),
    ("c = diffusers.PyramidAttentionBroadcastConfig(spatial_attention_block_skip_range=2)\n"
     "pipe.transformer.enable_cache(c)", {"pab": {"spatial_attention_block_skip_range": 2}}),
    ("pipe.transformer.enable_cache(FasterCacheConfig())\npipe.transformer.disable_cache()", {}),
    ("apply_taylorseer_cache(pipe.transformer, TaylorSeerCacheConfig(cache_interval=5))",
     {"taylorseer": {"cache_interval": 5}}),
    ("apply_mag_cache(pipe.transformer, MagCacheConfig(threshold=0.1))", {"mag_cache": {"threshold": 0.1}}),
    ("apply_layer_skip(pipe.transformer, LayerSkipConfig(indices=[1]))", {"layer_skip": {"indices": [1]}}),
    ("import cache_dit\ncache_dit.enable_cache(pipe, threshold=0.1)", {"cache_dit": {"threshold": 0.1}}),
    ("from para_attn.first_block_cache.diffusers_adapters import apply_cache_on_pipe\n"
     "apply_cache_on_pipe(pipe, residual_diff_threshold=0.1)", {"para_attn": {"residual_diff_threshold": 0.1}}),
    ("FluxTransformer2DModel.forward = teacache_forward", {"teacache": {}}),
    ("pipe = P.from_pretrained('m', quantization_config=Config(bits=4))", {"quantized": {"config": "Config(bits=4)"}}),
    ("from torchao.quantization import quantize_, int8_weight_only\nquantize_(pipe.unet, int8_weight_only())",
     {"quantized": {"config": "int8_weight_only()"}}),
    ("if False:\n    pipe.enable_vae_tiling()", {}),
    ("if 0:\n    pass\nelse:\n    pipe.enable_vae_tiling()", {"vae_tiling": {}}),
    ("def never(pipe):\n    pipe.enable_vae_tiling()", {}),
    ("def fast(pipe):\n    pipe.enable_vae_tiling()\nfast(pipe)", {"vae_tiling": {}}),
    ("if __name__ == '__main__':\n    pipe.enable_vae_tiling()", {}),
    ("'''pipe.enable_vae_tiling()'''  # pipe.enable_vae_tiling()", {}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "methods"), METHODS)
def test_methods_and_their_parameters_are_read(read, text: str, methods: dict) -> None:
    found = read(PIPE + text).methods
    assert found == methods
    assert set(found) <= set(shipped.METHODS)


@pytest.mark.parametrize(
    ("text", "attribute", "positional", "keywords"),
    [
        ("pipe('a cat')", None, ("'a cat'",), ()),
        ("pipe(prompt='a cat', eta=ETA + 1)", None, (), (("prompt", "'a cat'"), ("eta", "ETA + 1"))),
        ("pipe.tgate('a cat', gate_step=10)", "tgate", ("'a cat'",), (("gate_step", "10"),)),
        ("images = pipe('a').images[0]", None, ("'a'",), ()),
        ("with torch.no_grad():\n    for p in prompts:\n        pipe(p)", None, ("p",), ()),
        ("if __name__ == '__main__':\n    pipe('a')", None, ("'a'",), ()),
        ("sd = pipe\nsd('a')", None, ("'a'",), ()),
        ("pipe('first')\npipe('last')", None, ("'last'",), ()),
        ("pipe('a')\npipe.to('cuda')\npipe.enable_vae_tiling(1)\npipe.unet(x)\npipe.vae.decode(x)\n"
         "pipe.encode_prompt('a')\npipe.set_progress_bar_config(disable=True)\nprint('a')\nother('a')",
         None, ("'a'",), ()),
        ("O = dict(eta=1)\npipe('a', **O)", None, ("'a'",), (("**", "O"),)),
        ("pipe(class_labels=[1])", None, (), (("class_labels", "[1]"),)),
        ("def generate(model, prompts, generators):\n    return model(prompts, eta=1).images",
         None, ("prompts",), (("eta", "1"),)),
        ("class Runner:\n    def run(self):\n        return self.pipe('a')", None, ("'a'",), ()),
        ("pipe.__call__('a')", None, ("'a'",), ()),
        ("def main():\n    steps = 7\n    pipe('a', num_inference_steps=steps)", None, ("'a'",),
         (("num_inference_steps", "7"),)),
    ],
)  # fmt: skip
def test_the_call_with_which_the_file_generates_is_found(
    read, text: str, attribute: str | None, positional: tuple, keywords: tuple
) -> None:
    entry = read(PIPE + text).entry
    assert entry is not None
    assert (entry.attribute, entry.positional, entry.keywords) == (attribute, positional, keywords)


@pytest.mark.parametrize(
    "text", ["", "pipe.to('cuda')", "pipe()", "other('a')", "pipe.load_lora_weights('a')"]
)
def test_a_file_that_generates_nothing_has_no_entry(read, text: str) -> None:
    assert read(PIPE + text).entry is None


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("pipe('a', num_inference_steps=20)", 20),
        ("STEPS = 10 * 2\npipe('a', num_inference_steps=STEPS)", 20),
        ("O = {'num_inference_steps': 20}\npipe('a', **O)", 20),
        (
            "def generate(pipe, prompts, generators, steps=20):\n    return pipe(prompts, num_inference_steps=steps)",
            20,
        ),
        ("def run(steps=20):\n    return pipe('a', num_inference_steps=steps)\nrun(steps=5)", None),
        ("pipe('a', num_inference_steps=20)\npipe('a', num_inference_steps=30)", 30),
        ("pipe('a', num_inference_steps=True)", None),
        ("pipe('a', num_inference_steps=n)", None),
        ("pipe('a')", None),
    ],
)
def test_the_steps_of_the_entry_call_are_resolved(read, text: str, steps: int | None) -> None:
    assert read(PIPE + text).num_inference_steps == steps


@pytest.mark.parametrize(
    ("text", "unsure"),
    [
        ("", set()),
        ("pipe.enable_attention_slicing()", set()),
        ("lora = None\nif lora is not None:\n    pipe.load_lora_weights(lora)", {"methods.lora"}),
        ("for part in []:\n    pipe.vae.enable_tiling()", {"methods.vae_tiling"}),
        ("while pipe is None:\n    pipe.vae.enable_tiling()", {"methods.vae_tiling"}),
        ("try:\n    pipe.enable_xformers_memory_efficient_attention()\nexcept ImportError:\n    pass", {"methods.xformers"}),
        ("try:\n    pipe.unet = torch.compile(pipe.unet)\nfinally:\n    pass", set()),
        ("match len('x'):\n    case 1:\n        pipe.unet.compile()", {"methods.torch_compile"}),
        ("fast = False\nfast and pipe.unet.compile()", {"methods.torch_compile"}),
        ("pipe.enable_attention_slicing()\nif slow():\n    pipe.disable_attention_slicing()", {"methods.attention_slicing"}),
        ("DTYPE = torch.float16 if torch.cuda.is_available() else torch.float32\npipe.to(DTYPE)", {"methods.precision"}),
        ("def speed_up():\n    pipe.unet.compile()\nif fast():\n    speed_up()", {"methods.torch_compile"}),
        ("def speed_up():\n    pipe.unet.compile()\nspeed_up()", set()),
        ("def up(p):\n    if p is None:\n        return\n    pipe.unet.compile()\nup(pipe)", {"methods.torch_compile"}),
        ("def up(p):\n    for n in p:\n        if n:\n            break\n    pipe.unet.compile()\nup([])", set()),
        ("if fast():\n    pipe.scheduler = DDIMScheduler()", {"scheduler_class"}),
        ("S = DDIMScheduler\nif fast():\n    S = LCMScheduler\npipe.scheduler = S()", {"scheduler_class"}),
        ("N = 9\nif fast():\n    N = 2\npipe('x', num_inference_steps=N)", {"num_inference_steps"}),
        ("import os\npipe('x', num_inference_steps=int(os.getenv('N', 9)))", {"num_inference_steps"}),
        (
            "if fast():\n    pipe = StableDiffusionPipeline.from_pretrained('b')",
            {"pipeline_class", "model_id", "scheduler_class"},
        ),
    ],
)  # fmt: skip
def test_what_a_text_leaves_open_is_told(read, text: str, unsure: set[str]) -> None:
    assert read(f"{PIPE}{text}\n").unsure == unsure


def test_what_stands_behind_a_return_counts_for_nothing(read) -> None:
    reading = read(
        f"""{HEAD}
def load_pipe():
    pipe = StableDiffusionPipeline.from_pretrained('org/tiny-sd')
    return pipe
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
    pipe.enable_attention_slicing()

def main():
    load_pipe()('x', num_inference_steps=7)
    return
    load_pipe()('x', num_inference_steps=9)
"""
    )
    assert (reading.scheduler_class, reading.methods, reading.num_inference_steps) == (None, {}, 7)


@pytest.mark.parametrize(
    ("text", "may_hide"),
    [
        ("from speed import up\npipe = up(pipe)", True),
        ("import speed.caches as c\nc.up(pipe.unet, 3)", True),
        ("getattr(pipe, 'enable_' + 'slicing')()", True),
        ("from speed import up\nup(3)", False),
        ("import tomesd\ntomesd.apply_patch(pipe)", False),
        ("def up(p):\n    return p\npipe = up(pipe)", False),
        ("print(pipe)", False),
    ],
)
def test_a_call_that_may_apply_anything_is_told(read, text: str, may_hide: bool) -> None:
    assert read(f"{PIPE}{text}\n").may_hide_methods is may_hide


def test_a_method_that_is_on_only_within_generate_is_read_with_its_parameters(read) -> None:
    reading = read(
        f"""{PIPE}
from contextlib import contextmanager
from DeepCache import DeepCacheSDHelper
from tgate import TgateSDLoader

@contextmanager
def caching(model, interval):
    helper = DeepCacheSDHelper(pipe=model)
    helper.set_params(cache_interval=interval)
    helper.enable()
    yield
    helper.disable()

def generate(pipe, prompts, generators):
    gated = TgateSDLoader(pipe, gate_step=6)
    with caching(pipe, 2):
        return gated.tgate(prompts, gate_step=6, num_inference_steps=9).images

pipe('x', num_inference_steps=40)
"""
    )
    assert reading.methods["tgate"] == {"gate_step": 6}
    assert "deepcache" in reading.methods
    assert (reading.entry.attribute, reading.num_inference_steps) == ("tgate", 9)


def test_reading_executes_nothing_and_imports_no_framework(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    file = tmp_path / "file.py"
    file.write_text(f"open({str(marker)!r}, 'w').close()\nraise SystemExit(3)\npipe = 1\n")
    program = (
        "import sys\nfrom pathlib import Path\nfrom bench.acceleration.source.reading import read_source\n"
        f"assert read_source(Path({str(file)!r})).defines_pipe\n"
        "assert not {'torch', 'diffusers', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"x = 1\npipe = (\n", ["line 2, column 8", "never closed", "expected valid Python"]),
        (b"def f(:\n  pass", ["line 1, column 7", "'def f(:'"]),
        (b"pipe = '\xff'", ["not UTF-8", "0xff at offset 8", "save it in that encoding"]),
        (b"pipe = 1\x00", ["null bytes"]),
        (
            b"import torch\n!pip install diffusers\n",
            ["line 2", "lines of the notebook that begin with ! or %"],
        ),
        (b"pipe = " + b"-" * 200_000 + b"1", ["cannot be parsed"]),
        (b"pipe = " + b"(" * 5_000, ["too many nested parentheses"]),
        (b"#" * 1_000_001, ["1,000,001 bytes", "at most 1,000,000"]),
        (
            b"# coding: klingon\npipe = 1",
            ["an encoding that Python does not know", "klingon", "save it in that encoding"],
        ),
        (b"# no coding is declared\npipe = '\xff'", ["not UTF-8", "0xff at offset 32"]),
        (
            b"# coding: rot13\npipe = 1",
            ["declares the encoding rot13", "makes no text", "expected Python source in UTF-8"],
        ),
        (b"# coding: ascii\npipe = '\xff'", ["is not ASCII", "0xff at offset 24"]),
        (b"PK\x03\x04\x00\x00\xa6\xff", ["is no text", "correct the path"]),
        ("pipe = 1".encode("utf-16"), ["not UTF-8", "save it in that encoding"]),
    ],
)
def test_a_file_that_is_no_python_is_a_problem_that_says_where(
    tmp_path: Path, content: bytes, expected: list[str]
) -> None:
    file = tmp_path / "bad.py"
    file.write_bytes(content)
    with pytest.raises(SourceProblem) as caught:
        read_source(file)
    message = str(caught.value)
    assert str(file) in message
    assert len(message) < 600
    for fragment in expected:
        assert fragment in message


def test_a_notebook_is_to_be_exported_however_large_it_is(tmp_path: Path) -> None:
    file = tmp_path / "fast.ipynb"
    file.write_text('{"cells": [], "nbformat": 4' + " " * 1_000_000 + "}")
    with pytest.raises(
        SourceProblem, match=r"is a notebook; expected a Python file; .*nbconvert --to script"
    ):
        read_source(file)


def test_a_missing_file_and_a_directory_are_problems(tmp_path: Path) -> None:
    with pytest.raises(SourceProblem, match="No such file"):
        read_source(tmp_path / "missing.py")
    with pytest.raises(SourceProblem, match="no regular file"):
        read_source(tmp_path)


def test_an_encoding_that_the_file_declares_is_used(tmp_path: Path) -> None:
    file = tmp_path / "old.py"
    file.write_bytes("# -*- coding: latin-1 -*-\npipe = P.from_pretrained('größe')\n".encode("latin-1"))
    assert read_source(file).model_id == "größe"


@pytest.mark.parametrize(
    "line",
    [
        "guidance_scale = 7.5", "strength: float = 0.8", "def f(g=7.5):\n    return 0.5", "x = b'0'", "x = 2j", "...",
        "x: bytes = b''", "def f(*, g=..., h=2j) -> 0.5: ...", "async def f(g=7.5):\n    return 0.5", "lambda g=7.5: ...",
        "match 0.5:\n    case 7.5 | None:\n        ...", "with 0.5 as x:\n    ...", "for x in 0.5:\n    ...",
        "try:\n    ...\nexcept* 0.5:\n    ...", "class A(metaclass=0.5):\n    x = 0.5", "if 0.5:\n    x = 0.5", "del x[0.5]",
    ],
)  # fmt: skip
def test_a_constant_of_any_kind_hides_nothing_of_the_file(read, line: str) -> None:
    reading = read(f"{line}\n{PIPE}pipe('a cat', num_inference_steps=20)\n")
    assert (reading.pipeline_class, reading.num_inference_steps) == ("StableDiffusionPipeline", 20)


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("2j", "2j"),
        ("b'x'", "b'x'"),
        ("...", "..."),
        ("1e400", "1e309"),
        ("[1, {2: 3}]", "[1, {2: 3}]"),
        ("0.5", 0.5),
    ],
)
def test_a_parameter_is_something_that_a_record_can_hold(read, given: str, read_as: object) -> None:
    reading = read(f"{PIPE}import tomesd\ntomesd.apply_patch(pipe, ratio={given})\n")
    assert reading.methods == {"tome": {"ratio": read_as}}


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "bom.py"
    file.write_bytes(b"\xef\xbb\xbfpipe = 1\n")
    assert read_source(file).defines_pipe


@pytest.mark.parametrize(
    "text",
    [
        "a0 = 'x' * 10**9\n"
        + "".join(f"a{i + 1} = a{i} + a{i}\n" for i in range(80))
        + "pipe = P.from_pretrained(a80)",
        "a0 = 9\n"
        + "".join(f"a{i + 1} = a{i} * a{i}\n" for i in range(80))
        + "pipe = P.from_pretrained(str(a80))",
        "a0 = 'xy'\n"
        + "".join(f"a{i + 1} = f'{{a{i}}}{{a{i}}}'\n" for i in range(80))
        + "pipe = P.from_pretrained(a80)",
        "".join(f"def f{i}():\n    return f{i + 1}(f{i + 1}())\n" for i in range(80)) + "pipe = f0()",
        "pipe = P.from_pretrained('m')\n" + "pipe = pipe.to('cpu')\n" * 3_000 + "pipe('a')",
        "x = 1\n" * 50_000 + "pipe = P.from_pretrained(x)",
        "pipe = a" + ".b" * 3_000,
        "pipe.unet" + ".half()" * 800,
    ],
    ids=["doubled", "squared", "formatted", "recursive", "rebound", "long", "deep-name", "deep-call"],
)
def test_a_hostile_file_is_read_in_little_time(read, text: str) -> None:
    started = time.process_time()
    try:
        assert read(text).model_id is None
    except SourceProblem as problem:  # too deep for the parser is an answer, too
        assert "deep" in str(problem) or "parsed" in str(problem)  # noqa: PT017
    assert time.process_time() - started < 5.0
