"""A chat model is asked in its template, with one start token, and scored as lm-evaluation-harness scores it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from chat_models import TEMPLATE, save_chat_model
from completion_server import START, Behaviour, TinyServer, tiny_model, tiny_tokenizer
from tokenizers.processors import TemplateProcessing

from bench.core.errors import LanguageProblem, ModelProblem
from bench.language.backend import LocalBackend
from bench.language.chat import Conversation
from bench.language.inference import infer
from bench.language.models.config import ModelConfig, from_options
from bench.language.models.loading import (
    LoadedModel,
    apply_chat,
    expect_contents,
    expect_variables,
    load_model,
)
from bench.language.prompting import QuestionBuilder
from bench.language.record import Engine, Usage
from bench.language.server.backend import ServerBackend
from bench.language.spec import (
    Dataset,
    Examples,
    Generation,
    LogLikelihood,
    Perplexity,
    SingleToken,
    Source,
)

ROWS = [
    {"q": "Anna broke the vase of Ben", "options": ["happy and proud", "sorry", "very hungry"], "gold": 1},
    {"q": "Tom gave Mia a cup", "options": ["glad", "angry with Tom", "cold"], "gold": 0},
]
STARTS = [(False, False), (True, False), (False, True), (True, True)]
IDS = ["neither", "template", "tokenizer", "both"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Chat models whose template, tokenizer, both or neither write the start token."""
    found = {}
    for writes, adds in STARTS:
        directory = save_chat_model(tmp_path_factory.mktemp("chat"), writes_start=writes, adds_start=adds)
        found[writes, adds] = load_model(
            ModelConfig("chatty", str(directory), type="chat", dtype="float32", system_prompt="Be brief.")
        )
    return found


def dataset(inference, **fields):
    return Dataset(
        **{
            "source": Source(hub="nobody/nothing", rows="nothing"), "prompt": "{q}. Answer:",
            "inference": inference, "choices": "options", **fields,
        }
    )  # fmt: skip


def asked(backend, declared, **fields):
    questions = QuestionBuilder(declared, ROWS, 0).build(ROWS)
    predictions = {}
    infer(declared, questions, backend, lambda p: predictions.__setitem__(p["key"], p), **fields)
    return predictions


def framed(loaded, question: str, system: str | None = "Be brief.") -> str:
    start = "<s>" if "bos_token" in loaded.tokenizer.chat_template else ""
    said = f"[system]{system}[end]\n" if system else ""
    return f"{start}{said}[user]{question}[end]\n[assistant]"


def ids_of(loaded, text: str) -> list[int]:
    tokenizer = loaded.tokenizer
    return tokenizer(text, add_special_tokens=not text.startswith("<s>"))["input_ids"]


def direct(loaded, context: str, answer: str) -> list[float]:
    """Log-likelihoods of all tokens of an answer after a context."""
    whole, start = ids_of(loaded, context + answer), len(ids_of(loaded, context))
    with torch.inference_mode():
        table = loaded.model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return [float(table[i - 1, whole[i]]) for i in range(start, len(whole))]


@pytest.mark.parametrize("starts", STARTS, ids=IDS)
def test_the_start_token_stands_once_whoever_writes_it(models, starts, monkeypatch):
    loaded, seen = models[starts], []
    backend = LocalBackend(loaded, 4)
    monkeypatch.setattr(backend._generator, "generate", lambda requests, done: seen.extend(requests))
    backend.generate(["Hello there"], 5, (), [0], lambda *_: None)
    (request,) = seen
    assert request.tokens.count(1) == (0 if starts == (False, False) else 1)
    assert request.tokens[0] == 1 or starts == (False, False)
    assert list(request.tokens) == ids_of(loaded, framed(loaded, "Hello there"))


def with_start(
    loaded, written: str, *, added: str = "", start: str | None = "<s>", end: str = ""
) -> LoadedModel:
    """The model with another text before its template, other tokens that its tokenizer adds, and another start token."""
    tokenizer = copy.deepcopy(loaded.tokenizer)
    tokenizer.chat_template = written + TEMPLATE.replace("{{ START }}", "")
    tokenizer.bos_token = start
    special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in {*added.split(), *end.split()}]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{added} $A {end}".strip(), special_tokens=special
    )
    return replace(loaded, tokenizer=tokenizer)


