"""Posts requests to a server until they are answered: kept connections, waits between tries, the key."""

from __future__ import annotations

import os
import random
import urllib.parse
from collections.abc import Mapping
from threading import Event
from typing import Any

import requests
import requests.adapters
import requests.auth

from bench.core.errors import ModelProblem
from bench.language.server.answers import (
    TRANSIENT_STATUSES,
    Torn,
    read_answer,
    retry_after_s,
    said,
    without_credit,
)

_LONGEST_WAIT_S = 60.0
_LONGEST_RETRY_AFTER_S = 900.0  # that a server may ask for; a run does not wait longer
_TRANSIENT = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class Transport:
    """Posts JSON to a server. It may be used from several threads.

    Args:
        api_key: sent as bearer token. None is the environment's ``OPENAI_API_KEY``, if that is set.
        timeout_s: seconds until an answer begins, per try.
        max_retries: further tries of a failed request.
        connections: kept for further requests.
        backoff_s: seconds before the second try; each further wait is twice as long, up to a minute.

    Attributes:
        stopped: set when nobody waits for answers any more; a request that failed is then not tried again.
    """

    def __init__(
        self, api_key: str | None, *, timeout_s: float, max_retries: int, connections: int, backoff_s: float
    ) -> None:
        self._timeout_s, self._max_retries, self._backoff_s = timeout_s, max_retries, backoff_s
        self._session = requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        key = os.environ.get("OPENAI_API_KEY") if api_key is None else api_key
        # As a plain header, an entry in ~/.netrc would replace it.
        self._session.auth = _Bearer(key) if key else None
        self.stopped = Event()
        self._jitter = random.Random()  # the global generator may be seeded for a measurement

    def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON of the answer to a request, which is posted until it is answered.

        Raises:
            Refused: the server calls the request wrong.
            ModelProblem: no answer, any other refusal, or one that is not JSON.
        """
        for tried in range(self._max_retries + 1):
            asked_s = 0.0
            wait_s = self._backoff_s * 2**tried * self._jitter.uniform(1.0, 1.25)
            try:
                # A redirect would turn the POST into a GET.
                response = self._session.post(url, json=body, timeout=self._timeout_s, allow_redirects=False)
            except _TRANSIENT as error:
                trouble = f"{type(error).__name__}: {error}"
            except requests.exceptions.RequestException as error:
                raise ModelProblem(
                    f"{url}: no request could be made ({type(error).__name__}: {error}); "
                    "expected an address such as http://localhost:8000/v1; correct --api-base"
                ) from error
            else:
                status = response.status_code
                if (status not in TRANSIENT_STATUSES and status < 500) or without_credit(response):
                    try:
                        return read_answer(url, response, str(body.get("model")))
                    except Torn as torn:
                        trouble = str(torn)
                else:
                    trouble = f"status {status}, {said(response)}"
                asked_s = _asked_s(url, response, trouble)
            if tried < self._max_retries and pause(self.stopped, max(min(wait_s, _LONGEST_WAIT_S), asked_s)):
                break
        raise ModelProblem(
            f"{url}: no answer in {tried + 1} tries (the last: {trouble}); "
            "expected a server that answers; start it, lower --api-concurrency, or correct --api-base"
        )


def pause(stopped: Event, seconds: float) -> bool:
    """Wait; return whether the request is not to be tried again."""
    return stopped.wait(seconds)


def base_url(address: str) -> str:
    """Return the address below which a server has ``completions`` and ``chat/completions``.

    Raises:
        ModelProblem: an address that is not an http or https URL.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ModelProblem(
            f"--api-base {address}: found no http or https address; expected one such as "
            "http://localhost:8000/v1; correct it"
        )
    base = address.rstrip("/").removesuffix("/completions").removesuffix("/chat")
    return base if urllib.parse.urlsplit(base).path else f"{base}/v1"


def _asked_s(url: str, response: requests.Response, trouble: str) -> float:
    """Return how many seconds a server asks to wait.

    Raises:
        ModelProblem: longer than a run waits.
    """
    asked_s = retry_after_s(response.headers.get("Retry-After"))
    if asked_s > _LONGEST_RETRY_AFTER_S:
        raise ModelProblem(
            f"{url}: the server asks for a wait of {asked_s:.0f} s before the next request ({trouble}); expected at most "
            f"{_LONGEST_RETRY_AFTER_S:.0f} s; go on later with --reuse latest: what has arrived is kept"
        )
    return asked_s


class _Bearer(requests.auth.AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request
