"""Reading the HTTP answers of a server: JSON, or a refusal that says what to do."""

from __future__ import annotations

import email.utils
import math
import time
from typing import Any

import requests

from bench.language.models.config import ModelProblem


class Refused(ModelProblem):
    """The server says that a request is wrong: asked differently, it may answer."""


def read_answer(url: str, response: requests.Response, model: str) -> Any:
    """Return the JSON of an answer that no further try would change; raises when it is a refusal."""
    status = response.status_code
    if 200 <= status < 300:
        try:
            return response.json()
        except ValueError as error:
            raise ModelProblem(
                f"{url}: found an answer that is no JSON, {response.text!r:.200}; "
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
            f"{url}: the server refuses the key ({status}, {words}); expected one that it knows; set OPENAI_API_KEY"
        )
    if status == 404:
        raise ModelProblem(
            f"{url}: the server has no such address, or no model {model!r} (404, {words}); "
            "expected both; correct --api-base or --api-model"
        )
    problem = Refused if status in (400, 422) else ModelProblem
    raise problem(
        f"{url}: the server refuses the request ({status}, {words}); expected it to be taken; "
        "change what it names, often the length of the prompt or a field of --generation-kwargs"
    )


def said(response: requests.Response) -> str:
    """Return what a server says of an error: its message where it has the usual form, the start of its text else."""
    try:
        body = response.json()
    except ValueError:
        body = None
    error = body.get("error", body) if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return repr(str(message or response.text).strip()[:300])


def retry_after_s(value: str | None) -> float:
    """Read a Retry-After header, seconds or a date; 0 where there is none that can be read."""
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
