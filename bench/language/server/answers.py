"""Reads the HTTP answers of a server: JSON, or a refusal that says what to do."""

from __future__ import annotations

import email.utils
import math
import time
from typing import Any

import requests

from bench.core.errors import ModelProblem


class Refused(ModelProblem):
    """A request that the server calls wrong. Asked in another way, it may answer."""


def read_answer(url: str, response: requests.Response, model: str) -> Any:
    """Return the JSON of an answer that another try would not change.

    Raises:
        Refused: the server calls the request wrong.
        ModelProblem: any other refusal, or an answer that is not JSON.
    """
    status = response.status_code
    if 200 <= status < 300:
        try:
            return response.json()
        except ValueError as error:
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
    problem = Refused if status in (400, 422) else ModelProblem
    raise problem(
        f"{url}: the server refuses the request ({status}, {words}); expected it to accept the request; "
        "change what it names, often the length of the prompt or a field of --generation-kwargs"
    )


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
