"""A model behind a server: scores as the model itself gives them, failures tried again, and what each error says."""

import json
import socket

import pytest
import torch
from completion_server import SENTENCES, START, Behaviour, TinyServer, tiny_model, tiny_tokenizer

from bench.core.errors import ModelProblem
from bench.language.server import answers, transport
from bench.language.server.client import CompletionServer, ContinuationScore

PAIRS = [
    ("Tracy took the dog to the park because", " the weather was warm."),
    ("Tracy took the dog to the park because", " it"),
    ("The trophy does not fit in the suit", "case because"),
    ("Question: why did Robin", " lend the book to Kai? Answer: to be kind."),
    ("Müller drank café", " au lait, and 東京 was far away 🙂."),
    ("the", " 🙂🙂"),
    ("far away 🙂", "🙂 and"),
]


@pytest.fixture(scope="module")
def running():
    """A server with a tiny random GPT-2."""
    with TinyServer(tiny_model(), tiny_tokenizer(eos_token=START)) as server:
        yield server


@pytest.fixture
def tiny(running):
    """The server, well-behaved again and without a memory of earlier requests."""
    running.behaviour = Behaviour()
    return running


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def client(tiny: TinyServer, **options) -> CompletionServer:
    return CompletionServer(tiny.url, "tiny", **{"backoff_s": 0.001, "timeout_s": 20.0, **options})


def scored_directly(
    tiny: TinyServer, context: str, continuation: str, start_token: bool = False
) -> ContinuationScore:
    """The same score by the model alone, split by the tokenizer's own offsets."""
    encoded = tiny.tokenizer(context + continuation, return_offsets_mapping=True)
    ids = [0] * start_token + encoded["input_ids"]
    border = start_token + sum(end <= len(context) for _, end in encoded["offset_mapping"])
    with torch.inference_mode():
        logits = tiny.model(torch.tensor([ids])).logits[0].double()
    own = logits.log_softmax(-1)
    tokens = [float(own[index - 1, ids[index]]) for index in range(border, len(ids))]
    greedy = all(int(own[index - 1].argmax()) == ids[index] for index in range(border, len(ids)))
    return ContinuationScore(sum(tokens), tokens, greedy, len(tokens), border)


def assert_same(found: ContinuationScore, expected: ContinuationScore) -> None:
    assert found.tokens == pytest.approx(expected.tokens, abs=1e-4)
    assert found.sum == pytest.approx(expected.sum, abs=1e-4)
    assert (found.is_greedy, found.token_count, found.context_tokens) == (
        expected.is_greedy,
        expected.token_count,
        expected.context_tokens,
    )


# Log-likelihoods


@pytest.mark.parametrize("without_usage", [False, True], ids=["usage", "no_usage"])
@pytest.mark.parametrize("refuses_zero", [False, True], ids=["nothing_more", "one_token_more"])
@pytest.mark.parametrize("start_token", [False, True], ids=["no_start", "start"])
@pytest.mark.parametrize("summed_offsets", [False, True], ids=["true_offsets", "summed_offsets"])
def test_log_likelihoods_are_those_of_the_model_itself(
    tiny, summed_offsets, start_token, refuses_zero, without_usage
):
    tiny.behaviour = behaviour = Behaviour(
        summed_offsets=summed_offsets,
        start_token=start_token,
        refuses_zero=refuses_zero,
        without_usage=without_usage,
    )
    scores = client(tiny).loglikelihoods(PAIRS)
    for (context, continuation), score in zip(PAIRS, scores, strict=True):
        assert_same(score, scored_directly(tiny, context, continuation, behaviour.start_token))


@pytest.mark.parametrize("start_token", [False, True], ids=["no_start", "start"])
@pytest.mark.parametrize("least_tokens", [0, 3])
def test_log_probabilities_with_an_entry_for_each_token_are_read(tiny, least_tokens, start_token):
    tiny.behaviour = Behaviour(in_entries=True, least_tokens=least_tokens, start_token=start_token)
    scores = client(tiny).loglikelihoods(PAIRS)
    for (context, continuation), score in zip(PAIRS, scores, strict=True):
        assert_same(score, scored_directly(tiny, context, continuation, start_token))


