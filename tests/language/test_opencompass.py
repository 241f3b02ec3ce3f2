"""A configuration of OpenCompass given in place of ours: each of its fields with what it is here."""

from __future__ import annotations

import ast

import pytest

from bench.core.errors import UsageProblem
from bench.language.config import read_config
from bench.language.kind import KIND
from bench.language.models.config import ModelConfig
from bench.language.opencompass import translated_entry, translated_file
from bench.run.user_code import import_user_dir

FILE = """
from mmengine.config import read_base
from opencompass.models import HuggingFaceCausalLM, HuggingFacewithChatTemplate

with read_base():
    from .datasets.siqa.siqa_gen_18632c import siqa_datasets
    from .datasets.winograd.winograd_ppl import winograd_datasets
    from .datasets.agieval.agieval_gen_64afd3 import agieval_datasets
    from .models.opt.hf_opt_350m import models as small

datasets = [*siqa_datasets, *winograd_datasets]
models = [
    dict(type=HuggingFaceCausalLM, abbr='our-lm_v1', path='us/our-lm', tokenizer_path='us/words',
         model_kwargs=dict(device_map='auto', torch_dtype='torch.float16'), max_out_len=100,
         batch_size=16, batch_padding=False, run_cfg=dict(num_gpus=2)),
    {'type': HuggingFacewithChatTemplate, 'path': 'us/talker', 'stop_words': ['<end>'], 'brand_new': 3,
     'run_cfg': {'num_gpus': 1}},
]
work_dir = './outputs/ours'
"""
DATASET = """
from opencompass.openicl.icl_retriever import FixKRetriever
from opencompass.openicl.icl_inferencer import PPLInferencer
from opencompass.datasets import OurDataset

our_datasets = [dict(abbr='ours', type=OurDataset, path='us/ours', reader_cfg=dict(output_column='answer'),
    infer_cfg=dict(retriever=dict(type=FixKRetriever), inferencer=dict(type=PPLInferencer)), eval_cfg=dict())]
"""


def lines(text: str) -> list[str]:
    found = translated_file(text)
    assert found is not None
    return [line.strip() for line in found.split("\n")]


def one(found: list[str], start: str) -> str:
    """The one line that begins so."""
    (line,) = [line for line in found if line.startswith(start)]
    return line


@pytest.mark.parametrize(
    ("start", "ours"),
    [
        ("read_base .datasets.siqa.siqa_gen_18632c", "the dataset 'siqa_gen', for `datasets` or --datasets"),
        ("read_base .datasets.winograd.winograd_ppl", "the dataset 'winograd_ppl'"),
        ("read_base .datasets.agieval.agieval_gen_64afd3", "no dataset 'agieval_gen' ships"),
        ("read_base .models.opt.hf_opt_350m", "a name for --models"),
        ("model type=HuggingFaceCausalLM", "--hf-type base"),
        ("model abbr='our-lm_v1'", "`name`"),
        ("model path='us/our-lm'", "--hf-path"),
        ("model tokenizer_path=", "--tokenizer-path"),
        ("model model_kwargs=", "a torch_dtype in it is `dtype`, or --dtype"),
        ("model max_out_len=100", "--max-out-len"),
        ("model batch_size=16", "--batch-size"),
        ("model batch_padding=False", "no equivalent"),
        ("model run_cfg=dict(num_gpus=2)", "no equivalent; -n N sets the workers"),
        ("model type=HuggingFacewithChatTemplate", "--hf-type chat"),
        ("model stop_words=", "no equivalent in a model"),
        ("model brand_new=3", "no equivalent"),
        ("work_dir", "--work-dir"),
    ],
)
def test_each_field_is_named_with_what_it_is_here(start, ours):
    assert ours in one(lines(FILE), start)


