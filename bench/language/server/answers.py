"""Reads the HTTP answers of a server: JSON, or a refusal that says what to do."""

from __future__ import annotations

import email.utils
import math
import re
import time
from typing import Any

import requests

from bench.core.errors import ModelProblem

# Besides 5xx: a timeout of the server, a request that came too early, too many requests.
TRANSIENT_STATUSES = (408, 425, 429)
_UNKNOWN = re.compile(
    r"unsupported|not supported|does not support|unrecognized|unknown|not permitted|unexpected|extra",
    re.IGNORECASE,
)


class Refused(ModelProblem):
    """A request that the server calls wrong. Asked in another way, it may answer.

    Args:
        message: for a reader.
        words: what the server says.
    """

    def __init__(self, message: str, words: str = "") -> None:
        super().__init__(message)
        self._words = words

    def is_of_field(self, name: str) -> bool:
        """Whether the server says that it does not know a field of the request, or not its value."""
        return name in self._words and _UNKNOWN.search(self._words) is not None


class Torn(Exception):
    """An answer that begins as JSON and has no end, as a proxy leaves it when it loses the server; the message shows it."""


def read_answer(url: str, response: requests.Response, model: str) -> Any:
    """Return the JSON of an answer that another try would not change.

    Raises:
        Refused: the server calls the request wrong.
        Torn: only a part of the answer came; another try may change that.
        ModelProblem: any other refusal, or an answer that is not JSON.
    """
    status = response.status_code
    if 200 <= status < 300:
        try:
            return response.json()
        except ValueError as error:
            if status == 200 and response.text.lstrip().startswith("{"):
                raise Torn(f"an answer without its end, {response.text[-40:]!r}") from error
            raise ModelProblem(
                f"{url}: found an answer that is not JSON, {response.text!r:.200}; "
                "expected one of OpenAI's completions; correct --api-base"
            ) from error
    words = said(response)
    if 300 <= status < 400:
        target = response.headers.get("Location")
        raise ModelProblem(
            f"{url}: found a redirect to {target}; expected an answer; give that address as --api-base"
        )
    if status in (401, 403):
        raise ModelProblem(
            f"{url}: the server refuses the key ({status}, {words}); expected a key that it knows; set OPENAI_API_KEY"
        )
    if status == 404:
        raise ModelProblem(
            f"{url}: the server has no such address, or no model {model!r} (404, {words}); "
            "expected both; correct --api-base or --api-model"
        )
    message = (
        f"{url}: the server refuses the request ({status}, {words}); expected it to accept the request; "
        "change what it names, often the length of the prompt or a field of --generation-kwargs"
    )
    if status == 429:
        raise ModelProblem(
            f"{url}: the account has no credit left ({status}, {words}); expected one with credit; add some, then go on "
            "with --reuse latest"
        )
    if status not in (400, 422):
        raise ModelProblem(message)
    refusal = Refused(message, words)
    if refusal.is_of_field("temperature"):
        raise ModelProblem(
            f"{url}: the server takes no such temperature ({status}, {words}); expected one that draws or not, as asked; "
            "where it only draws, say so with --generation-kwargs temperature=1"
        )
    raise refusal


def without_credit(response: requests.Response) -> bool:
    """Whether a server refuses for lack of credit, which no wait changes, although the status says too many requests."""
    return response.status_code == 429 and "insufficient_quota" in response.text


def said(response: requests.Response) -> str:
    """Return what a server says about an error: its message if it has the usual form, else the start of its text."""
    try:
        body = response.json()
    except ValueError:
        body = None
    error = body.get("error", body) if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return repr(str(message or response.text).strip()[:300])


def retry_after_s(value: str | None) -> float:
    """Return the seconds of a Retry-After header, a number or a date; 0 if there is none or it cannot be read."""
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return seconds if math.isfinite(seconds) else 0.0