@pytest.mark.parametrize("entries", [[3], "abc", [{"token": "a"}], [{"logprob": -1.0}], {}])
def test_entries_that_hold_no_log_probabilities_are_refused(tiny, entries):
    body = json.dumps({"choices": [{"text": "a b", "logprobs": {"content": entries}}]}).encode()
    tiny.behaviour = Behaviour(body=body)
    with pytest.raises(ModelProblem, match="log-probabilit"):
        client(tiny).loglikelihoods([("a", " b")])


@pytest.mark.parametrize("summed_offsets", [False, True])
def test_tokens_that_nobody_asked_for_are_not_scored(tiny, summed_offsets):
    tiny.behaviour = Behaviour(least_tokens=3, summed_offsets=summed_offsets)
    for pair, score in zip(PAIRS, client(tiny).loglikelihoods(PAIRS), strict=True):
        assert_same(score, scored_directly(tiny, *pair))


def test_continuation_of_the_likeliest_tokens_is_greedy(tiny):
    contexts = [text[:length] for text in SENTENCES[:3] for length in range(8, 40, 4)]
    words = [tiny.tokenizer.decode([token]) for token in range(1, 400)]
    pairs = []
    for context in contexts:
        ids = tiny.tokenizer(context)["input_ids"]
        word = words[int(tiny.logits(ids)[-1, 1:].argmax())]
        if tiny.tokenizer(context + word)["input_ids"][:-1] == ids:
            pairs.append((context, word))
    assert pairs, "no context's likeliest token survives being tokenized again"
    assert all(score.is_greedy for score in client(tiny).loglikelihoods(pairs))
    tiny.behaviour = Behaviour(without_top=True)
    assert [score.is_greedy for score in client(tiny).loglikelihoods(pairs)] == [None] * len(pairs)


def test_token_that_reaches_over_the_border_counts_to_the_continuation(tiny):
    word = " because"
    (token,) = tiny.tokenizer(word)["input_ids"]
    (score,) = client(tiny).loglikelihoods([("Tracy bec", "ause")])
    context_tokens = len(tiny.tokenizer("Tracy")["input_ids"])
    logits = tiny.logits([*tiny.tokenizer("Tracy")["input_ids"], token])
    assert (score.token_count, score.context_tokens) == (1, context_tokens)
    assert score.sum == pytest.approx(float(logits[-2, token]), abs=1e-4)


def test_text_without_a_context_is_scored_only_after_a_start_token(tiny):
    with pytest.raises(
        ModelProblem, match="no log-probability of the first token of 'the park', since nothing"
    ):
        client(tiny).loglikelihoods([("", "the park")])
    for summed_offsets in (False, True):
        tiny.behaviour = Behaviour(start_token=True, summed_offsets=summed_offsets)
        (score,) = client(tiny).loglikelihoods([("", "the park")])
        assert_same(score, scored_directly(tiny, "", "the park", start_token=True))


@pytest.mark.parametrize("start_token", [False, True])
def test_only_offsets_that_do_not_fit_the_text_cost_a_second_request(tiny, start_token):
    tiny.behaviour = Behaviour(summed_offsets=True, start_token=start_token)
    client(tiny).loglikelihoods(PAIRS[:4])
    assert len(tiny.behaviour.requests) == 4
    client(tiny).loglikelihoods(PAIRS[-1:])
    assert len(tiny.behaviour.requests) == 6


def test_whole_text_has_one_value_for_each_token_and_none_for_the_first(tiny):
    tiny.behaviour = Behaviour(refuses_zero=True)
    for text, logprobs in zip(SENTENCES, client(tiny).whole_text(SENTENCES), strict=True):
        ids = tiny.tokenizer(text)["input_ids"]
        logits = tiny.logits(ids)
        expected = [float(logits[index, token]) for index, token in enumerate(ids[1:])]
        assert logprobs[0] is None
        assert logprobs[1:] == pytest.approx(expected, abs=1e-4)


