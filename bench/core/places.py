"""What a run writes for others to read says where things are without saying whose machine it was.

Paths below the repository, the run's directory and the home directory are written relative to them. What lies elsewhere
stays, since the user named it. Nothing that is read again to find a file goes through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

T = TypeVar("T")

_SCRATCH, _HOME, _HERE = "<scratch>", "~", "."
# Where a path begins in a text: not inside of another one, but after `file://` and after an option such as -I.
_BEGIN = r"(?:(?<![\w.~/-])|(?<=file://)|(?<=[\s'\"=]-[A-Za-z]))"
# Where the name of a folder ends. `/home/ann` is no part of `/home/anna`, `/home/ann-old` or `/home/ann.bak`.
_END = r"(?=$|[/\s'\"`)\]}>,;:|&\\]|\.(?:$|[\s'\")]))"
_LEAST_NAME = 6
_MAX_KEYS = 1000
_WITHOUT_TEXT = frozenset({type(None), bool, int, float})  # most of a record


class Places:
    """Writes paths relative to a few known places; a pure function of texts.

    Args:
        root: the repository.
        run: the run's directory.
        home: of the user; ``~``.
        scratch: the run's temporary directory; ``<scratch>``.
        names: names that are replaced, such as ``{"<user>": "ann"}``. Below ``/home`` and in names of temporary folders
            always; anywhere else only where they cannot be an ordinary word: with six characters or more, one of which is
            no letter.
    """

    def __init__(
        self,
        root: Path | None = None,
        run: Path | None = None,
        home: Path | None = None,
        scratch: Path | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._given = (root, home, scratch, names)
        self._shown: dict[str, str] = {}
        for place, shown in ((home, _HOME), (root, _HERE), (run, _HERE), (scratch, _SCRATCH)):
            for text in _forms(place):
                self._shown[text] = shown
        longest_first = sorted(self._shown, key=len, reverse=True)
        places = "|".join(re.escape(text) for text in longest_first)
        self._pattern = re.compile(f"{_BEGIN}({places}){_END}(/*)(?=(.?))", re.DOTALL) if places else None
        self._names = [(name, _name_pattern(name), shown) for shown, name in (names or {}).items() if name]
        self._keys: dict[str, str] = {}  # of records, of which there are few different ones

    def of_run(self, run: Path) -> Places:
        """Return the places of a process that knows the run's directory."""
        root, home, scratch, names = self._given
        return Places(root, run, home, scratch, names)

    def tidy(self, value: T) -> T:
        """Return a text, or plain builtins with the texts in them, with the paths made relative and readable.

        >>> Places(Path("/repo"), home=Path("/home/ann")).tidy("no model in /repo/models or /home/ann/x; see /home/anna")
        'no model in models or ~/x; see /home/anna'
        """
        if value is None:
            return value
        if isinstance(value, str):
            return self._text(readable(value))  # type: ignore[return-value]  # a text of a text
        if isinstance(value, list | tuple):
            return type(value)(self.tidy(item) for item in value)
        if isinstance(value, dict):
            return {  # type: ignore[return-value]
                self._key(key): item if type(item) in _WITHOUT_TEXT else self.tidy(item)
                for key, item in value.items()
            }
        return value

    def _key(self, key: Any) -> Any:
        if not isinstance(key, str):
            return self.tidy(key)
        found = self._keys.get(key)
        if found is None:
            found = self.tidy(key)
            if len(self._keys) < _MAX_KEYS:
                self._keys[key] = found
        return found

    def _text(self, text: str) -> str:
        if self._pattern is not None and "/" in text.replace("%2F", "/"):
            text = self._pattern.sub(self._replaced, text)
        for name, pattern, shown in self._names:
            if name in text:  # far quicker than the pattern, and nearly always false
                text = pattern.sub(shown, text)
        return text

    def _replaced(self, match: re.Match[str]) -> str:
        place, slashes, following = match[1], match[2], match[3]
        shown = self._shown[place]
        if shown != _HERE:
            return shown + slashes
        # What follows is the relative path, if anything does.
        return "" if slashes and following and not re.match(_END, following) else f"{_HERE}/"


def readable(text: str) -> str:
    """Return a text that UTF-8 can hold: in the POSIX locale Python hides each byte of a name in half a character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        with suppress(
            UnicodeEncodeError
        ):  # half a character of another origin is left for who checks records
            return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text


def _forms(place: Path | None) -> list[str]:
    """Return the ways in which a path is written: as it is, its target, and escaped as in JSON, a URL and XML."""
    if place is None:
        return []
    texts = dict.fromkeys(readable(str(path)) for path in (place, _resolved(place)))
    found = []
    for text in texts:
        if text.count("/") < 1 or len(text) < 2:  # the root of the file system is no place to be relative to
            continue
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        found += [text, json.dumps(text)[1:-1], quote(text), escaped, repr(text)[1:-1]]
    return list(dict.fromkeys(found))


def _resolved(place: Path) -> Path:
    try:
        return place.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return place


def _name_pattern(name: str) -> re.Pattern[str]:
    word = re.escape(name)
    if len(name) >= _LEAST_NAME and not name.isalpha():
        return re.compile(rf"(?<![^\W_]){word}(?![^\W_])")
    return re.compile(rf"(?:(?<=/home/)|(?<=/Users/)|(?<=-of-)|(?<=ctor_)){word}(?![\w-])")
