"""Language models: the catalogue, what options make of them, and how one is loaded and told from another."""

import dataclasses
import json
import shutil
import subprocess
import sys
import types

import huggingface_hub
import pytest
import torch
import transformers
from completion_server import START, tiny_model, tiny_tokenizer
from hypothesis import given
from hypothesis import strategies as st
from language_toys import keep_registered
from shipped_code import SHIPPED, import_shipped

from bench.core.errors import LanguageProblem, ModelProblem
from bench.core.names import safe_name
from bench.language.models.catalog import MODELS, language_model
from bench.language.models.config import ModelConfig, from_options, parse_kwargs
from bench.language.models.loading import apply_chat, load_model
from bench.language.models.sources import fingerprint

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<{{ message.role }}>{{ message.content }}</{{ message.role }}>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def saved(directory, *, seed=0, template=None, dtype=torch.float32, **special):
    """Save a tiny random GPT-2 with its tokenizer; returns the directory."""
    tokenizer = tiny_tokenizer(**(special or {"eos_token": START}))
    tokenizer.chat_template = template
    tiny_model(seed).to(dtype).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def directory(tmp_path):
    """A directory with a tiny random GPT-2."""
    return saved(tmp_path / "tiny")


def config(path, **fields) -> ModelConfig:
    return ModelConfig("tiny", str(path), **fields)


# The catalogue


def test_names_that_users_know_are_there():
    assert {"hf_opt_125m", "hf_llama_7b", "hf_gpt2", "hf_qwen2_5_0_5b"} <= set(MODELS)
    assert MODELS["hf_llama_7b"].path == "huggyllama/llama-7b"


def test_the_model_that_ships_comes_in_as_a_users_does():
    import_shipped()
    assert MODELS["tiny_lm"].path.endswith("fixtures/zoo/tiny-lm")
    assert MODELS.below([SHIPPED]) == ["tiny_lm"]


def test_models_that_were_tuned_to_instructions_are_asked_by_their_chat_template():
    for name, model in MODELS.items():
        told = any(word in model.path.lower() for word in ("instruct", "chat", "-it", "qwen3-0.6b"))
        assert (model.type == "chat") == told, name


def test_every_name_leads_to_a_model_of_its_own():
    assert len({model.path for model in MODELS.values()}) == len(MODELS)


def test_only_what_has_no_class_in_transformers_may_run_code_of_its_own():
    assert [name for name, model in MODELS.items() if model.model_kwargs] == ["hf_internlm2_7b"]


def test_name_taken_twice_is_refused_with_both_places(monkeypatch):
    keep_registered(monkeypatch, MODELS)
    first = language_model(ModelConfig("tiny", "one/model"))
    with pytest.raises(
        ValueError, match=r"'tiny' is registered twice: in .*test_models.*:\d+ and in .*test_models"
    ):
        language_model(ModelConfig("tiny", "another/model"))
    assert MODELS["tiny"] is first


def test_unknown_name_lists_the_nearest():
    with pytest.raises(KeyError, match=r"no model is named 'opt_125m'; nearest: hf_opt_125m.*--hf-path"):
        MODELS["opt_125m"]
    assert "opt_125m" not in MODELS


