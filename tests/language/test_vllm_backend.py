"""The backend of vLLM against transformers, value by value, on a stand-in with vLLM's public interface.

The stand-in runs the same weights through transformers; what is tested is everything between a question and vLLM.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from chat_models import save_chat_model
from language_toys import setting

from bench.core.errors import LanguageProblem, ModelProblem, UsageProblem
from bench.language.backend import LocalBackend
from bench.language.chat import Conversation, Marks
from bench.language.engine.generating import Request
from bench.language.harness.asking import harness_model
from bench.language.loaded_model import ModelHolder
from bench.language.models.config import ModelConfig, from_options
from bench.language.models.loading import load_model
from bench.language.options import LanguageOptions, resolve
from bench.language.vllm.asking import Calls, EngineScorer, EngineWriter
from bench.language.vllm.backend import vllm_backend
from bench.language.vllm.engine import Facts, OneEngine, Reply
from bench.language.vllm.parallel import placed
from bench.language.vllm.sampling import VllmSampling

TINY = Path(__file__).resolve().parents[2] / "fixtures/zoo/tiny-lm"
ENGINES = Path(__file__).resolve().parents[1] / "helpers/engines"
CONTEXTS = ["Anna broke the vase of Ben. She feels", "Tom gave Mia a cup. He is ", "", "<s>It rains."]
CHOICES = [[" happy and proud", " sorry"], ["glad", "angry with Tom", "cold"], ["Tom", "It rains"], [" wet"]]
PROMPTS = ["Anna broke the vase", "Tom gave Mia a cup because", "It rains and Eva has no coat, so she"]
LONG = " ".join(["Anna broke the vase of Ben and Tom gave Mia a cup."] * 60)
DRAWN = {"do_sample": True, "temperature": 0.8}


def config(path=TINY, backend="vllm", **fields):
    return ModelConfig("tiny", str(path), backend=backend, **{"dtype": "float32", **fields})


@pytest.fixture(scope="module", autouse=True)
def log(tmp_path_factory):
    """The stand-in where vLLM would be, four GPUs, and the file in which each engine writes what it was given."""
    with pytest.MonkeyPatch.context() as patch:
        file = tmp_path_factory.mktemp("vllm") / "log.jsonl"
        patch.syspath_prepend(str(ENGINES))
        patch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
        patch.setenv("VLLM_STAND_IN_LOG", str(file))
        importlib.invalidate_caches()
        yield file
    sys.modules.pop("vllm", None)


def given(log):
    """What the engines since the start were given: their GPUs, the model and the arguments."""
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture(scope="module")
def local():
    return LocalBackend(load_model(config(backend="hf")), 8)


@pytest.fixture(scope="module")
def other(log):
    return vllm_backend(config(), "cuda")


def told(backend, method, *asked, **options):
    """The answers of a backend in the order of the questions."""
    found = {}
    getattr(backend, method)(*asked, lambda index, answer: found.update({index: answer}), **options)
    return [found[index] for index in range(len(found))]


def texts_of(backend, prompts=PROMPTS, length=24, stop=(), seeds=None):
    return told(backend, "generate", prompts, length, stop, list(seeds or range(len(prompts))))


def expect_same_scores(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.loglikelihood == pytest.approx(other.loglikelihood, abs=1e-3)
        assert (one.tokens, one.length, one.is_greedy) == (other.tokens, other.length, other.is_greedy)


def flat(answers):
    return [score for answer in answers for score in answer]


# --- scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["score_continuations", "score_first_tokens"])
def test_choices_score_as_with_transformers(local, other, method):
    contexts, choices = CONTEXTS[:3], CHOICES[:3]
    if method == "score_continuations":
        contexts, choices = CONTEXTS, CHOICES
    found, wanted = told(other, method, contexts, choices), told(local, method, contexts, choices)
    expect_same_scores(flat(found), flat(wanted))
    assert len({score.loglikelihood for score in flat(found)}) > len(contexts)


def test_the_most_likely_continuation_is_greedy(local, other):
    (text,) = texts_of(local, PROMPTS[:1], 4)
    for backend in (local, other):
        ((likely, unlikely),) = told(
            backend, "score_continuations", PROMPTS[:1], [[str(text), " zebra of 7"]]
        )
        assert (likely.is_greedy, unlikely.is_greedy) == (True, False)


def test_whole_texts_score_as_with_transformers(local, other):
    texts = [[f"{context}{choice}" for choice in own] for context, own in zip(CONTEXTS, CHOICES, strict=True)]
    for masked in ([""] * 4, [CONTEXTS[0], CONTEXTS[1].strip(), "", ""]):
        expect_same_scores(
            flat(told(other, "score_texts", texts, masked)), flat(told(local, "score_texts", texts, masked))
        )


@pytest.mark.parametrize("special", [False, True])
def test_rolling_windows_are_those_of_transformers(special):
    """A model that reads more than is asked for has room for the two places that vLLM needs."""
    short = {"max_seq_len": 40}
    backends = (
        vllm_backend(config(**short), "cuda"),
        LocalBackend(load_model(config(backend="hf", **short)), 8),
    )
    texts = [LONG[:900], "Anna", "", LONG[:200]]
    found, wanted = (told(each, "score_rolling", texts, special=special) for each in backends)
    expect_same_scores(found, wanted)
    assert found[0].tokens > 5 * 40


def test_at_the_models_own_limit_windows_are_two_tokens_shorter(local, other):
    assert other.max_len == local.max_len == 512
    narrow = LocalBackend(load_model(config(backend="hf", max_seq_len=510)), 8)
    (found,), (wanted,), (full,) = (told(each, "score_rolling", [LONG]) for each in (other, narrow, local))
    expect_same_scores([found], [wanted])
    assert found.tokens == full.tokens > 512
    long = told(other, "score_continuations", [LONG], [[" sorry"]])[0]
    expect_same_scores(long, told(narrow, "score_continuations", [LONG], [[" sorry"]])[0])
    assert other.usage().cut_prompts >= 1


def test_choices_that_begin_alike_are_refused(other):
    with pytest.raises(LanguageProblem, match="begin with the same token"):
        told(other, "score_first_tokens", ["Tom is"], [[" sorry", " sorry indeed"]])


def test_scores_come_call_by_call_and_a_sequence_is_fed_once(local):
    class Counted:
        def __init__(self, engine):
            self.engine, self.facts, self.calls = engine, engine.facts, []

        def ask(self, prompts, parameters):
            self.calls.append(list(prompts))
            return self.engine.ask(prompts, parameters)

    counted = Counted(OneEngine({"model": str(TINY), "dtype": "float32"}))
    groups = local._continued(["Tom is", "Tom is", "Mia is"], [[" sorry", " cold"]] * 3)
    scorer, order = EngineScorer(counted, Calls(4)), []
    scorer.score(groups, lambda index, _: order.append((index, len(counted.calls))))
    assert order == [(0, 1), (1, 1), (2, 2)]
    assert [len(call) for call in counted.calls] == [2, 2]
    assert scorer.fed_tokens == sum(len(prompt) for call in counted.calls for prompt in call)


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [(), (".",), ("\n\n", " the")])
def test_greedy_texts_are_those_of_transformers(local, other, stop):
    found, wanted = texts_of(other, stop=stop), texts_of(local, stop=stop)
    assert found == wanted
    assert [text.cut for text in found] == [text.cut for text in wanted]
    assert any(found)
    assert not any(mark in text for text in found for mark in stop)


def test_an_answer_that_its_limit_ended_is_cut(local, other):
    for length in (1, 3, 60):
        found, wanted = texts_of(other, length=length), texts_of(local, length=length)
        assert (found, [text.cut for text in found]) == (wanted, [text.cut for text in wanted])
    assert all(text.cut for text in texts_of(other, length=1))


def test_a_prompt_without_room_is_refused_and_one_with_little_room_is_kept(local, other):
    with pytest.raises(LanguageProblem, match="for a model that reads 512"):
        texts_of(other, [LONG])
    prompt = local._tokenizer.decode(local._encode([LONG])[0][1:508])
    assert texts_of(other, [prompt]) == texts_of(local, [prompt])
    assert other.usage().short_answers == 1


def test_drawn_texts_depend_on_their_seeds_alone(log):
    drawn = vllm_backend(config(generation_kwargs={**DRAWN, "min_p": 0.01}), "cuda")
    together = texts_of(drawn, seeds=[7, 8, 9])
    alone = [
        texts_of(drawn, [prompt], seeds=[seed])[0] for prompt, seed in zip(PROMPTS, (7, 8, 9), strict=True)
    ]
    assert together == alone
    assert texts_of(drawn, seeds=[10, 11, 12]) != together


@pytest.mark.parametrize("writes", [False, True], ids=["template_without_start", "template_with_start"])
def test_a_chat_model_is_asked_as_with_transformers(tmp_path, writes):
    path = save_chat_model(tmp_path, writes_start=writes, adds_start=True)
    fields = {"type": "chat", "system_prompt": "Be brief.", "chat_template_kwargs": {"thinking": True}}
    backends = (
        vllm_backend(config(path, **fields), "cuda"),
        LocalBackend(load_model(config(path, "hf", **fields)), 4),
    )
    turns = Conversation((("user", "Who?"), ("assistant", "Tom"), ("user", "Why?")))
    found, wanted = (texts_of(each, ["Who broke it?", turns]) for each in backends)
    assert found == wanted
    assert [(text.thought, text.unclosed, text.cut) for text in found] == [
        (text.thought, text.unclosed, text.cut) for text in wanted
    ]
    scores, theirs = (
        flat(told(each, "score_continuations", ["Who?"], [["Tom", "Mia"]])) for each in backends
    )
    expect_same_scores(scores, theirs)
    asked = backends[0]._encode(backends[0].framed(["Who?"]))[0]
    assert asked.count(1) == 1


class Told:
    """An engine that writes given texts, and ends them at stop strings as vLLM does: also inside thoughts."""

    facts = Facts(512, "float32")

    def __init__(self, tokenizer, texts):
        self._tokenizer, self._texts, self.asked = tokenizer, texts, []

    def ask(self, prompts, parameters):
        self.asked.append(parameters)
        return [
            self._reply(self._texts[prompt[0]], own) for prompt, own in zip(prompts, parameters, strict=True)
        ]

    def _reply(self, text, own):
        tokens = tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        for end in range(1, min(len(tokens), own["max_tokens"]) + 1):
            said = self._tokenizer.decode(tokens[:end])
            stop = next((stop for stop in own.get("stop", ()) if stop in said), None)
            if stop is not None:
                return Reply(tokens[:end], "stop", stop)
        if len(tokens) >= own["max_tokens"]:
            return Reply(tokens[: own["max_tokens"]], "length", None)
        return Reply((*tokens, self._tokenizer.eos_token_id), "stop", None)


THOUGHT = [
    ("<think>5.\n\nNo, 6.</think>6\n\nNext", False, ("6", "5.\n\nNo, 6.", False, False), 2),
    ("6\n\nNext", False, ("6", None, False, False), 1),
    ("5.\n\nNo.</think>6\n\nNext", True, ("6", "5.\n\nNo.", False, False), 1),
    ("<think>5.\n\n" + "No, 6. " * 40, False, ("", None, True, True), 2),
    ("6", False, ("6", None, False, False), 1),
]


@pytest.mark.parametrize(("text", "begun", "wanted", "calls"), THOUGHT)
def test_no_stop_string_acts_inside_a_thought(local, text, begun, wanted, calls):
    engine = Told(local._tokenizer, [text])
    writer = EngineWriter(engine, local._tokenizer, Calls(), {}, None)
    (found,) = writer.generate([Request((0,), 60, ("\n\n",), marks=Marks(), begun=begun)])
    thought = found.thought if wanted[1] is not None or not found.unclosed else None
    assert (str(found), thought, found.unclosed, found.cut) == wanted
    assert len(engine.asked) == calls


# --- arguments of the generation ---------------------------------------------------------------------------------------

OWN = SimpleNamespace(temperature=0.6, top_k=20, repetition_penalty=1.1, eos_token_id=[5, 7])


def test_arguments_of_transformers_become_those_of_vllm():
    options = {
        **DRAWN,
        "top_p": 0.9,
        "top_k": 0,
        "min_p": 0.05,
        "repetition_penalty": 1.2,
        "min_new_tokens": 3,
    }
    made = VllmSampling({**options, "eos_token_id": 4}, None, 2)
    assert made.parameters == {
        "temperature": 0.8, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.2, "min_tokens": 3,
        "stop_token_ids": [2, 4],
    }  # fmt: skip
    assert made.is_drawn
    assert VllmSampling({}, None, None).parameters == {"temperature": 0.0}


def test_the_models_own_values_hold_where_none_are_given():
    greedy = {"temperature": 0.0, "repetition_penalty": 1.1, "stop_token_ids": [2, 5, 7]}
    assert VllmSampling({}, OWN, 2).parameters == greedy
    assert VllmSampling({"do_sample": True, "top_k": 3}, OWN, 2).parameters == {
        **greedy, "temperature": 0.6, "top_k": 3,
    }  # fmt: skip


REFUSED = [
    ({**DRAWN, "typical_p": 0.5}, "typical_p=0.5; backend 'vllm' takes .*min_p"),
    ({"no_repeat_ngram_size": 2}, "no_repeat_ngram_size=2; backend 'vllm' takes"),
    ({**DRAWN, "topp": 0.5}, "topp=0.5; vLLM has no such argument .nearest: top_p"),
    ({"num_beams": 4}, "num_beams=4; vLLM writes without a beam search"),
    ({"top_p": 0.5}, "top_p=0.5; without do_sample=True"),
    ({**DRAWN, "top_p": 1.5}, "vLLM refuses it .top_p must be"),
    ({"do_sample": True, "temperature": 0.001}, "vLLM raises it to 0.01"),
]


@pytest.mark.parametrize(("options", "match"), REFUSED, ids=[next(reversed(row[0])) for row in REFUSED])
def test_an_argument_that_vllm_cannot_follow_is_refused_by_name(options, match):
    with pytest.raises(LanguageProblem, match=match):
        VllmSampling(options, None, 2)


def test_a_default_of_the_model_that_vllm_cannot_follow_is_refused():
    with pytest.raises(LanguageProblem, match="no_repeat_ngram_size=3 in the model's generation_config"):
        VllmSampling({}, SimpleNamespace(no_repeat_ngram_size=3), 2)


def test_arguments_are_refused_before_the_model_is_loaded(log):
    before = len(given(log)) if log.exists() else 0
    with pytest.raises(LanguageProblem, match="typical_p"):
        vllm_backend(config(generation_kwargs={**DRAWN, "typical_p": 0.5}), "cuda")
    assert len(given(log)) == before


# --- loading ---------------------------------------------------------------------------------------------------------


def test_fields_and_further_arguments_reach_vllm(log):
    kwargs = {"tensor_parallel_size": 2, "gpu_memory_utilization": 0.5, "quantization": "fp8"}
    backend = vllm_backend(
        config(
            dtype="bfloat16", max_seq_len=100, batch_size=32, tokenizer_path=str(TINY), model_kwargs=kwargs
        ),
        "cuda",
    )
    visible, model, arguments = given(log)[-1]
    assert (visible, model) == ("0,1,2,3", str(TINY))
    assert arguments == {
        "tokenizer": str(TINY), "dtype": "bfloat16", "trust_remote_code": False, "generation_config": "vllm", "seed": 0,
        "max_model_len": 102, "max_num_seqs": 32, **kwargs,
    }  # fmt: skip
    assert (backend.max_len, backend.dtype) == (100, "bfloat16")


def test_auto_is_the_type_of_the_file(tmp_path, log):
    """The `auto` of vLLM would make float16 of float32."""
    backend = vllm_backend(config(save_chat_model(tmp_path), dtype="auto"), "cuda")
    assert backend.dtype == given(log)[-1][2]["dtype"] == "float32"


def test_predictions_of_another_engine_have_another_fingerprint(local, other):
    assert other.fingerprint == f"{local.fingerprint}+engine=vllm-unknown"


def test_replicas_have_gpus_of_their_own_and_give_the_same(log, other):
    before = len(given(log))
    kwargs = {"data_parallel_size": 2, "tensor_parallel_size": 2}
    holder = ModelHolder("cuda")
    backend = holder.get(config(model_kwargs=kwargs))
    started = given(log)[before:]
    assert sorted(visible for visible, *_ in started) == ["0,1", "2,3"]
    assert all("data_parallel_size" not in arguments for *_, arguments in started)
    method = "score_continuations"
    expect_same_scores(
        flat(told(backend, method, CONTEXTS, CHOICES)), flat(told(other, method, CONTEXTS, CHOICES))
    )
    assert texts_of(backend) == texts_of(other)
    with pytest.raises(LanguageProblem, match="replica 0 of 2: ValueError: max_tokens must be at least 1"):
        texts_of(backend, length=0)
    assert texts_of(backend, PROMPTS[:1]) == texts_of(
        other, PROMPTS[:1]
    )  # no old reply is taken for a new one
    first = backend._engine._processes[0]
    first.kill()
    with pytest.raises(LanguageProblem, match="replica 0 of 2 ended with exit status -9 and no reply"):
        texts_of(backend)
    processes = backend._engine._processes
    holder.drop()
    assert all(process.exitcode is not None for process in processes)


WRONG = [
    ({"device": "cpu"}, "found --device cpu with backend 'vllm', expected a GPU; give --device cuda"),
    ({"visible": ""}, "found 0 visible GPUs, expected 1 for backend 'vllm'"),
    ({"model_kwargs": {"tensor_parallel_size": 3, "data_parallel_size": 2}}, "found 4 visible GPUs, expected 6"),
    ({"model_kwargs": {"data_parallel_size": 0}}, "found data_parallel_size=0 .*expected a positive whole number"),
    ({"model_kwargs": {"max_model_len": 9}}, "found max_model_len=9 .*give it as --max-seq-len"),
    ({"model_kwargs": {"seed": 9}}, "found seed=9 .*give it as --seed"),
    ({"model_kwargs": {"logprobs_mode": "raw_logits"}}, "found logprobs_mode='raw_logits'"),
    ({"model_kwargs": {"device_map": "auto"}}, "could not load the model .* by vLLM .*unexpected keyword argument"),
    ({"model_kwargs": {"gpu_memory_utilization": 2}}, "GPU memory utilization must be less than 1.0.*lower"),
    ({"max_seq_len": 600}, "found max_seq_len 600, expected at most 512"),
    ({"peft_path": "adapter"}, "found an adapter adapter with backend 'vllm'.*merge the adapter"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "match"), WRONG)
def test_what_cannot_be_loaded_is_refused_in_plain_words(monkeypatch, fields, match):
    fields = dict(fields)
    device, visible = fields.pop("device", "cuda"), fields.pop("visible", None)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(ModelProblem, match=match):
        vllm_backend(config(**fields), device)


def test_without_vllm_the_message_says_how_to_install_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vllm" else find(name))
    with pytest.raises(ModelProblem, match=r"found no vLLM for backend 'vllm'.*pip install vllm"):
        ModelHolder("cuda").get(config())


PLACES = [
    ((["0"], 1, 1, 0), []),
    ((["4", "5"], 1, 2, 0), []),
    ((["4", "5"], 1, 1, 1), ["5"]),  # the GPU that the case has
    ((["4", "5", "6", "7"], 2, 2, 0), ["4,5", "6,7"]),
    ((["4", "5", "6"], 3, 1, 2), ["4", "5", "6"]),
]


@pytest.mark.parametrize(("arguments", "wanted"), PLACES)
def test_an_engine_has_the_gpus_of_its_case(arguments, wanted):
    assert placed(*arguments) == wanted


def test_a_model_on_several_gpus_needs_a_case_that_has_them_all(tmp_path):
    def resolved(kwargs=None, **run):
        given = {
            "hf_path": str(TINY),
            "backend": "vllm",
            "model_kwargs": kwargs or {"tensor_parallel_size": "2"},
        }
        asked = setting(tmp_path, *given, latest=tmp_path, **run)
        return resolve(LanguageOptions(**given), asked).models[0]

    with pytest.raises(UsageProblem, match=r"found 2 GPUs for it .1 replicas of 2.*give --exclusive"):
        resolved()
    with pytest.raises(
        UsageProblem, match=r"found data_parallel_size='two'.*expected a positive whole number"
    ):
        resolved(kwargs={"data_parallel_size": "two"})
    assert resolved(exclusive=True).backend == "vllm"
    assert resolved(kwargs={"data_parallel_size": "1"}).backend == "vllm"


def test_options_name_the_backend():
    made = from_options(hf_path="org/some", backend="vllm", model_kwargs=["tensor_parallel_size=2"])
    assert (made.backend, made.model_kwargs) == ("vllm", {"tensor_parallel_size": 2})
    with pytest.raises(
        ModelProblem, match="found --api-base with --backend; a server loads its model itself"
    ):
        from_options(api_base="http://localhost:1", api_model="some", backend="vllm")
    assert not config(generation_kwargs={"temperature": 0.7}).samples
    assert config(generation_kwargs=DRAWN).samples


def test_tasks_of_the_harness_are_written_by_vllm(local, other):
    """With options of the task, and a prompt that loses its beginning."""
    models = [harness_model(each, config(), 1) for each in (other, local)]
    prompts = [PROMPTS[0], LONG]
    found, wanted = (
        told(model, "write", prompts, 16, (".",), {"do_sample": False}, [0, 1]) for model in models
    )
    assert found == wanted
    assert math.prod(map(len, found)) > 0
    with pytest.raises(LanguageProblem, match="typical_p"):
        told(models[0], "write", prompts, 16, (), {**DRAWN, "typical_p": 0.5}, [0, 1])
