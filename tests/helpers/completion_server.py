"""A tiny language model, and a real server of OpenAI's completions around it that can be told to misbehave."""

import contextlib
import http.server
import json
import threading
from dataclasses import dataclass, field
from typing import Any

import tokenizers
import torch
import transformers

from bench.machine.torchvision_shim import ensure_torchvision

ensure_torchvision()

SENTENCES = (
    "Tracy took the dog to the park because the weather was warm.",
    "The trophy does not fit in the suitcase because it is too large.",
    "Question: why did Robin lend the book to Kai? Answer: to be kind.",
    "Müller drank café au lait, and 東京 was far away 🙂.",
)
START = "<|endoftext|>"


def tiny_tokenizer(**special: str) -> transformers.PreTrainedTokenizerFast:
    """A byte-level tokenizer of some 400 tokens, whose spaces belong to the word that follows, as in GPT-2."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[START],
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES[:3], trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def tiny_model(seed: int = 0, vocabulary: int = 400) -> transformers.GPT2LMHeadModel:
    """A random GPT-2 of 128 positions; its weights are wide, so that some tokens are much likelier than others."""
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=vocabulary,
        n_positions=128,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel(config).eval()


@dataclass
class Behaviour:
    """How a server answers; each field is one way in which real ones do.

    Attributes:
        fail_times: requests that fail first, with ``fail_status``; 0 for a connection that is closed unanswered.
        retry_after: header of a failure.
        hang_s: seconds before an answer begins.
        key: bearer token without which it answers 401.
        models: names it knows; any where empty.
        refuses_zero: answers 400 to ``max_tokens=0``.
        least_tokens: generates so many where fewer are asked for.
        without_logprobs: leaves them out.
        without_top: leaves out the likeliest tokens.
        ignores_echo: as llama.cpp: log-probabilities of what was generated only.
        start_token: puts one before each prompt, which is among the tokens and not in the text.
        summed_offsets: as vLLM: each token is decoded alone, and offsets are sums of their lengths.
        in_entries: log-probabilities in the form of a chat, an entry for each token, and texts in parts.
        without_usage: does not count tokens.
        choices: how many it gives.
        body: what it answers instead.
        replies: choices that it gives in this order, one for each request, in place of its own.
        longest: names of the field with the longest length that it refuses, and of the one that it takes.
    """

    fail_times: int = 0
    fail_status: int = 500
    retry_after: str | None = None
    hang_s: float = 0.0
    key: str | None = None
    models: tuple[str, ...] = ()
    refuses_zero: bool = False
    least_tokens: int = 0
    without_logprobs: bool = False
    without_top: bool = False
    ignores_echo: bool = False
    start_token: bool = False
    summed_offsets: bool = False
    in_entries: bool = False
    without_usage: bool = False
    choices: int = 1
    body: bytes | None = None
    replies: list[dict[str, Any]] = field(default_factory=list)
    longest: tuple[str, str] | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)


class TinyServer(http.server.ThreadingHTTPServer):
    """Answers ``/v1/completions`` and ``/v1/chat/completions`` while it is entered; ``behaviour`` may be exchanged."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.tokenizer = model, tokenizer
        self.behaviour = Behaviour()
        self.released, self.lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        """The address that a client is given."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> "TinyServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.shutdown()
        self._thread.join()
        super().__exit__(*_)

    def logits(self, ids: list[int]) -> torch.Tensor:
        """Log-probabilities of the token after each prefix, [tokens, vocabulary]."""
        with torch.inference_mode():
            return self.model(torch.tensor([ids])).logits[0].log_softmax(-1)

    def continued(self, ids: list[int], body: dict[str, Any]) -> tuple[list[int], str]:
        """New tokens after a prompt, and their text up to the first stop."""
        stop = body.get("stop") or []
        random = torch.Generator().manual_seed(body.get("seed") or 0)
        new: list[int] = []
        text = ""
        while len(new) < body["max_tokens"]:
            last = self.logits(ids + new)[-1]
            if body.get("temperature"):
                chances = (last / body["temperature"]).softmax(-1)
                token = int(torch.multinomial(chances, 1, generator=random))
            else:
                token = int(last.argmax())
            if token == 0:
                break
            new.append(token)
            text = self.tokenizer.decode(new)
            places = [text.find(string) for string in stop if string in text]
            if places:
                return new, text[: min(places)]
        return new, text


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TinyServer

    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""

    def do_POST(self) -> None:
        behaviour = self.server.behaviour
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            behaviour.requests.append(body)
            fails, behaviour.fail_times = behaviour.fail_times > 0, max(behaviour.fail_times - 1, 0)
        if behaviour.hang_s:
            self.server.released.wait(behaviour.hang_s)
        if fails and behaviour.fail_status == 0:
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):  # a client that has given up waiting
            if fails:
                self._fail(behaviour.fail_status, "told to fail")
            else:
                self._answer(behaviour, body)

    def _answer(self, behaviour: Behaviour, body: dict[str, Any]) -> None:
        if behaviour.key is not None and self.headers.get("Authorization") != f"Bearer {behaviour.key}":
            self._fail(401, "Incorrect API key provided")
        elif behaviour.models and body["model"] not in behaviour.models:
            self._fail(404, f"The model `{body['model']}` does not exist.")
        elif behaviour.refuses_zero and body["max_tokens"] == 0:
            self._fail(400, "max_tokens must be at least 1, got 0.")
        elif behaviour.longest is not None and behaviour.longest[0] in body:
            refused, taken = behaviour.longest
            self._fail(400, f"Unsupported parameter: '{refused}'. Use '{taken}' instead.")
        elif behaviour.replies:
            with self.server.lock:
                reply = behaviour.replies.pop(0)
            self._send_choice(behaviour, reply, 1, 1)
        elif behaviour.body is not None:
            self._send(200, behaviour.body)
        elif self.path == "/v1/completions":
            self._send_choice(behaviour, *self._complete(behaviour, body))
        elif self.path == "/v1/chat/completions":
            said = "".join(f"{message['role']}: {message['content']}\n" for message in body["messages"])
            ids = self.server.tokenizer(f"{said}assistant:")["input_ids"]
            body["max_tokens"] = body.get("max_tokens") or body["max_completion_tokens"]
            new, text = self.server.continued(ids, body)
            message = {"role": "assistant", "content": text}
            finish = "length" if len(new) >= body["max_tokens"] else "stop"
            choice = {"message": message, "finish_reason": finish}
            self._send_choice(behaviour, choice, len(ids), len(new))
        else:
            self._fail(404, "Not Found")

    def _complete(self, behaviour: Behaviour, body: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
        server, prompt = self.server, body["prompt"]
        encoded = server.tokenizer(prompt, return_offsets_mapping=True)
        ids, starts = encoded["input_ids"], [start for start, _ in encoded["offset_mapping"]]
        if behaviour.start_token:
            ids, starts = [0, *ids], [0, *starts]
        asked = max(body["max_tokens"], behaviour.least_tokens)
        new, text = server.continued(ids, {**body, "max_tokens": asked})
        echo = body.get("echo") and not behaviour.ignores_echo
        choice: dict[str, Any] = {"text": prompt + text if echo else text, "logprobs": None}
        choice["finish_reason"] = "length" if len(new) >= asked else "stop"
        if body.get("logprobs") and not behaviour.without_logprobs:
            whole = ids + new
            logits = server.logits(whole)
            own = [None, *(float(logits[i - 1, token]) for i, token in enumerate(whole) if i > 0)]
            texts = [server.tokenizer.decode([token]) for token in whole]
            if behaviour.summed_offsets:
                offsets = [sum(map(len, texts[:i])) for i in range(len(texts))]
            else:
                offsets = starts + [
                    len(prompt) + len(server.tokenizer.decode(new[:i])) for i in range(len(new))
                ]
            top = [
                None,
                *({server.tokenizer.decode([int(row.argmax())]): float(row.max())} for row in logits[:-1]),
            ]
            first = 0 if echo else len(ids)
            choice["logprobs"] = {
                "tokens": texts[first:],
                "token_logprobs": own[first:],
                "top_logprobs": None if behaviour.without_top else top[first:],
                "text_offset": offsets[first:],
            }
        if behaviour.in_entries:
            choice = _in_entries(choice)
        return choice, len(ids), len(new)

    def _send_choice(self, behaviour: Behaviour, choice: dict[str, Any], prompt: int, new: int) -> None:
        choices = [{"index": index, **choice} for index in range(behaviour.choices)]
        usage = {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}
        answer = {"choices": choices} | ({} if behaviour.without_usage else {"usage": usage})
        self._send(200, json.dumps(answer).encode())

    def _fail(self, status: int, message: str) -> None:
        self._send(status, json.dumps({"error": {"message": message}}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status != 200 and self.server.behaviour.retry_after is not None:
            self.send_header("Retry-After", self.server.behaviour.retry_after)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere/completions")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _in_entries(choice: dict[str, Any]) -> dict[str, Any]:
    """Return a choice with its text in two parts, and an entry for each token."""
    said, text = choice["logprobs"], choice["text"]
    entries = [
        {
            "token": token,
            "logprob": value,
            "bytes": list(token.encode()),
            "top_logprobs": [{"token": word, "logprob": high} for word, high in (top or {}).items()],
        }
        for token, value, top in zip(
            said["tokens"], said["token_logprobs"], said["top_logprobs"], strict=True
        )
    ]
    parts = [{"type": "text", "text": text[:3]}, {"type": "text", "text": text[3:]}]
    return {**choice, "text": parts, "logprobs": {"content": entries}}