def prompt_of(loaded, monkeypatch) -> tuple[list[int], LocalBackend]:
    seen, backend = [], LocalBackend(loaded, 4)
    monkeypatch.setattr(backend._generator, "generate", lambda requests, done: seen.extend(requests))
    backend.generate(["Hello there"], 5, (), [0], lambda *_: None)
    return list(seen[0].tokens), backend


@pytest.mark.parametrize(
    ("written", "added", "start", "wanted"),
    [
        ("<s>", "<s>", None, [1]),  # a start token that the tokenizer adds and does not name
        ("<s>", "<s>", "</s>", [1]),  # or names another one
        ("<pad><s>", "<pad> <s>", None, [0, 1]),  # a start of two tokens, as GLM's
        ("<pad><s>", "<pad> <s>", "<s>", [0, 1]),
        ("\n<s>", "<s>", "<s>", None),
        ("", "<pad> <s>", None, [0, 1]),
    ],
)
def test_a_start_that_the_tokenizer_adds_is_known_by_its_tokens(
    models, written, added, start, wanted, monkeypatch
):
    tokens, backend = prompt_of(
        with_start(models[False, False], written, added=added, start=start), monkeypatch
    )
    assert tokens.count(1) == 1
    assert wanted is None or tokens[: len(wanted)] == wanted
    assert backend.usage().repeated_starts == 0


@pytest.mark.parametrize(
    ("written", "added"), [("", ""), ("", "<s>"), ("<s>", "<s>"), ("{{ bos_token }}", "")]
)
def test_an_end_that_the_tokenizer_adds_is_not_sent_before_an_answer(models, written, added, monkeypatch):
    loaded = with_start(models[False, False], written, added=added, end="</s>")
    tokens, _ = prompt_of(loaded, monkeypatch)
    plain, _ = prompt_of(with_start(models[False, False], written, added=added), monkeypatch)
    assert loaded.tokenizer.eos_token_id not in tokens
    assert tokens == plain
    inferred = [
        asked(LocalBackend(one, 4), dataset(LogLikelihood())) for one in (loaded, models[False, False])
    ]
    assert [len(found) for found in inferred] == [len(ROWS)] * 2


@pytest.mark.parametrize("added", ["", "<s>"], ids=["adds_none", "adds_one"])
def test_a_template_that_writes_its_start_twice_keeps_both_and_a_warning_says_so(models, added, monkeypatch):
    loaded = with_start(models[False, False], "{{ bos_token }}<s>", added=added)
    tokens, backend = prompt_of(loaded, monkeypatch)
    assert tokens[:3].count(1) == 2
    assert tokens[:2] == [1, 1]
    asked(backend, dataset(LogLikelihood()))
    assert backend.usage().repeated_starts == 1 + len(ROWS)
    did = Engine.between(Usage(repeated_starts=1), backend.usage(), seconds=1.0, asked=2, reused=0)
    (warning,) = did.warnings()
    assert warning.startswith("2 prompts begin with more than one start token, as the chat template")


def test_starts_are_counted_for_whole_texts_and_none_where_each_has_one(models):
    twice = LocalBackend(with_start(models[False, False], "<s><s>"), 4)
    asked(twice, dataset(Perplexity()))
    assert twice.usage().repeated_starts == len(ROWS)
    for starts in STARTS:
        once = LocalBackend(models[starts], 4)
        for inference in (Perplexity(), LogLikelihood(), SingleToken()):
            asked(once, dataset(inference))
        assert once.usage().repeated_starts == 0