def test_refused_zero_is_asked_only_once(tiny):
    tiny.behaviour = Behaviour(refuses_zero=True)
    client(tiny, concurrency=1).loglikelihoods(PAIRS)
    asked = [request["max_tokens"] for request in tiny.behaviour.requests]
    assert asked == [0] + [1] * len(PAIRS)


# Generation


def test_generation_is_that_of_the_model_itself(tiny):
    expected = []
    for sentence in SENTENCES[:3]:
        ids = tiny.tokenizer(sentence)["input_ids"]
        with torch.inference_mode():
            whole = tiny.model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids)),
                do_sample=False,
                max_new_tokens=12,
                pad_token_id=0,
            )
        expected.append(tiny.tokenizer.decode(whole[0, len(ids) :], skip_special_tokens=True))
    assert client(tiny).generate(SENTENCES[:3], 12) == expected
    assert tiny.behaviour.requests[0]["temperature"] == 0.0


def test_answers_keep_the_order_of_their_prompts(tiny):
    prompts = [f"{number} {SENTENCES[0]}" for number in range(40)]
    together = client(tiny, concurrency=8).generate(prompts, 4)
    assert together == [client(tiny).generate([prompt], 4)[0] for prompt in prompts]


def test_text_ends_before_the_first_of_all_stops(tiny):
    (whole,) = client(tiny).generate([SENTENCES[0]], 20)
    stops = ["\0", "\1", "\2", "\3", whole[4:7], whole[9:11]]  # a server takes only the first four
    (text,) = client(tiny).generate([SENTENCES[0]], 20, stop=stops)
    assert text == whole[: min(whole.find(stop) for stop in stops[4:])]
    assert len(tiny.behaviour.requests[-1]["stop"]) == 4


def test_seed_decides_what_is_sampled(tiny):
    def sampled(seed):
        return client(tiny).generate([SENTENCES[0]], 12, temperature=1.0, seed=seed)

    assert sampled(1) == sampled(1)
    assert sampled(1) != sampled(2)


def test_further_fields_are_sent_with_each_generation(tiny):
    client(tiny, request_kwargs={"top_p": 0.5}).generate(["the"], 2)
    assert tiny.behaviour.requests[0]["top_p"] == 0.5


def test_chat_is_answered_through_its_own_address(tiny):
    conversations = [[{"role": "user", "content": sentence}] for sentence in SENTENCES[:2]]
    answers = client(tiny).chat(conversations, 8)
    prompts = [f"user: {sentence}\nassistant:" for sentence in SENTENCES[:2]]
    assert answers == client(tiny).generate(prompts, 8)


def test_chat_answer_without_words_is_empty(tiny):
    tiny.behaviour = Behaviour(body=b'{"choices": [{"message": {"content": null}}]}')
    assert client(tiny).chat([[{"role": "user", "content": "?"}]], 8) == [""]


# Tried again


@pytest.mark.parametrize("status", [429, 500, 503, 0], ids=["429", "500", "503", "lost_connection"])
def test_failure_that_may_pass_is_tried_again(tiny, status):
    tiny.behaviour = Behaviour(fail_times=2, fail_status=status)
    (text,) = client(tiny, max_retries=2).generate([SENTENCES[0]], 4)
    assert text
    assert len(tiny.behaviour.requests) == 3


def test_waits_double_and_are_at_least_what_the_server_asks(tiny, monkeypatch):
    waits = []
    monkeypatch.setattr(transport, "pause", lambda stopped, seconds: waits.append(seconds))
    tiny.behaviour = Behaviour(fail_times=4)
    client(tiny, backoff_s=1.0).generate(["the"], 1)
    assert len(waits) == 4
    assert all(2**tried <= wait <= 1.25 * 2**tried for tried, wait in enumerate(waits))
    waits.clear()
    tiny.behaviour = Behaviour(fail_times=1, fail_status=429, retry_after="7")
    client(tiny, backoff_s=1.0).generate(["the"], 1)
    assert waits == [7.0]


@pytest.mark.parametrize("header", ["Fri, 31 Dec 1999 23:59:59 GMT", "soon", "nan", "-3"])
def test_wait_that_cannot_be_read_or_is_over_is_none(header):
    assert answers.retry_after_s(header) <= 0