def test_a_model_is_written_out_and_can_be_used_so():
    entries = [line.partition(": ")[2] for line in lines(FILE) if line.startswith("the model as an entry")]
    first, second = (ModelConfig(**eval(entry, {"dict": dict})) for entry in entries)
    assert (first.name, first.path, first.tokenizer_path) == ("our_lm_v1", "us/our-lm", "us/words")
    assert (first.dtype, first.max_out_len, first.batch_size) == ("float16", 100, 16)
    assert first.model_kwargs == {"device_map": "auto"}
    assert (second.name, second.type, second.path) == ("talker", "chat", "us/talker")


def test_the_parts_of_a_dataset_are_named_too():
    found = lines(DATASET)
    assert "`metrics` and `postprocess`" in one(found, "dataset eval_cfg")
    assert "`source=Source(hub=..., rows=...)`" in one(found, "dataset path='us/ours'")
    assert one(found, "FixKRetriever") == 'FixKRetriever: `examples=Examples("fixed", ids=...)`'
    assert one(found, "PPLInferencer") == "PPLInferencer: `inference=Perplexity()`"


@pytest.mark.parametrize("text", [FILE, DATASET, "models = [dict(abbr='a', path='b/c', run_cfg=dict())]"])
def test_a_config_of_theirs_is_refused_with_its_translation_and_is_not_run(tmp_path, text):
    file = tmp_path / "eval.py"
    file.write_text(text + "\nraise SystemExit('this was run')\n")
    with pytest.raises(
        UsageProblem, match=r"eval.py: found a configuration of OpenCompass, expected lists"
    ) as info:
        read_config([file])
    assert translated_file(text) in str(info.value)


def test_dictionaries_of_theirs_that_a_config_computes_are_refused_too(tmp_path):
    file = tmp_path / "eval.py"
    file.write_text("keys = ['abbr', 'path', 'max_out_len']\nmodels = [dict(zip(keys, ['a-b', 'c/d', 7]))]\n")
    with pytest.raises(UsageProblem, match="model max_out_len=7: `max_out_len`, or --max-out-len"):
        read_config([file])
    file.write_text("datasets = [{key: {} for key in ('reader_cfg', 'infer_cfg')}]\n")
    with pytest.raises(
        UsageProblem, match=r"dataset infer_cfg=\{\}: `prompt`, `choices`, `examples` and `inference`"
    ):
        read_config([file])


@pytest.mark.parametrize("text", [FILE, DATASET])
def test_a_file_of_theirs_in_a_user_dir_is_refused_where_it_would_register_nothing(tmp_path, text):
    folder = tmp_path / "their_files"
    folder.mkdir()
    (folder / "eval_ours.py").write_text(text)
    with pytest.raises(UsageProblem, match=r"eval_ours.py: found a configuration of OpenCompass"):
        import_user_dir(folder, [KIND.adopt])


@pytest.mark.parametrize(
    "text",
    [
        "models = ['tiny_lm']\ndatasets = ['siqa_gen', {'name': 'piqa_ll', 'min_score': 3}]",
        "models = [{'name': 'a', 'path': 'b/c', 'type': 'chat', 'max_out_len': 5}]",
        "import opencompass\nfound = opencompass.__version__",
        "from mmengine.config import Config\nsettings = Config.fromfile('mine.py')",
        "def broken(:",
        "stops = {'stop_words': ['.'], 'mode': 'mid'}",
    ],
)
def test_files_of_ours_and_of_others_are_left_alone(text):
    assert translated_file(text) is None


def test_classes_themselves_are_named_by_their_names():
    class OpenAISDK:
        pass

    found = translated_entry({"type": OpenAISDK, "abbr": "gpt", "path": "gpt-x", "key": "ENV"})
    assert 'model type=OpenAISDK: `backend="server"` with `api_base`' in found
    assert (
        "model key='ENV': no equivalent; the key of a server is in the environment, as OPENAI_API_KEY"
        in found
    )
    entry = found.split("`models`: ")[1]
    assert ast.literal_eval(entry) == {"name": "gpt", "path": "gpt-x"}