@pytest.mark.parametrize("starts", STARTS, ids=IDS)
def test_answers_are_scored_after_the_template(models, starts):
    loaded = models[starts]
    backend = LocalBackend(loaded, 4)
    found = asked(backend, dataset(LogLikelihood()))
    for number, row in enumerate(ROWS):
        context = framed(loaded, f"{row['q']}. Answer:")
        wanted = [sum(direct(loaded, context, option)) for option in row["options"]]
        assert found[str(number)]["loglikelihoods"] == pytest.approx(wanted, abs=1e-4)
    single = asked(backend, dataset(SingleToken()))
    for number, row in enumerate(ROWS):
        context = framed(loaded, f"{row['q']}. Answer:")
        wanted = [direct(loaded, context, option)[0] for option in row["options"]]
        assert single[str(number)]["loglikelihoods"] == pytest.approx(wanted, abs=1e-4)
    whole = asked(backend, dataset(Perplexity()))
    for number, row in enumerate(ROWS):
        context = framed(loaded, f"{row['q']}. Answer:")
        for option, value in zip(row["options"], whole[str(number)]["perplexity"], strict=True):
            ids = ids_of(loaded, context + option)
            with torch.inference_mode():
                table = loaded.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            total = sum(float(table[i - 1, ids[i]]) for i in range(1, len(ids)))
            assert value == pytest.approx(-total / len(ids), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("starts", STARTS[1:], ids=IDS[1:])
def test_log_likelihoods_in_a_chat_are_those_of_lm_evaluation_harness(models, starts):
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    loaded = models[starts]
    peer = huggingface.HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=1)
    found = asked(LocalBackend(loaded, 4), dataset(LogLikelihood()))
    for number, row in enumerate(ROWS):
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"{row['q']}. Answer:"},
        ]
        context = peer.apply_chat_template(messages)
        pairs = [peer._encode_pair(context, option) for option in row["options"]]
        scored = peer._loglikelihood_tokens(
            [((context, o), *pair) for o, pair in zip(row["options"], pairs, strict=True)]
        )
        assert found[str(number)]["loglikelihoods"] == pytest.approx([value for value, _ in scored], abs=1e-4)


def test_variables_reach_the_template_and_a_thought_that_it_begins_is_known(models, monkeypatch):
    loaded, seen = models[True, False], []
    config = replace(loaded.config, chat_template_kwargs={"thinking": True})
    backend = LocalBackend(replace(loaded, config=config), 4)
    monkeypatch.setattr(backend._generator, "generate", lambda requests, done: seen.extend(requests))
    backend.generate([Conversation((("user", "Hello"),))], 5, ("\n\n",), [0], lambda *_: None)
    assert seen[0].begun
    assert list(seen[0].tokens) == ids_of(loaded, framed(loaded, "Hello", None) + "<think>\n")


def test_a_variable_that_the_template_does_not_read_is_refused(models):
    config = replace(models[True, False].config, chat_template_kwargs={"enable_thinkng": False})
    with pytest.raises(
        ModelProblem, match=r"enable_thinkng, which its chat template does not read.*thinking"
    ):
        load_model(config)


TURNS = "{% for m in messages %}[{{ m['role'] }}]CONTENT{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"


@pytest.mark.parametrize(
    ("template", "system", "lost"),
    [
        (TURNS.replace("CONTENT", ""), None, "the user"),
        (
            TURNS.replace("CONTENT", "{% if m['role'] != 'system' %}{{ m['content'] }}{% endif %}"),
            "Be brief.",
            "the system",
        ),
        (
            "{% for tool in tools %}{{ tool }}{% endfor %}" + TURNS.replace("CONTENT", "x"),
            None,
            "refuses messages of user",
        ),
    ],
)
def test_a_template_that_leaves_out_what_is_said_is_refused(models, template, system, lost):
    tokenizer = copy.copy(models[True, False].tokenizer)
    tokenizer.chat_template = template
    with pytest.raises(ModelProblem, match=lost):
        expect_contents(tokenizer, replace(models[True, False].config, system_prompt=system))


def test_a_template_that_takes_contents_in_parts_gets_them_so(models):
    tokenizer = copy.copy(models[True, False].tokenizer)
    tokenizer.chat_template = TURNS.replace(
        "CONTENT", "{% for p in m['content'] %}{{ p['text'] }}{% endfor %}"
    )
    expect_contents(tokenizer, models[True, False].config)
    assert apply_chat(tokenizer, [{"role": "user", "content": "Hello"}]) == "[user]Hello[assistant]"


def test_variables_are_found_next_to_blocks_of_transformers_own(models):
    tokenizer = copy.copy(models[True, False].tokenizer)
    tokenizer.chat_template = "{% generation %}{% if thinking %}x{% endif %}{%- endgeneration -%}"
    config = models[True, False].config
    expect_variables(tokenizer, replace(config, chat_template_kwargs={"thinking": True}))
    with pytest.raises(ModelProblem, match="does not read"):
        expect_variables(tokenizer, replace(config, chat_template_kwargs={"messages_": True}))


@pytest.mark.parametrize("options", [{"system_prompt": "x"}, {"chat_template_kwargs": ["a=1"]}])
def test_what_only_a_chat_has_is_refused_of_a_base_model(options):
    with pytest.raises(ModelProblem, match="expected type 'chat'"):
        from_options(hf_path="x/y", **options)