def test_failures_end_in_a_problem_that_names_the_last(tiny):
    tiny.behaviour = Behaviour(fail_times=9, fail_status=503)
    with pytest.raises(
        ModelProblem, match=r"v1/completions: no answer in 3 tries \(the last: status 503, 'told to fail'\)"
    ):
        client(tiny, max_retries=2).generate(["the"], 1)
    assert len(tiny.behaviour.requests) == 3


def test_server_that_hangs_is_given_up(tiny):
    tiny.behaviour = Behaviour(hang_s=30.0)
    with pytest.raises(ModelProblem, match=r"no answer in 2 tries \(the last: ReadTimeout"):
        client(tiny, timeout_s=0.2, max_retries=1).generate(["the"], 1)


def test_address_where_nobody_listens(tiny):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        nobody = CompletionServer(f"http://127.0.0.1:{port}", "tiny", max_retries=1, backoff_s=0.001)
        with pytest.raises(
            ModelProblem, match=rf"127.0.0.1:{port}/v1/completions: no answer in 2 tries.*start it"
        ):
            nobody.generate(["the"], 1)


# Refused


def test_wrong_key_is_refused_at_once_and_not_repeated_in_the_message(tiny):
    tiny.behaviour = Behaviour(key="right")
    with pytest.raises(
        ModelProblem, match=r"refuses the key \(401, 'Incorrect API key provided'.*OPENAI_API_KEY"
    ) as caught:
        client(tiny, api_key="not-the-one").generate(["the"], 1)
    assert "not-the-one" not in str(caught.value)
    assert len(tiny.behaviour.requests) == 1


def test_key_comes_from_the_environment(tiny, monkeypatch):
    tiny.behaviour = Behaviour(key="right")
    monkeypatch.setenv("OPENAI_API_KEY", "right")
    assert len(client(tiny).generate(["the"], 1)) == 1


def test_key_goes_before_that_of_a_netrc_file(tiny, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    tiny.behaviour = Behaviour(key="right")
    assert len(client(tiny, api_key="right").generate(["the"], 1)) == 1


def test_unknown_model_names_address_and_model(tiny):
    tiny.behaviour = Behaviour(models=("other",))
    with pytest.raises(
        ModelProblem, match=r"v1/completions: .* no model 'tiny' \(404, .*--api-base or --api-model"
    ):
        client(tiny).generate(["the"], 1)
    assert len(tiny.behaviour.requests) == 1


def test_unknown_path_names_the_address(tiny):
    wrong = CompletionServer(f"{tiny.url}/models", "tiny")
    with pytest.raises(ModelProblem, match=r"/v1/models/completions: the server has no such address"):
        wrong.generate(["the"], 1)


def test_refused_request_is_not_tried_again(tiny):
    tiny.behaviour = Behaviour(fail_times=9, fail_status=422)
    with pytest.raises(ModelProblem, match=r"refuses the request \(422, 'told to fail'\)"):
        client(tiny).generate(["the"], 1)
    assert len(tiny.behaviour.requests) == 1


def test_redirect_names_its_target(tiny):
    tiny.behaviour = Behaviour(fail_times=1, fail_status=307)
    with pytest.raises(ModelProblem, match=r"found a redirect to /elsewhere/completions; expected an answer"):
        client(tiny).generate(["the"], 1)


# Answers of another form


@pytest.mark.parametrize("behaviour", [Behaviour(without_logprobs=True), Behaviour(ignores_echo=True)])
@pytest.mark.parametrize("refuses_zero", [False, True])
def test_server_without_log_probabilities_of_the_prompt(tiny, behaviour, refuses_zero):
    tiny.behaviour = Behaviour(**{**vars(behaviour), "refuses_zero": refuses_zero, "requests": []})
    with pytest.raises(
        ModelProblem, match=r"expected those of the prompt \(echo=true, logprobs=1\); use a server"
    ):
        client(tiny).loglikelihoods(PAIRS[:1])
    with pytest.raises(ModelProblem, match="expected those of the prompt"):
        client(tiny).whole_text(["the park"])


@pytest.mark.parametrize("count", [0, 2])
def test_wrong_number_of_choices(tiny, count):
    tiny.behaviour = Behaviour(choices=count)
    with pytest.raises(ModelProblem, match=f"found {count} choices; expected one choice for one prompt"):
        client(tiny).generate(["the"], 1)


def test_answer_that_is_no_json(tiny):
    tiny.behaviour = Behaviour(body=b"<html>Welcome</html>")
    with pytest.raises(ModelProblem, match="found an answer that is not JSON, '<html>Welcome</html>'"):
        client(tiny).generate(["the"], 1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", r"found \[\]; expected one choice"),
        (b'{"choices": null}', "expected one choice"),
        (b'{"choices": [{"text": null}]}', "found None as the text of a choice; expected a string"),
        (b'{"choices": [{"message": "hello"}]}', "found None as the text of a choice"),
    ],
)
def test_answer_of_another_form(tiny, body, message):
    tiny.behaviour = Behaviour(body=body)
    with pytest.raises(ModelProblem, match=message):
        client(tiny).generate(["the"], 1)


