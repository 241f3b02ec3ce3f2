"""A process that has imported the large packages already, and forks what runs of the suite in tests would start.

Started as ``python warm_process.py SOCKET``; serves until its parent ends. See `warm` for the side that asks. A run that is
forked differs from one that is started in one thing only: packages of others are imported. None of the suite's own
modules is, and none that belongs to a plugin of pytest, which pytest must import itself.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import random
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any, NoReturn

PACKAGES = (
    "accelerate", "datasets", "jinja2.ext", "math_verify", "numpy", "pandas", "peft", "PIL.PngImagePlugin", "pytest",
    "_pytest.pytester", "safetensors.torch", "scipy.stats", "sklearn.metrics", "tokenizers", "torch", "transformers",
    "transformers.models.auto.modeling_auto", "transformers.models.bert.modeling_bert",
    "transformers.models.llama.modeling_llama", "transformers.trainer",
)  # fmt: skip


def serve(listener: socket.socket, parent: int) -> None:
    """Fork a process for each request, and tell how it ended."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while os.getppid() == parent:
            for key, _ in selector.select(1.0):
                if key.data is None:
                    _fork(listener, selector)
                else:
                    _tell_end(key, selector)


def _fork(listener: socket.socket, selector: selectors.BaseSelector) -> None:
    connection, _ = listener.accept()
    text, descriptors, _, _ = socket.recv_fds(connection, 2**20, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(2**20)
    pid = os.fork()
    if not pid:
        selector.close()
        listener.close()
        connection.close()
        become(json.loads(text), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))
    connection.sendall(f"{pid}\n".encode())


def _tell_end(key: selectors.SelectorKey, selector: selectors.BaseSelector) -> None:
    pid, connection = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    _, status = os.waitpid(pid, 0)
    with suppress(OSError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    connection.close()


def become(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Run a program with what the request gives: arguments, folder, environment, cores."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.sched_setaffinity(0, request["cores"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    try:
        gc.enable()
        random.seed()
        sys.modules["numpy"].random.seed()
        code = _run(request["arguments"])
    except BaseException:
        traceback.print_exc()
    with suppress(BaseException):
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF)


def _run(arguments: list[str]) -> int:
    """Run ``-m MODULE ...``, ``-u -c CODE`` or ``SCRIPT ...`` as the interpreter would; return the exit code."""
    own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [*filter(None, own), *BASE]
    sys.orig_argv = [sys.executable, *arguments]
    try:
        if arguments[0] == "-m":
            sys.path.insert(0, os.getcwd())
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        elif arguments[:2] == ["-u", "-c"]:
            sys.path.insert(0, os.getcwd())
            sys.argv = ["-c", *arguments[3:]]
            exec(compile(arguments[2], "<string>", "exec"), vars(sys.modules["__main__"]))
        else:
            sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            return ending.code or 0
        print(ending.code, file=sys.stderr)
        return 1
    return 0


def warm_workers(address: str) -> None:
    """Have the workers of runs that are forked here forked here, too."""
    from execnet import gateway_io

    launcher = [
        sys.executable,
        "-S",
        "-E",
        os.path.join(os.path.dirname(__file__), "warm_python.py"),
        address,
    ]
    gateway_io.popen_args = lambda spec: [*launcher, "-u", "-c", gateway_io.popen_bootstrapline]


BASE: list[str] = []


def main(address: str) -> None:
    """Listen, import what is large, say that it is done, serve."""
    parent = os.getppid()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Before it is said: on a busy machine the first to ask was there before the socket was.
    listener.bind(address)
    listener.listen(64)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    for name in PACKAGES:
        importlib.import_module(name)
    # A plugin of pytest, which would warn that it cannot rewrite what is imported already.
    for name in [name for name in sys.modules if name.partition(".")[0] == "anyio"]:
        del sys.modules[name]
    warm_workers(address)
    BASE.extend(sys.path[1:])  # without this file's folder; `warm` starts it without a PYTHONPATH
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    serve(listener, parent)


if __name__ == "__main__":
    main(sys.argv[1])