def test_options_of_a_chat_reach_the_model():
    config = from_options(
        hf_path="x/y", hf_type="chat", system_prompt="Be brief.", chat_template_kwargs=["enable_thinking=false"],
        few_shot="text", think_marks=("[T]", "[/T]"),
    )  # fmt: skip
    assert config.chat_template_kwargs == {"enable_thinking": False}
    assert (config.system_prompt, config.few_shot) == ("Be brief.", "text")
    assert config.think_marks == ("[T]", "[/T]")
    assert from_options(hf_path="x/y", think_marks=("none",)).think_marks == ()
    with pytest.raises(ModelProblem, match="expected an opening and a closing mark"):
        from_options(hf_path="x/y", think_marks=("<think>",))


# --- the window --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(models):
    loaded = models[False, False]
    return replace(loaded, config=replace(loaded.config, type="base", system_prompt=None), max_seq_len=96)


def test_a_limit_near_the_window_shortens_the_answer_and_not_the_prompt(base):
    declared = dataset(Generation(), choices=(), gold="q", examples=Examples("fixed", 1), answer=" sorry")
    backend = LocalBackend(base, 4)
    found = asked(backend, declared, max_out_len=90)
    prompt = f"{ROWS[0]['q']}. Answer: sorry\n\n{ROWS[0]['q']}. Answer:"
    assert found["0"]["prompt"] == prompt
    assert found["0"]["dropped_examples"] == 0
    usage = backend.usage()
    assert (usage.cut_prompts, usage.short_answers) == (0, 2)
    room = 96 - len(base.tokenizer(prompt)["input_ids"])
    alone = asked(LocalBackend(base, 4), declared, max_out_len=room)
    assert found["0"]["text"] == alone["0"]["text"]


def test_prompts_with_more_and_less_room_are_written_as_each_one_alone(base):
    prompts = [" ".join(["Anna broke the vase of Ben"] * times) for times in (1, 4, 2, 5)]
    texts = {}
    for size in (1, 4):
        backend, found = LocalBackend(base, size), {}
        backend.generate(
            prompts, 50, (), [0] * 4, lambda index, text, found=found: found.update({index: text})
        )
        texts[size] = found
    assert texts[1] == texts[4]


def test_a_prompt_without_room_for_an_answer_is_refused_with_both_numbers(base):
    long = " ".join(["Anna broke the vase of Ben"] * 20)
    count = len(base.tokenizer(long)["input_ids"])
    with pytest.raises(LanguageProblem, match=f"a prompt of {count} tokens for a model that reads 96"):
        LocalBackend(base, 4).generate([long], 5, (), [0], lambda *_: None)


# --- servers -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server, and the same model and tokenizer in this process, as a chat model."""
    directory = tmp_path_factory.mktemp("served")
    tokenizer = tiny_tokenizer(eos_token=START, bos_token=START)
    tokenizer.chat_template = TEMPLATE.replace("{{ START }}", "{{ bos_token }}")
    tokenizer.save_pretrained(directory)
    model = tiny_model()
    with TinyServer(model, tokenizer) as server:
        local = ModelConfig("local", "tiny", type="chat")
        loaded = LoadedModel(model, tokenizer, local, "tiny", 128, "cpu", "float32")
        config = ModelConfig(
            "served",
            "tiny",
            type="chat",
            backend="server",
            api_base=server.url,
            tokenizer_path=str(directory),
        )
        yield server, LocalBackend(loaded, 4), config


@pytest.mark.parametrize("adds_start", [False, True], ids=["server_adds_none", "server_adds_one"])
@pytest.mark.parametrize(
    ("inference", "key"),
    [(LogLikelihood(), "loglikelihoods"), (Perplexity(), "perplexity"), (SingleToken(), "loglikelihoods")],
    ids=["ll", "ppl", "clp"],
)
def test_a_server_scores_answers_in_a_chat_as_the_model_here_does(served, inference, key, adds_start):
    server, local, config = served
    server.behaviour = Behaviour(start_token=adds_start)
    here = asked(local, dataset(inference))
    there = asked(ServerBackend(config), dataset(inference))
    for number in ("0", "1"):
        assert there[number][key] == pytest.approx(here[number][key], abs=1e-3)
        assert there[number]["tokens"] == here[number]["tokens"]