def test_catalogue_imports_nothing_heavy():
    code = (
        "import sys, bench.language.models.catalog;"
        "print(sorted({'torch', 'transformers', 'requests', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Configurations


def test_configuration_is_plain_builtins_and_can_be_a_key():
    one = from_options(hf_path="facebook/opt-125m", model_kwargs=["a=[1, 2]"])
    assert json.loads(json.dumps(dataclasses.asdict(one)))["model_kwargs"] == {"a": [1, 2]}
    assert {one: 1}[from_options(hf_path="facebook/opt-125m", model_kwargs=["a=[1, 2]"])] == 1
    assert one != from_options(hf_path="facebook/opt-125m", model_kwargs=["a=[1, 3]"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Tiny-LM"}, "model name 'Tiny-LM': expected lower-case.*call it 'tiny_lm'"),
        ({"name": "hard_lm"}, "without 'hard'; call it 'ha_rd_lm'"),
        ({"name": ""}, "call it 'model'"),
        ({"path": ""}, "found path ''; expected a directory or a name on the hub"),
        ({"type": "instruct"}, "found type 'instruct'; expected 'base' or 'chat'"),
        ({"backend": "tgi"}, "found backend 'tgi'; expected 'hf' or 'vllm' or 'server'"),
        (
            {"dtype": "float8"},
            "found dtype 'float8'; expected 'auto' or 'float32' or 'bfloat16' or 'float16'",
        ),
        ({"batch_size": 0}, "found batch_size 0; expected a positive whole number or 'auto'"),
        ({"batch_size": "all"}, "found batch_size 'all'"),
        ({"batch_size": True}, "found batch_size True"),
        ({"max_seq_len": -1}, "found max_seq_len -1; expected a positive"),
        ({"max_out_len": 0}, "found max_out_len 0; expected a positive"),
        ({"model_kwargs": {"a": torch.float16}}, "found model_kwargs .*; expected plain numbers"),
        (
            {"model_kwargs": {"torch_dtype": "float16"}},
            "found 'torch_dtype' in model_kwargs.* give it as --dtype",
        ),
        ({"tokenizer_kwargs": {"revision": "main"}}, "found 'revision' in tokenizer_kwargs"),
        (
            {"backend": "server"},
            "found backend 'server' with api_base None; expected an address for a server and for nothing else",
        ),
        ({"api_base": "http://host"}, "found backend 'hf' with api_base 'http://host'"),
    ],
)
def test_configuration_that_no_model_has_is_refused(fields, message):
    with pytest.raises(ModelProblem, match=message):
        ModelConfig(**{"name": "tiny", "path": "some/where", **fields})


# Options


def test_values_are_literals_and_strings_where_they_are_none():
    pairs = [
        "trust_remote_code=True",
        "a=1",
        "b=left",
        "c='1'",
        "d=[1, 2]",
        "e=",
        "f=x=y",
        "g=false",
        "h=-1.5",
    ]
    assert parse_kwargs(pairs) == {
        "trust_remote_code": True,
        "a": 1,
        "b": "left",
        "c": "1",
        "d": [1, 2],
        "e": "",
        "f": "x=y",
        "g": False,
        "h": -1.5,
    }


@pytest.mark.parametrize("pair", ["trust_remote_code", "=1", "1a=2", "a-b=1", ""])
def test_pair_that_is_none_is_refused(pair):
    with pytest.raises(ModelProblem, match=f"found {pair!r}; expected key=value"):
        parse_kwargs([pair])


def test_key_given_twice_is_refused():
    with pytest.raises(ModelProblem, match="found 'a' twice, as 1 and as '2'"):
        parse_kwargs(["a=1", "a=2"])


def test_value_that_is_no_plain_one_is_refused():
    with pytest.raises(ModelProblem, match=r"found model_kwargs .*; expected plain numbers"):
        from_options(hf_path="facebook/opt-125m", model_kwargs=["a={1, 2}"])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("facebook/opt-125m", "opt_125m"),
        ("Qwen/Qwen2.5-0.5B", "qwen2.5_0.5b"),
        ("/data/models/My Model/", "my_model"),
        ("gpt2", "gpt2"),
        ("org/Hardware-LM", "ha_rdware_lm"),
        ("org/haHARDrd", "haha_rdrd"),
        ("org/模型", "model"),
    ],
)
def test_name_is_made_of_the_last_part_of_the_path(path, name):
    found = from_options(hf_path=path).name
    assert found == name
    assert "hard" not in found


