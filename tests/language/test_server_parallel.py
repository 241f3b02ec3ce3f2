"""Requests to a server run side by side, drawn ones too; each answer is kept when it arrives; servers' own ways are met."""

from __future__ import annotations

import threading
import time
from threading import Event

import pytest
from scripted_server import ScriptedServer, refusal, text_answer

from bench.core.errors import LanguageProblem, ModelProblem
from bench.language.models.config import ModelConfig
from bench.language.server import transport
from bench.language.server.backend import ServerBackend
from bench.language.server.parallel import in_parallel

PROMPTS = [f"prompt {i}" for i in range(12)]
LONG_S = 20.0


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(transport, "pause", lambda stopped, seconds: stopped.is_set())


def backend(server, concurrency=4, **fields) -> ServerBackend:
    return ServerBackend(
        ModelConfig("served", "tiny", backend="server", api_base=server.url, **fields), concurrency
    )


def written(asked, prompts=PROMPTS, seeds=None):
    found = {}
    asked.generate(prompts, 8, ["\n"], seeds or list(range(len(prompts))), found.__setitem__)
    return found


class Crowd:
    """Answers only when as many requests are waiting as there should be at a time."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size)

    def __call__(self, body):
        self._barrier.wait(LONG_S)
        return text_answer(f"{body['prompt']} by {body.get('seed')}")


@pytest.mark.parametrize("temperature", [0, 0.6])
def test_drawn_answers_are_asked_for_side_by_side_as_others_are_and_each_with_its_own_seed(temperature):
    with ScriptedServer(Crowd(6)) as server:
        found = written(backend(server, 6, generation_kwargs={"temperature": temperature}))
        seeds = list(range(12)) if temperature else [None] * 12
        assert [found[i] for i in range(12)] == [f"prompt {i} by {seeds[i]}" for i in range(12)]
        assert server.connections == 6  # each is used again
        assert {body["temperature"] for body in server.bodies} == {temperature}


def test_an_answer_is_handed_on_while_others_are_still_awaited():
    released = Event()

    def answer(body):
        if body["prompt"] == "prompt 0":
            assert released.wait(LONG_S)
        return text_answer(body["prompt"])

    order = []

    def done(index, text):
        order.append(index)
        if len(order) == 11:
            released.set()

    with ScriptedServer(answer) as server:
        backend(server).generate(PROMPTS, 8, [], [0] * 12, done)
    assert order[-1] == 0
    assert sorted(order) == list(range(12))


def test_choices_of_all_questions_are_scored_side_by_side_and_a_question_is_done_with_its_last_one():
    crowd = threading.Barrier(4)

    def answer(body):
        crowd.wait(LONG_S)
        text = body["prompt"]
        tokens = [text[:4], text[4:]]
        said = {"tokens": tokens, "token_logprobs": [None, -float(text[-1])], "text_offset": [0, 4]}
        return 200, {}, {"choices": [{"text": text, "logprobs": said}], "usage": {"prompt_tokens": 2}}

    found = {}
    with ScriptedServer(answer) as server:
        asked = backend(server)
        asked.score_continuations(["this"] * 4, [[" 1", " 2", " 3"]] * 4, found.__setitem__)
        assert [[score.loglikelihood for score in found[i]] for i in range(4)] == [[-1.0, -2.0, -3.0]] * 4
        asked.score_texts([["this 1", "this 2"]] * 2, ["", "this"], found.__setitem__)
        assert [score.loglikelihood for score in found[1]] == [-1.0, -2.0]
        asked.score_rolling(["this 4"] * 4, found.__setitem__)
        assert found[3].loglikelihood == -4.0


def test_what_has_arrived_and_what_is_on_its_way_is_kept_when_a_request_fails():
    begun, refused = threading.Barrier(4), Event()
    # Many, since a few are asked while the refusal is on its way.
    prompts = [f"prompt {number}" for number in range(200)]

    def answer(body):
        if body["prompt"] in prompts[:4]:
            begun.wait(LONG_S)
            if body["prompt"] == "prompt 2":
                refused.set()
                return refusal(401, "no such key")
            assert refused.wait(LONG_S)
        else:
            time.sleep(0.02)
        return text_answer("fine")

    kept = {}
    with ScriptedServer(answer) as server:
        with pytest.raises(ModelProblem, match="no such key"):
            backend(server).generate(prompts, 8, [], [0] * len(prompts), kept.__setitem__)
        assert {0, 1, 3} <= set(kept)
        assert len(server.bodies) < len(prompts)  # the others were not asked any more


def test_a_failure_ends_the_waits_of_other_requests():
    stopped, begun, tries = Event(), threading.Barrier(3), []

    def action(item):
        begun.wait(LONG_S)
        if item == 0:
            raise ModelProblem("it failed")
        assert stopped.wait(LONG_S)
        tries.append(item)
        return item

    with pytest.raises(ModelProblem, match="it failed"):
        in_parallel(action, [0, 1, 2], 3, lambda index, result: None, stopped)
    assert sorted(tries) == [1, 2]


def test_what_cannot_be_written_down_ends_the_asking():
    def full(index, text):
        raise OSError("the disk is full")

    with ScriptedServer(lambda body: text_answer("x")) as server, pytest.raises(OSError, match="full"):
        backend(server, 1).generate(PROMPTS, 8, [], [0] * 12, full)
    assert len(server.bodies) < 12


# Servers' own ways

UNSUPPORTED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


@pytest.mark.parametrize("kind", ["base", "chat"])
def test_a_server_that_wants_another_name_for_the_limit_gets_it(kind):
    def answer(body):
        return text_answer("fine") if body.get("max_completion_tokens") == 8 else refusal(400, UNSUPPORTED)

    with ScriptedServer(answer) as server:
        found = written(backend(server, 1, type=kind))
        assert set(found.values()) == {"fine"}
        assert sum("max_tokens" in body for body in server.bodies) == 1  # learnt by the first refusal
        assert not any({"max_tokens", "max_completion_tokens"} <= set(body) for body in server.bodies)


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (400, "max_tokens is too large: 8 > 4", "max_tokens is too large: 8 > 4.*change what it names"),
        (
            400,
            "'temperature' does not support 0 with this model. Only 1.",
            "takes no such temperature.*temperature=1",
        ),
        (429, "insufficient_quota: you exceeded your quota", "no credit left.*--reuse latest"),
        (400, UNSUPPORTED.replace("max_tokens", "seed"), "seed"),
    ],
)
def test_a_refusal_that_no_other_name_helps_is_said_once(status, message, said):
    with ScriptedServer(lambda body: refusal(status, message)) as server:
        with pytest.raises(ModelProblem, match=said):
            written(backend(server, 1), PROMPTS[:1])
        assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_what_may_pass_is_tried_again(status):
    left = [status, status]

    def answer(body):
        return refusal(left.pop(), "later", Retry_After="120") if left else text_answer("fine")

    waits = []
    with ScriptedServer(answer) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "pause", lambda stopped, seconds: waits.append(seconds))
        assert written(backend(server), PROMPTS[:1]) == {0: "fine"}
    assert waits == [120.0, 120.0]  # what the server asks for, longer than the longest wait of our own


def test_a_wait_of_hours_is_refused_and_says_how_to_go_on():
    with ScriptedServer(lambda body: refusal(429, "later", Retry_After="7200")) as server:
        with pytest.raises(
            ModelProblem, match=r"a wait of 7200 s .* expected at most 900 s; go on later with --reuse"
        ):
            written(backend(server), PROMPTS[:1])
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda body: refusal(400, "Setting 'echo' and 'logprobs' at the same time is not supported for this model."),
        lambda body: (
            200, {},
            {"choices": [{"text": " ok", "logprobs": {"tokens": [" ok"], "token_logprobs": [-0.5], "text_offset": [0]}}]},
        ),
        lambda body: (200, {}, {"choices": [{"text": " ok", "logprobs": {"content": [{"token": " ok", "logprob": -1}]}}]}),
        lambda body: (200, {}, {"choices": [{"text": " ok", "logprobs": None}]}),
    ],
    ids=["refuses", "of_the_new_token", "in_the_form_of_chats", "none"],
)  # fmt: skip
@pytest.mark.parametrize("scores", ["continuations", "texts", "rolling"])
def test_a_server_without_log_probabilities_of_prompts_is_refused_and_what_to_do_is_said(answer, scores):
    with ScriptedServer(answer) as server:
        asked = backend(server)
        calls = {
            "continuations": lambda: asked.score_continuations(["this"], [[" a", " b"]], print),
            "texts": lambda: asked.score_texts([["this a", "this b"]], [""], print),
            "rolling": lambda: asked.score_rolling(["this a"], print),
        }
        with pytest.raises(LanguageProblem, match=r"such as vLLM, or .*by generation"):
            calls[scores]()