@pytest.mark.parametrize("adds_start", [False, True], ids=["server_adds_none", "server_adds_one"])
def test_a_server_is_sent_as_many_starts_as_the_template_writes(served, adds_start, tmp_path):
    server, local, config = served
    server.behaviour = Behaviour(start_token=adds_start)
    tokenizer = copy.deepcopy(local._tokenizer)
    tokenizer.chat_template = f"{START}{tokenizer.chat_template}"
    tokenizer.save_pretrained(tmp_path)
    here = LocalBackend(replace(local._loaded, tokenizer=tokenizer), 4)
    there = ServerBackend(replace(config, tokenizer_path=str(tmp_path)))
    wanted, found = (asked(backend, dataset(LogLikelihood())) for backend in (here, there))
    for number in ("0", "1"):
        assert found[number]["loglikelihoods"] == pytest.approx(wanted[number]["loglikelihoods"], abs=1e-3)
    assert here.usage().repeated_starts == there.usage().repeated_starts == len(ROWS)


def test_a_server_without_a_known_template_refuses_to_score_answers(served):
    _, _, config = served
    with pytest.raises(LanguageProblem, match="--tokenizer-path"):
        asked(ServerBackend(replace(config, tokenizer_path=None)), dataset(LogLikelihood()))


def replied(served, replies, **fields):
    server, _, config = served
    server.behaviour = Behaviour(replies=list(replies))
    config = replace(config, **fields)
    found = []
    inference = Generation(max_out_len=9, stop=("\n\n",), chat_stop=("END",))
    backend = ServerBackend(config, concurrency=1)
    stops = inference.stops(chat=config.type == "chat")
    backend.generate(["Hello"], 9, stops, [0], lambda _, text: found.append(text))
    return found[0], server.behaviour.requests


def reply(content, finish="stop", **more):
    return {"message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}


@pytest.mark.parametrize(
    ("choice", "text", "thought", "unclosed", "cut"),
    [
        (reply("12"), "12", None, False, False),
        (reply("12", "length"), "12", None, False, True),
        (reply("<think>a END b</think>\n\n12 END 13"), "12 ", "a END b", False, False),
        (reply("<think>a", "length"), "", "a", True, True),
        (reply("12", reasoning_content="a"), "12", "a", False, False),
        (reply("12", reasoning="a"), "12", "a", False, False),
        (reply(None, "length", reasoning_content="a"), "", "a", True, True),
        (reply(None, "length"), "", None, False, True),
        ({"message": {"role": "assistant"}, "finish_reason": "length"}, "", None, False, True),
        (reply("12", "MAX_TOKENS"), "12", None, False, True),
        (reply("12", "model_length"), "12", None, False, True),
        (reply("12", "content_filter"), "12", None, False, True),
        (reply("12", None), "12", None, False, False),
        (reply("12", "end_turn"), "12", None, False, False),
    ],
)
def test_what_a_server_says_of_thought_and_end_is_kept(served, choice, text, thought, unclosed, cut):
    found, requests = replied(served, [choice])
    assert (found, found.thought, found.unclosed, found.cut) == (text, thought, unclosed, cut)
    assert "stop" not in requests[0]  # it would act inside a thought


def piece(said, kind="text", **more):
    return {"type": kind, kind if kind in ("thinking", "refusal", "reasoning") else "text": said, **more}


@pytest.mark.parametrize(
    ("choice", "text", "thought", "unclosed"),
    [
        (reply([piece("12")]), "12", None, False),
        (reply([piece("1"), piece("2 END 3")]), "12 ", None, False),
        (reply([piece("12", "output_text", annotations=[])]), "12", None, False),
        (reply([piece({"value": "12", "annotations": []})]), "12", None, False),
        (reply(["1", {"text": "2"}]), "12", None, False),
        (reply(piece("12")), "12", None, False),
        (reply([]), "", None, False),
        (reply([piece("")]), "", None, False),
        (reply([piece(None)]), "", None, False),
        (reply([piece("<think>a"), piece("</think>12")]), "12", "a", False),
        (reply([piece("a", "thinking", signature="x"), piece("12")]), "12", "a", False),
        (reply([piece([piece("a"), piece("b")], "thinking"), piece("12")]), "12", "ab", False),
        (reply([piece("a END", "reasoning"), piece("12")]), "12", "a END", False),
        (
            reply([{"type": "reasoning", "summary": [piece("a", "summary_text")]}, piece("12")]),
            "12",
            "a",
            False,
        ),
        (reply([piece("a", thought=True), piece("12")]), "12", "a", False),
        (reply([piece("a", "thinking")], "length"), "", "a", True),
        (reply([{"type": "redacted_thinking", "data": "c2VhbGVk"}, piece("12")]), "12", None, False),
        (reply([piece("a", "thinking"), piece("12")], reasoning_content="a"), "12", "a", False),
        (reply("12", reasoning=[piece("a")]), "12", "a", False),
        (reply("12", reasoning_details=[{"type": "reasoning.text", "text": "a"}]), "12", "a", False),
        (reply([{"type": "tool_use", "input": {}}]), "", None, False),
        (reply([piece("I can't help.", "refusal")]), "I can't help.", None, False),
        (reply(None, refusal="I can't help."), "I can't help.", None, False),
    ],
)
def test_parts_of_a_content_are_joined_and_those_of_a_thought_kept_apart(
    served, choice, text, thought, unclosed
):
    found, _ = replied(served, [choice])
    assert (found, found.thought, found.unclosed) == (text, thought, unclosed)


def test_a_thought_in_parts_is_not_looked_for_again_in_the_text(served):
    thinking = {"chat_template_kwargs": {"thinking": True}}
    found, _ = replied(served, [reply([piece("12? No.", "thinking"), piece("13")])], **thinking)
    assert (found, found.thought, found.unclosed) == ("13", "12? No.", False)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"type": "image_url", "image_url": {"url": "data:"}}, "a part of the kind 'image_url'"),
        ({"type": "output_audio", "text": "12"}, "a part of the kind 'output_audio'"),
        ({"type": "text", "said": "12"}, "a part of the kind 'text'"),
        ({"said": "12"}, r"a part of no kind \(fields said\)"),
        (12, r"found \[12\] as the text of a choice; expected a string, or parts"),
        ({"type": 3, "text": "12"}, "as the text of a choice"),
    ],
)
def test_a_part_that_is_no_text_is_named(served, part, named):
    with pytest.raises(ModelProblem, match=named):
        replied(served, [reply([part])])