def test_path_that_ends_in_a_dot_is_named_for_its_directory(tmp_path, monkeypatch):
    (tmp_path / "Some-LM").mkdir()
    monkeypatch.chdir(tmp_path / "Some-LM")
    assert from_options(hf_path=".").name == "some_lm"


def test_adapter_is_part_of_the_name():
    assert from_options(hf_path="org/base", peft_path="out/LoRA-1").name == "base_lora_1"


@given(st.text())
def test_any_text_becomes_a_name_that_stays_as_it_is(text):
    name = safe_name(text)
    assert ModelConfig(name, "some/where").name == name == safe_name(name)


def test_all_options_reach_the_configuration():
    assert from_options(
        hf_path="org/lm",
        hf_type="chat",
        tokenizer_path="org/tokenizer",
        peft_path="org/adapter",
        model_kwargs=["device_map=auto"],
        tokenizer_kwargs=["padding_side=left"],
        generation_kwargs=["top_p=0.9"],
        max_seq_len=2048,
        max_out_len=10,
        batch_size="8",
        dtype="bfloat16",
        revision="v1",
    ) == ModelConfig(
        "lm_adapter",
        "org/lm",
        type="chat",
        tokenizer_path="org/tokenizer",
        peft_path="org/adapter",
        model_kwargs={"device_map": "auto"},
        tokenizer_kwargs={"padding_side": "left"},
        generation_kwargs={"top_p": 0.9},
        max_seq_len=2048,
        max_out_len=10,
        batch_size=8,
        dtype="bfloat16",
        revision="v1",
    )


def test_server_is_named_for_its_model():
    served = from_options(api_base="http://host/v1", api_model="org/Some-LM", generation_kwargs=["top_p=1"])
    assert (served.name, served.path, served.backend) == ("some_lm", "org/Some-LM", "server")
    assert served.api_base == "http://host/v1"
    assert fingerprint(served) == "server:http://host/v1#org/Some-LM"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "found neither --hf-path nor --api-base"),
        ({"hf_path": "a", "api_base": "http://b", "api_model": "c"}, "found both --hf-path and --api-base"),
        ({"api_base": "http://b"}, "found --api-base 'http://b' with --api-model None; expected both"),
        ({"hf_path": "a", "api_model": "c"}, "with --api-model 'c'; expected both or neither"),
        ({"api_base": "http://b", "api_model": "c", "peft_path": "d"}, "found --api-base with --peft-path"),
        ({"api_base": "http://b", "api_model": "c", "dtype": "float16"}, "found --api-base with --dtype"),
        (
            {"hf_path": "a", "batch_size": "some"},
            "--batch-size some: expected a positive whole number or auto",
        ),
        ({"hf_path": "a", "hf_type": "tuned"}, "found type 'tuned'"),
    ],
)
def test_options_that_name_no_model_are_refused(options, message):
    with pytest.raises(ModelProblem, match=message):
        from_options(**options)


# Loading


def test_model_is_loaded_from_a_directory(directory):
    loaded = load_model(config(directory))
    ids = torch.tensor([loaded.tokenizer("Tracy took the dog")["input_ids"]])
    with torch.inference_mode():
        assert torch.equal(loaded.model(ids).logits, tiny_model()(ids).logits)
    assert not loaded.model.training
    assert (loaded.max_seq_len, loaded.device, loaded.dtype) == (128, "cpu", "float32")
    assert loaded.fingerprint == fingerprint(loaded.config)


@pytest.mark.parametrize(
    ("asked", "found"), [("auto", "bfloat16"), ("float32", "float32"), ("float16", "float16")]
)
def test_dtype_is_the_one_asked_for_or_that_of_the_file(tmp_path, asked, found):
    loaded = load_model(config(saved(tmp_path, dtype=torch.bfloat16), dtype=asked))
    assert loaded.dtype == found
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {getattr(torch, found)}


