"""What a score may be compared with: the published protocol that a dataset follows, or none."""

from __future__ import annotations

import re

OWN_PROTOCOL = "own"
NOT_COMPARABLE = "not comparable with published numbers"

_FORMS = re.compile(r"lm-eval:[A-Za-z0-9_.\-]+@[0-9]+(\.[0-9]+)*|opencompass:[A-Za-z0-9_.\-]+")


def check_protocol(protocol: object) -> None:
    """Refuse a protocol of no known form.

    Raises:
        ValueError: with the known forms.
    """
    if protocol != OWN_PROTOCOL and not (isinstance(protocol, str) and _FORMS.fullmatch(protocol)):
        raise ValueError(
            f"found the protocol {protocol!r}, expected lm-eval:TASK@VERSION, opencompass:CONFIGURATION or "
            f"{OWN_PROTOCOL!r}; correct `protocol`"
        )
