"""Messages between the evaluator and the processes it does not trust: a JSON header and raw bytes.

The evaluator never unpickles anything: an arm runs untrusted code, and a pickle from it would run that code there. It hands
the arguments that one process of a file has pickled to another process of files.
Lengths are checked before anything is allocated.
"""

from __future__ import annotations

import json
import re
import socket
import struct

from bench.core.errors import ModelgateError
from bench.core.names import json_kind
from bench.core.record import Json

_LENGTHS = struct.Struct("!IQ")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# What the fork server prints when arms may be asked for.
READY = "ready"
# Exit status of an arm that finds its channel closed from inside.
CHANNEL_LOST = 97
MAX_HEADER_BYTES = 16 * 2**20
MAX_PAYLOAD_BYTES = 2 * 2**30


class WireError(ModelgateError):
    """A message that is cut short, too long, or no JSON object."""


def send(channel: socket.socket, header: Json, payload: bytes = b"") -> None:
    """Send one message; blocks until all of it is handed to the kernel."""
    text = json.dumps(header).encode()
    channel.sendall(_LENGTHS.pack(len(text), len(payload)) + text)
    if payload:
        channel.sendall(payload)


def receive(channel: socket.socket) -> tuple[Json, bytes]:
    """Receive one message; blocks until it is whole.

    Raises:
        EOFError: when the other side has closed the channel between messages.
        WireError: when what arrives is no message of this protocol.
        TimeoutError: when the socket has a timeout and it passes.
    """
    first = channel.recv(1)
    if not first:
        raise EOFError("the channel is closed")
    header_bytes, payload_bytes = _LENGTHS.unpack(first + _exactly(channel, _LENGTHS.size - 1))
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise WireError(f"a message of {header_bytes} + {payload_bytes} bytes is over the limit")
    text = _exactly(channel, header_bytes)
    try:
        header = json.loads(text)
        if _SURROGATE.search(text):
            # Half a character in an untrusted message would break every report that it gets into.
            header = json.loads(json.dumps(header, ensure_ascii=False).encode("utf-8", "replace"))
    except UnicodeDecodeError as error:
        raise WireError(f"the header of a message is no UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise WireError(f"the header of a message is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise WireError(f"the header of a message is {json_kind(header)}, not an object")
    return header, bytes(_exactly(channel, payload_bytes))


def _exactly(channel: socket.socket, count: int) -> bytes:
    buffer = bytearray(count)
    view = memoryview(buffer)
    while view:
        received = channel.recv_into(view)
        if not received:
            raise WireError(f"the channel was closed with {len(view)} bytes of a message missing")
        view = view[received:]
    return bytes(buffer)