def test_keyword_arguments_reach_model_and_tokenizer(directory):
    loaded = load_model(
        config(
            directory,
            model_kwargs={"attn_implementation": "eager"},
            tokenizer_kwargs={"padding_side": "left"},
        )
    )
    assert loaded.model.config._attn_implementation == "eager"
    assert loaded.tokenizer.padding_side == "left"


def test_tokenizer_may_be_elsewhere(directory, tmp_path):
    elsewhere = tmp_path / "tokenizer"
    tiny_tokenizer(eos_token=START, pad_token="!").save_pretrained(elsewhere)
    loaded = load_model(config(directory, tokenizer_path=str(elsewhere)))
    assert loaded.tokenizer.pad_token == "!"
    assert loaded.fingerprint == f"{fingerprint(config(directory))}+tokenizer={fingerprint_of(elsewhere)}"


def fingerprint_of(path):
    """The part of a fingerprint that stands for a directory next to the model's."""
    from bench.language.models.sources import _digest

    return f"sha256:{_digest(path)}"


@pytest.mark.parametrize(
    ("special", "padding"),
    [
        ({"pad_token": "!", "eos_token": START}, "!"),
        ({"eos_token": START, "unk_token": "?"}, START),
        ({"unk_token": "?"}, "?"),
        ({"bos_token": "a"}, START),  # the token whose id is 0
    ],
    ids=["its_own", "end", "unknown", "first"],
)
def test_tokenizer_without_padding_gets_a_token_for_it(tmp_path, special, padding):
    tokenizer = load_model(config(saved(tmp_path, **special))).tokenizer
    assert tokenizer.pad_token == padding
    padded = tokenizer(["Tracy", "Tracy took the dog"], padding=True)
    assert [sum(mask) for mask in padded["attention_mask"]] == [
        len(tokenizer(text)["input_ids"]) for text in ("Tracy", "Tracy took the dog")
    ]


def test_token_lent_to_padding_stays_in_what_is_written(tmp_path):
    loaded = load_model(config(saved(tmp_path, unk_token="?")))
    ids = loaded.tokenizer("why? because!")["input_ids"]
    assert ids == tiny_tokenizer(unk_token="?")("why? because!")["input_ids"]


# The longest input


def test_longest_input_may_be_lowered_and_not_raised(directory):
    assert load_model(config(directory, max_seq_len=64)).max_seq_len == 64
    with pytest.raises(ModelProblem, match="found max_seq_len 129, expected at most 128"):
        load_model(config(directory, max_seq_len=129))


@pytest.mark.parametrize(("said", "limit"), [(77, 77), (int(1e30), None)])
def test_model_without_positions_is_limited_by_its_tokenizer(tmp_path, said, limit):
    tokenizer = tiny_tokenizer(eos_token=START, model_max_length=said)
    tokenizer.save_pretrained(tmp_path)
    bloom = transformers.BloomConfig(vocab_size=400, hidden_size=16, n_layer=1, n_head=2)
    transformers.BloomForCausalLM(bloom).save_pretrained(tmp_path)
    assert load_model(config(tmp_path)).max_seq_len == limit


# Fingerprints


def test_fingerprint_is_of_the_contents_and_not_of_the_path(directory, tmp_path):
    before = fingerprint(config(directory))
    assert before.startswith("sha256:")
    assert fingerprint(config(shutil.copytree(directory, tmp_path / "copy"))) == before
    (tmp_path / "link").symlink_to(directory)
    assert fingerprint(config(tmp_path / "link", dtype="bfloat16")) == before
    assert fingerprint(config(saved(tmp_path / "again"))) == before


def test_fingerprint_changes_with_one_bit_of_the_weights(directory):
    before = fingerprint(config(directory))
    weights = directory / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert fingerprint(config(directory)) != before


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"]
)
def test_fingerprint_changes_with_what_decides_beside_the_weights(directory, name):
    before = fingerprint(config(directory))
    file = directory / name
    file.write_text((file.read_text() if file.exists() else "") + " ")
    assert fingerprint(config(directory)) != before