def test_chat_answer_of_another_form(tiny):
    tiny.behaviour = Behaviour(body=b'{"choices": [{"text": "hello"}]}')
    with pytest.raises(ModelProblem, match="message None; expected one with content"):
        client(tiny).chat([[{"role": "user", "content": "?"}]], 1)


def test_log_probability_that_is_no_number(tiny):
    tiny.behaviour = Behaviour(
        body=b'{"choices": [{"text": "a b", "logprobs": {"tokens": ["a", " b"], "token_logprobs": [null, NaN],'
        b' "text_offset": [0, 1]}}]}'
    )
    with pytest.raises(ModelProblem, match="found the log-probability nan at token 1 of a prompt"):
        client(tiny).loglikelihoods([("a", " b")])


@pytest.mark.parametrize(
    ("logprobs", "message"),
    [
        (
            {"tokens": ["a", " b"], "token_logprobs": [None, 0.5], "text_offset": [0, 1]},
            "0.5 .* expected none above 0",
        ),
        ({"tokens": ["d"], "token_logprobs": [-1.0], "text_offset": [3]}, "1 log-probabilities of 1 tokens"),
        ({"tokens": [1, 2], "token_logprobs": [None, -1.0]}, "no token of ' b' among"),
    ],
)
def test_log_probabilities_of_something_else_are_refused_and_not_summed(tiny, logprobs, message):
    body = json.dumps({"choices": [{"text": "a b", "logprobs": logprobs}]}).encode()
    tiny.behaviour = Behaviour(body=body)
    with pytest.raises(ModelProblem, match=message):
        client(tiny).loglikelihoods([("a", " b")])


def test_an_answer_that_broke_is_refused_and_one_without_its_end_asked_for_again(tiny):
    choice = {"message": {"role": "assistant", "content": "7"}, "finish_reason": "error"}
    tiny.behaviour = Behaviour(body=json.dumps({"choices": [choice]}).encode())
    with pytest.raises(ModelProblem, match="an answer that ended by 'error'"):
        client(tiny).chat([[{"role": "user", "content": "?"}]], 1)
    tiny.behaviour = Behaviour(body=b'{"choices": [{"mess')
    with pytest.raises(ModelProblem, match=r"no answer in . tries .*an answer without its end"):
        client(tiny).chat([[{"role": "user", "content": "?"}]], 1)


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "http://host:8000",
        "http://host:8000/",
        "http://host:8000/v1",
        "http://host:8000/v1/",
        "http://host:8000/v1/completions",
        "http://host:8000/v1/chat/completions",
    ],
)
def test_addresses_that_mean_the_same(address):
    assert CompletionServer(address, "tiny").base_url == "http://host:8000/v1"


@pytest.mark.parametrize("address", ["localhost:8000", "host", "", "ftp://host/v1"])
def test_address_that_is_none(address):
    with pytest.raises(ModelProblem, match="found no http or https address; expected one such as"):
        CompletionServer(address, "tiny")