def test_a_continuation_in_parts_is_a_text(served):
    found, _ = replied(served, [{"text": [piece("1"), piece("2")], "finish_reason": "stop"}], type="base")
    assert found == "12"


def test_system_prompt_and_template_variables_are_sent(served):
    _, requests = replied(
        served, [reply("12")], system_prompt="Be brief.", chat_template_kwargs={"thinking": False}
    )
    assert requests[0]["chat_template_kwargs"] == {"thinking": False}
    assert [message["role"] for message in requests[0]["messages"]] == ["system", "user"]


def test_a_thought_that_a_known_template_begins_has_no_opening_mark(served):
    thinking = {"chat_template_kwargs": {"thinking": True}}
    found, _ = replied(served, [reply("The answer is 12, but", "length")], **thinking)
    assert (found.unclosed, found.thought) == (True, "The answer is 12, but")
    found, _ = replied(served, [reply("12? No.</think>13")], **thinking)
    assert (found, found.thought) == ("13", "12? No.")
    found, _ = replied(served, [reply("13", reasoning_content="12? No.")], **thinking)
    assert (found, found.thought, found.unclosed) == ("13", "12? No.", False)


def test_a_base_model_that_a_stop_ended_inside_a_thought_is_asked_again_without_it(served):
    first = {"text": "<think>a", "finish_reason": "stop"}
    second = {"text": "<think>a\n\nb</think>12\n\nmore", "finish_reason": "length"}
    found, requests = replied(served, [first, second], type="base")
    assert (found, found.thought, found.cut) == ("12", "a\n\nb", False)
    assert [request.get("stop") for request in requests] == [["\n\n"], None]


def test_a_server_that_knows_the_longest_length_by_another_name_is_asked_by_it(served):
    server, _, config = served
    server.behaviour = Behaviour(longest=("max_tokens", "max_completion_tokens"))
    found = []
    ServerBackend(config, concurrency=1).generate(
        ["Hi", "Ho"], 3, (), [0, 1], lambda _, text: found.append(text)
    )
    assert [text.cut for text in found] == [True, True]
    assert ["max_completion_tokens" in request for request in server.behaviour.requests] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("name", ["do_sample", "max_tokens", "n", "stop"])
def test_fields_that_a_server_ignores_or_that_the_suite_sets_are_refused(served, name):
    _, _, config = served
    with pytest.raises(LanguageProblem, match=rf"found .?{name}.?( in generation_kwargs|=1 for a server)"):
        ServerBackend(replace(config, generation_kwargs={name: 1}))
