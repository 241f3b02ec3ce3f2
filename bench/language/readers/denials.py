"""Words that deny, of which readers of letters and of labels build their patterns. All are alternatives of a pattern."""

from __future__ import annotations

NOT = r"not|never|neither|nor|cannot"
CHINESE_NOT = "不|别|勿|非|未"
"""Single characters; a reader has to know what they may be a part of."""
LAST_OF_ALL = r"worst|least"
WRONG = r"wrong|incorrect"
EXCLUDED = (
    r"(?:eliminat|exclud)(?:e|es|ed|ing)|(?:discard|reject)(?:s|ed|ing)?|dismiss(?:es|ed|ing)?"
    r"|(?:rul(?:e|es|ed|ing)|cross(?:es|ed|ing)?)\s+out"
)
UNFIT = r"unlikely|implausible|impossible"
