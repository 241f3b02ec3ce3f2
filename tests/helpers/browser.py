"""Chromium without a window, spoken to over a pipe: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ANSWER_S = 90  # on a busy machine
# The protocol's pipe has the numbers 3 and 4 in the browser; whatever has them before is moved out of the way.
_EXEC = """
import fcntl, os, sys
for number, target in [(fcntl.fcntl(int(end), fcntl.F_DUPFD, 10), place) for place, end in enumerate(sys.argv[1:3], 3)]:
    os.dup2(number, target)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser() -> str | None:
    """Return the program, None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _is_load(event: dict[str, Any], loader: str) -> bool:
    params = event.get("params", {})
    return (
        event["method"] == "Page.lifecycleEvent" and params["name"] == "load" and params["loaderId"] == loader
    )


class Browser:
    """One page of a browser. What the page logs as an error, or raises, is in `errors`."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        program = find_browser()
        assert program is not None
        self._process = subprocess.Popen(
            [
                sys.executable, "-I", "-S", "-c", _EXEC, str(to_browser), str(from_browser), program, "--headless",
                "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--disable-background-networking", "--disable-extensions", "--no-first-run",
                "--remote-debugging-pipe", f"--user-data-dir={self._home.name}", "about:blank",
            ],
            pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": self._home.name, "LANG": "C.UTF-8", "TZ": "UTC"},
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number = b"", 0
        self._events: list[dict[str, Any]] = []
        self.errors: list[str] = []
        pages = [one for one in self._ask("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        target = (
            pages[0]["targetId"] if pages else self._ask("Target.createTarget", url="about:blank")["targetId"]
        )
        self._session: str | None = self._ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self._ask("Page.setLifecycleEventsEnabled", enabled=True)

    _session: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._home.cleanup()

    def _ask(self, method: str, **params: Any) -> Any:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == number:
                assert "error" not in found, (method, found["error"])
                return found["result"]

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _ANSWER_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        self._events.append(message)
        method, params = message["method"], message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(json.dumps(params["args"])[:500])

    @property
    def requests(self) -> list[str]:
        """Addresses that pages asked for since the last `open`, data inside of the page left out."""
        asked = [
            one["params"]["request"]["url"]
            for one in self._events
            if one["method"] == "Network.requestWillBeSent"
        ]
        return [address for address in asked if not address.startswith(("data:", "blob:"))]

    def open(
        self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True,
        fragment: str = "",
    ) -> None:  # fmt: skip
        """Open a file and wait until it is loaded."""
        self._events.clear()
        self.errors.clear()
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self._ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self._ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._go("about:blank")  # else a fragment of the same file is no new page
        self._go(path.resolve().as_uri() + fragment)

    def _go(self, address: str) -> None:
        self._events.clear()
        loader = self._ask("Page.navigate", url=address)["loaderId"]
        while not any(_is_load(one, loader) for one in self._events):
            self._next()

    def value(self, expression: str) -> Any:
        """Return the value of an expression of the page; a promise is waited for."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self._ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        data = self._ask("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def colour_at(self, path: Path, x: int, y: int) -> tuple[int, ...]:
        """Return the colour of a pixel of what is seen."""
        import PIL.Image

        self.screenshot(path)
        with PIL.Image.open(path) as image:
            return tuple(image.convert("RGB").getpixel((x, y)))