@pytest.mark.parametrize(
    "name", ["README.md", "optimizer.pt", "trainer_state.json", "training_args.bin", ".cache"]
)
def test_fingerprint_does_not_change_with_what_training_leaves(directory, name):
    before = fingerprint(config(directory))
    (directory / name).write_text("left by training")
    assert fingerprint(config(directory)) == before


def test_hub_name_counts_by_the_commit_that_is_loaded(directory, tmp_path, monkeypatch):
    # Without it the tokenizer asks the hub of its model, and without a network again and again for 20 seconds.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cache = tmp_path / "cache"
    repository = cache / "models--org--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(directory, repository / "snapshots" / COMMIT)
    cached = config("org/tiny", model_kwargs={"cache_dir": str(cache), "local_files_only": True})
    loaded = load_model(cached)
    assert loaded.fingerprint == fingerprint(cached) == f"hub:{COMMIT}"
    assert fingerprint(dataclasses.replace(cached, revision=COMMIT)) == f"hub:{COMMIT}"


def test_hub_name_that_is_not_there_says_why(monkeypatch):
    def absent(*_, **__):
        raise OSError("401 Client Error: Repository Not Found")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", absent)
    with pytest.raises(
        ModelProblem,
        match=r"could not find org/absent on the hub, and no directory has that name \(OSError: 401 .*OWNER/NAME",
    ):
        load_model(config("org/absent"))


def test_hub_name_without_a_commit_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(tmp_path / "config.json"))
    with pytest.raises(ModelProblem, match="expected it in a folder named for its commit; give the commit"):
        fingerprint(config("org/odd"))


# Chat


def test_chat_template_writes_the_messages_up_to_the_answer(tmp_path):
    loaded = load_model(config(saved(tmp_path, template=CHAT_TEMPLATE), type="chat"))
    asked = [{"role": "user", "content": "Why?"}]
    assert apply_chat(loaded.tokenizer, asked) == "<user>Why?</user><assistant>"
    begun = [*asked, {"role": "assistant", "content": "Because"}]
    assert apply_chat(loaded.tokenizer, begun) == "<user>Why?</user><assistant>Because"


def test_chat_template_that_refuses_a_role_says_so(tmp_path):
    loaded = load_model(config(saved(tmp_path, template=CHAT_TEMPLATE), type="chat"))
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    with pytest.raises(ModelProblem, match=r"refuses messages of system, user \(System role not supported\)"):
        apply_chat(loaded.tokenizer, messages)


def test_no_messages_are_refused(tmp_path):
    loaded = load_model(config(saved(tmp_path, template=CHAT_TEMPLATE)))
    with pytest.raises(ModelProblem, match="refuses messages of none"):
        apply_chat(loaded.tokenizer, [])


def test_chat_model_without_a_template_is_refused(directory):
    with pytest.raises(
        ModelProblem, match=r"model tiny: found no chat template in its tokenizer.*as type 'base'"
    ):
        load_model(config(directory, type="chat"))
    with pytest.raises(ModelProblem, match="found no chat template"):
        apply_chat(load_model(config(directory)).tokenizer, [{"role": "user", "content": "Why?"}])


# Adapters


def adapter(path):
    """A directory that looks like an adapter."""
    path.mkdir()
    (path / "adapter_config.json").write_text("{}")
    return path


def test_adapter_without_peft_says_what_to_install(directory, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelProblem, match=r"found an adapter .* but no peft .*pip install peft"):
        load_model(config(directory, peft_path=str(adapter(tmp_path / "lora"))))


def test_adapter_is_put_around_the_model(directory, tmp_path, monkeypatch):
    class PeftModel:
        @staticmethod
        def from_pretrained(model, path):
            model.adapter_path = path
            return model

    monkeypatch.setitem(sys.modules, "peft", types.SimpleNamespace(PeftModel=PeftModel))
    path = adapter(tmp_path / "lora")
    loaded = load_model(config(directory, peft_path=str(path)))
    assert loaded.model.adapter_path == str(path)
    assert loaded.fingerprint == f"{fingerprint(config(directory))}+adapter={fingerprint_of(path)}"


