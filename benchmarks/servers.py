"""How long a model behind a server takes to be asked, next to the shortest time that its requests can take.

    python benchmarks/servers.py [--requests 48] [--concurrency 32] [--seconds 0.25] [--repeats 5]

A server in a process of its own answers each request after a fixed time, as many at a time as come. The least is that time
by the number of rounds: 48 requests of 0.25 s, 32 at a time, need 0.5 s. Asked are greedy answers, drawn answers (each with
a seed of its own) and the log-probabilities of prompts. Both numbers are of the same run; their ratio says what parallel
requests, kept connections and the writing of predictions cost. Asked for: at most 1.4 for all of them.
"""

from __future__ import annotations

import argparse
import http.server
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.language.models.config import ModelConfig
from bench.language.predictions import PredictionStore
from bench.language.server.backend import ServerBackend


class SlowHandler(http.server.BaseHTTPRequestHandler):
    """Answers after a fixed time, with the log-probabilities of two tokens where they are asked for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seconds = 0.25

    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""

    def do_POST(self) -> None:
        """Answer."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.seconds)
        text = body["prompt"]
        logprobs = {"tokens": [text[:1], text[1:]], "token_logprobs": [None, -1.0], "text_offset": [0, 1]}
        choice = {"index": 0, "text": text, "logprobs": logprobs if body.get("echo") else None}
        content = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class SlowServer(http.server.ThreadingHTTPServer):
    """Takes many connections at a time."""

    request_queue_size = 512
    daemon_threads = True


def serve(seconds: float) -> None:
    """Serve until the process ends; the port is printed first."""
    SlowHandler.seconds = seconds
    server = SlowServer(("127.0.0.1", 0), SlowHandler)
    print(server.server_port, flush=True)
    server.serve_forever()


def ways(port: int, concurrency: int, requests: int, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name; each saves its predictions as a run does."""
    store = PredictionStore(folder, "model", "dataset")
    store.open({})

    def backend(**options: float) -> ServerBackend:
        address = f"http://127.0.0.1:{port}/v1"
        config = ModelConfig("slow", "slow", backend="server", api_base=address, generation_kwargs=options)
        return ServerBackend(config, concurrency)

    prompts, seeds = [f"prompt {number}" for number in range(requests)], list(range(requests))

    def keep(index: int, found: object) -> None:
        store.append([{"key": str(index), "text": str(found)}])

    return {
        "greedy answers": lambda: backend().generate(prompts, 8, [], seeds, keep),
        "drawn answers": lambda: backend(temperature=0.6).generate(prompts, 8, [], seeds, keep),
        "log-probabilities": lambda: backend().score_rolling(prompts, keep),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=48, help="requests of each kind (default 48)")
    parser.add_argument("--concurrency", type=int, default=32, help="requests at a time (default 32)")
    parser.add_argument("--seconds", type=float, default=0.25, help="that a request takes (default 0.25)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median is printed (default 5)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.seconds)
        return
    least = options.seconds * math.ceil(options.requests / options.concurrency)
    command = [sys.executable, __file__, "--serve", "--seconds", str(options.seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            print(
                f"{options.requests} requests of {options.seconds:g} s, {options.concurrency} at a time: "
                f"at least {least:g} s"
            )
            print(f"{'':20}{'seconds':>9}{'ratio':>8}")
            with tempfile.TemporaryDirectory(prefix="modelgate-servers-") as name:
                measured = ways(port, options.concurrency, options.requests, Path(name))
                for label, ask in measured.items():
                    times = []
                    for _ in range(options.repeats):
                        begin = time.perf_counter()
                        ask()
                        times.append(time.perf_counter() - begin)
                    median = statistics.median(times)
                    print(f"{label:20}{median:9.2f}{median / least:8.2f}", flush=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
