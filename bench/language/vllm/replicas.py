"""Data parallel: as many engines as replicas, each in a process of its own, on GPUs of its own.

``vllm.LLM`` refuses ``data_parallel_size`` in one process. Replicas that know nothing of each other take prompts that last
longer in one than in another, which vLLM's own groups of ranks do not.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any

from bench.language.vllm.engine import Arguments, Facts, OneEngine, Reply, Tokens

_PATIENCE = 30.0  # seconds for a replica to end by itself


class ReplicaDied(Exception):
    """A replica that failed, or that ended without a word."""


class Replicas:
    """Engines that share the prompts.

    Args:
        arguments: of each engine.
        devices: for each replica, its value of ``CUDA_VISIBLE_DEVICES``.

    Raises:
        ReplicaDied: one that could not be loaded; the others are ended.
    """

    def __init__(self, arguments: Arguments, devices: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process that has used CUDA cannot use it
        self._pipes: list[Connection] = []
        self._processes = []
        for own in devices:
            here, there = context.Pipe()
            # Not a daemon: vLLM starts processes of its own, which a daemon may not.
            process = context.Process(target=_serve, args=(there, dict(arguments), own), daemon=False)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)
        # Before the interpreter waits for its children, which wait for it.
        self._end = Finalize(self, _close, (self._pipes, self._processes), exitpriority=10)
        try:
            facts = [self._received(number) for number in range(len(devices))]
        except ReplicaDied:
            self.close()
            raise
        self.facts: Facts = facts[0]

    def ask(self, prompts: Sequence[Tokens], parameters: Sequence[Arguments]) -> list[Reply]:
        """Return the reply to each prompt; each replica gets every n-th one."""
        count = len(self._pipes)
        busy: list[int] = []
        failed: ReplicaDied | None = None
        for number in range(min(count, len(prompts))):
            own = list(prompts[number::count]), [dict(each) for each in parameters[number::count]]
            try:
                self._pipes[number].send(own)
                busy.append(number)
            except OSError:
                failed = failed or self._died(number)
        replies: list[Reply | None] = [None] * len(prompts)
        for number in busy:  # each is listened to, so that no old reply is taken for a new one
            try:
                replies[number::count] = self._received(number)
            except ReplicaDied as problem:
                failed = failed or problem
        if failed is not None:
            raise failed
        return [reply for reply in replies if reply is not None]

    def close(self) -> None:
        """End all replicas."""
        self._end()

    def _received(self, number: int) -> Any:
        try:
            worked, found = self._pipes[number].recv()
        except (EOFError, OSError):
            raise self._died(number) from None
        if not worked:
            raise ReplicaDied(f"replica {number} of {len(self._pipes)}: {found}")
        return found

    def _died(self, number: int) -> ReplicaDied:
        process = self._processes[number]
        process.join(_PATIENCE)
        return ReplicaDied(
            f"replica {number} of {len(self._pipes)} ended with exit status {process.exitcode} and no reply"
        )


def _close(pipes: Sequence[Connection], processes: Sequence[Any]) -> None:
    for pipe in pipes:
        pipe.close()  # a replica ends when there is nobody to ask it
    for process in processes:
        process.join(_PATIENCE)
        if process.exitcode is None:
            process.terminate()
            process.join(_PATIENCE)


def _serve(pipe: Connection, arguments: Arguments, devices: str) -> None:
    """Load an engine on some GPUs and answer until nobody asks."""
    os.environ["CUDA_VISIBLE_DEVICES"] = devices
    try:
        engine = OneEngine(arguments)
    except Exception as error:  # vLLM, torch and a model's own code raise anything
        pipe.send((False, _said(error)))
        return
    pipe.send((True, engine.facts))
    while True:
        try:
            prompts, parameters = pipe.recv()
        except (EOFError, OSError):
            engine.close()
            return
        try:
            reply: tuple[bool, Any] = (True, engine.ask(prompts, parameters))
        except Exception as error:
            reply = (False, _said(error))
        pipe.send(reply)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