def test_directory_that_is_no_adapter_is_refused(directory, tmp_path):
    with pytest.raises(ModelProblem, match=r"found no adapter_config.json in"):
        load_model(config(directory, peft_path=str(tmp_path)))


# Errors


@pytest.mark.parametrize("path", ["/no/such/model", "./model", "a/b/c", "~/no-such-model"])
def test_path_where_nothing_is(path):
    with pytest.raises(
        ModelProblem, match=f"model tiny: found nothing at {path}; expected a directory with a model"
    ):
        load_model(config(path))


def test_path_of_a_file(directory):
    with pytest.raises(ModelProblem, match=r"found a file at .*model\.safetensors; expected a directory"):
        load_model(config(directory / "model.safetensors"))


def test_directory_without_a_model(tmp_path):
    with pytest.raises(ModelProblem, match=r"found nothing in .*; expected a model with its config\.json"):
        load_model(config(tmp_path))


def test_directory_of_an_adapter_given_as_the_model(tmp_path):
    with pytest.raises(ModelProblem, match="it is an adapter: give it with --peft-path"):
        load_model(config(adapter(tmp_path / "lora")))


def test_a_model_that_cannot_be_loaded_ends_its_case_as_model_failed(tmp_path):
    with pytest.raises(LanguageProblem) as problem:
        load_model(config(tmp_path))
    assert problem.value.reason_code == "model_failed"


def test_directory_without_weights(directory):
    (directory / "model.safetensors").unlink()
    (directory / "training_args.bin").write_bytes(b"left by training")
    with pytest.raises(
        ModelProblem, match=r"expected weights in \*\.safetensors or \*\.bin; finish the download"
    ):
        load_model(config(directory))


def test_weights_that_are_cut_off(directory):
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelProblem, match=r"could not load the model .*Error"):
        load_model(config(directory))


def test_weights_without_a_layer_are_not_made_up(directory):
    from safetensors.torch import load_file, save_file

    weights = directory / "model.safetensors"
    tensors = load_file(weights)
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(
        ModelProblem, match=r"found no weights for transformer\.h\.1\.mlp\.c_fc\.weight; expected all"
    ):
        load_model(config(directory))


def test_directory_without_a_tokenizer(directory):
    for file in directory.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(
        ModelProblem, match="found a tokenizer of special tokens only; expected its vocabulary"
    ):
        load_model(config(directory))


def test_model_that_is_no_language_model(tmp_path):
    vision = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    transformers.ViTModel(vision).save_pretrained(tmp_path)
    tiny_tokenizer(eos_token=START).save_pretrained(tmp_path)
    with pytest.raises(ModelProblem, match=r"could not load the model .*expected a causal language model"):
        load_model(config(tmp_path))


def test_code_of_a_model_runs_only_when_it_is_trusted_and_nobody_is_asked(directory, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    file = directory / "config.json"
    fields = json.loads(file.read_text())
    fields |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}}
    file.write_text(json.dumps(fields))
    (directory / "own.py").write_text("raise SystemExit('this code was run')\n")
    with pytest.raises(ModelProblem, match="trust_remote_code"):
        load_model(config(directory))


def test_subfolder_of_a_directory_is_given_as_a_path(directory):
    with pytest.raises(ModelProblem, match="give the path of the subfolder itself"):
        load_model(config(directory, model_kwargs={"subfolder": "model"}))


def test_server_is_not_loaded():
    served = from_options(api_base="http://host/v1", api_model="lm")
    with pytest.raises(ModelProblem, match=r"found backend 'server', expected 'hf'; .*bench.language.server"):
        load_model(served)
