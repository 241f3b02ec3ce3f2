"""Demands in Chinese, put into the English words that the patterns know: ``速度至少提升1.5倍`` is ``at least 1.5x faster``.

Only phrases that name a demand are replaced; everything else stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_HAN = re.compile(r"[\u4e00-\u9fff]")
_SIGNS = str.maketrans(
    {
        "，": ", ",
        "。": ". ",
        "；": "; ",
        "！": "! ",
        "？": "? ",
        "：": ": ",
        "、": ", ",
        "（": " (",
        "）": ") ",
    }
)
_ONES = {
    "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9,
}  # fmt: skip
_ONE = f"[{''.join(_ONES)}]"
_WRITTEN_NUMBER = rf"{_ONE}?十{_ONE}?|{_ONE}"
_WRITTEN = re.compile(
    rf"(?P<n>{_WRITTEN_NUMBER})(?:点(?P<part>{_ONE}))?(?=\s?(?:倍|秒|毫秒|分钟|成|g|个百分点))"
)
_PART_OF = re.compile(
    rf"(?<![0-9.])(?P<whole>{_WRITTEN_NUMBER}|(?!0+分)[0-9]{{1,3}})分之\s?(?P<n>{_WRITTEN_NUMBER}|[0-9]{{1,3}})"
)
_POINTS = re.compile(r"(?<=[0-9])\s?个百分点")
_TENTHS = re.compile(r"(?P<n>[0-9]+(?:\.[0-9]+)?|半)\s?成(?![功为立本分员品片果就])")
_SEVERAL = re.compile(r"(?<![0-9.])(?P<n>[2-9]|[1-9][0-9]+)\s?[张幅个](?:图片|图像|图|照片|视频)?")
_PERCENT_OF = re.compile(rf"百分之\s?(?P<n>[0-9]+(?:\.[0-9]+)?|{_WRITTEN_NUMBER})")

_N = r"\s?(?<![0-9.])(?P<n>(?>[0-9]+(?:\.[0-9]+)?))"
_LEAST = (
    r"(?:至少|最少|不低于|不少于|不小于|起码|达到|要|需|需要|必须|应|应该|能|为|是|到|至|大于|超过|高于|以上|了|约|"
    r"大约|>=?|=|:|\s){0,5}"
)
_AT_MOST = (
    "不得超过|不能超过|不要超过|不超过|不得高于|不高于|不大于|不多于|不得大于|少于|小于|低于|控制在|限制在|最多|至多|"
    "最大|上限"
)
_MOST = rf"(?:{_AT_MOST}|为|是|要|须|需|必须|应|应该|在|了|约|<=?|=|:|\s){{0,5}}"
_BOUND = rf"(?:{_AT_MOST}|<=?)(?:使用|占用|用|花|需要)?"
_WITHIN = r"(?:\s?(?:以内|之内|内|以下|之下))"
_SPEED = r"(?:推理速度|生成速度|运行速度|出图速度|速度|吞吐量|吞吐|性能|效率)"
_TIME = r"(?:推理时间|生成时间|运行时间|出图时间|总时间|时间|延迟|耗时|时延|延时|时长|用时)"
_LOSS = r"(?:损失|下降|降低|衰减|退化|劣化|变差|下跌|减少)"
_QUALITY = r"(?:图像质量|图片质量|画质|质量|clip\s?(?:得分|分数|score|分)?|得分|分数|效果|评分|精度|相似度)"
_MEMORY = r"(?:显存|内存|显卡内存|gpu内存|峰值内存)"
_UNITS = {"毫秒": "ms", "秒": "s", "秒钟": "s", "分钟": "min", "g": "gb", "m": "mb"}
_UNIT = r"\s?(?P<unit>毫秒|秒钟|秒|分钟|ms|s)"
_BYTES = r"\s?(?P<unit>gib|gb|g|mib|mb|m)"

Write = Callable[[re.Match[str]], str]


def in_english(text: str) -> str:
    """Return a text, in lower case, with the demands of its Chinese sentences in English."""
    if not _HAN.search(text):
        return text
    text = _PERCENT_OF.sub(lambda match: f"{_value(match['n']):g}%", text.translate(_SIGNS))
    text = _PART_OF.sub(lambda match: f"{100 * _value(match['n']) / _value(match['whole']):.15g}%", text)
    text = _POINTS.sub("%", _WRITTEN.sub(_written, text))
    text = _SEVERAL.sub(r" \g<n> images ", text)
    text = _TENTHS.sub(lambda match: f"{5 if match['n'] == '半' else 10 * float(match['n']):g}%", text)
    has_number = re.search("[0-9]", text) is not None
    for regex, write in _ROWS:
        if has_number or "n" not in regex.groupindex:
            text = regex.sub(write, text)
    return " ".join(text.split())


def _value(written: str) -> float:
    if written[0].isdigit():
        return float(written)
    tens, ten, ones = written.rpartition("十")
    return 10 * _ONES.get(tens, 1) * bool(ten) + _ONES.get(ones, 0)


def _written(match: re.Match[str]) -> str:
    part = match["part"]
    return f"{_value(match['n'])}" + (f".{_ONES[part]}" if part else "")


def _say(words: str) -> Write:
    def write(match: re.Match[str]) -> str:
        groups = {name: value for name, value in match.groupdict().items() if value is not None}
        if "unit" in groups:
            groups["unit"] = _UNITS.get(groups["unit"], groups["unit"])
        return f" {words.format(**groups)} "

    return write


def _bounded(unit: str) -> list[tuple[str, str]]:
    """Return what stands before and after a number that is an upper bound: a word before it, or one after its unit."""
    return [(rf"{_MOST}{_BOUND}{_MOST}", rf"{unit}{_WITHIN}?"), (_MOST, rf"{unit}{_WITHIN}")]


_ROWS: list[tuple[re.Pattern[str], Write]] = [
    (re.compile(regex), _say(words))
    for words, regexes in [
        # Shares of the time before rates: 时间减少40% is a saving.
        ("cut the latency by {n}%", [
            rf"{_TIME}[^,.;!?]{{0,8}}?(?:减少|缩短|降低|下降|减|压缩|节省)(?!了?(?:到|至(?!少))){_LEAST}{_N}\s?%(?:以上)?",
            rf"(?:减少|缩短|降低|节省){_LEAST}{_N}\s?%(?:以上)?的?{_TIME}",
        ]),
        ("halve the latency", [
            rf"{_TIME}[^,.;!?]{{0,8}}?(?:减半|缩短一半|减少一半|降低一半|砍半)",
            rf"{_TIME}[^,.;!?]{{0,8}}?(?:降|减|缩短|减少|压缩|降低)(?:低|少)?(?:到|至|为)(?:原来的|原先的|基线的)?一半",
            rf"一半的?{_TIME}",
            rf"{_TIME}[^,.;!?]{{0,4}}?(?:不超过|不到|少于|低于|不足|小于)(?:原来|原先|基线|原始)的?一半",
        ]),
        ("in {n}% of the time", [
            rf"{_TIME}[^,.;!?]{{0,8}}?(?:降|缩短|减少|压缩|降低|下降|减)(?:到|至)(?:原来的|基线的|原先的)?{_N}\s?%",
            rf"{_TIME}[^,.;!?]{{0,6}}?{_MOST}(?:原来|基线|原始|baseline)的?\s?{_N}\s?%{_WITHIN}?",
        ]),
        ("from {a} s to {n} s", [
            rf"从\s?(?P<a>[0-9]+(?:\.[0-9]+)?)\s?(?:秒钟|秒|s)?\s?(?:降|减|缩短|压缩|下降|降低|减少)?(?:低|"
            rf"少)?(?:到|至){_N}\s?(?:秒钟|秒|s){_WITHIN}?",
        ]),
        # One time faster is twice as fast; 1.5 times faster is what it is called in English.
        ("twice as fast", [
            rf"{_SPEED}[^,.;!?]{{0,6}}?翻(?:一)?(?:倍|番)", rf"翻倍(?:{_SPEED}|加速)",
            r"(?:快|提速|加速)了?(?:至少)?\s?1(?:\.0)?\s?倍",
            rf"{_SPEED}[^,.;!?]{{0,8}}?(?:提升|提高|加快|增加|增长){_LEAST}(?<![0-9.])1(?:\.0)?\s?倍",
        ]),
        ("at least {n}x faster", [
            rf"{_SPEED}[^,.;!?]{{0,8}}?(?:提升|提高|加快|增加|快|加速|达到|为|是){_LEAST}(?:原来的|基线的|"
            rf"baseline的)?{_N}\s?倍(?:以上)?",
            rf"(?:加速比|加速|提速|快){_LEAST}(?:原来的|基线的)?{_N}\s?倍(?:以上)?",
            rf"{_N}\s?倍(?:以上)?的?(?:{_SPEED}|加速比|加速|提速|速|快)",
            rf"{_SPEED}\s?x{_N}(?![0-9.%])",
            rf"加速比{_LEAST}{_N}(?:\s?x)?(?![0-9.%])",
            rf"(?:加速|提速|快){_LEAST}{_N}\s?x(?![a-z0-9])",
            rf"{_LEAST}{_N}\s?倍(?:于)?(?:原来|基线|原始)的?{_SPEED}",
        ]),
        ("at least as fast as the baseline", [
            r"(?:不能|不得|不可|不要|不应|不)(?:比)?(?:基线|原来|原版|原始|baseline)的?(?:还|更)?慢",
            r"(?:不能|不得|不可|不要|不应|不)(?:还|更)?慢于(?:基线|原来|原版|原始|baseline)",
            rf"{_SPEED}(?:不能|不得|不可|不应|不)(?:低于|慢于)(?:基线|原来|原版|原始|baseline)(?!的?\s?[0-9])",
        ]),
        ("{n}% faster", [
            rf"{_SPEED}[^,.;!?]{{0,8}}?(?:提升|提高|加快|增加|快){_LEAST}{_N}\s?%(?:以上)?",
            rf"(?:加速|提速|快){_LEAST}{_N}\s?%(?:以上)?",
            rf"(?:提升|提高|增加){_LEAST}{_N}\s?%(?:以上)?的?{_SPEED}",
            rf"(?:提升|提高|增加|加快)(?:推理|生成|运行|出图)?{_SPEED}{_LEAST}{_N}\s?%(?:以上)?",
        ]),
        *(("quality loss of at most {n}%", [
            rf"{_QUALITY}的?[^,.;!?0-9]{{0,6}}?{_LOSS}{before}{_N}\s?{after}",
            rf"{_LOSS}{before}{_N}\s?{after}的?{_QUALITY}?",
            rf"{before}{_N}\s?{after}的?{_QUALITY}{_LOSS}",
        ]) for before, after in _bounded("%")),
        ("keep at least {n}% of the quality", [
            rf"(?:保持|保留|维持){_LEAST}{_N}\s?%(?:以上)?的?{_QUALITY}",
            rf"{_QUALITY}[^,.;!?0-9]{{0,6}}?(?:保持|保留|维持)(?:在)?{_LEAST}{_N}\s?%(?:以上)?",
            rf"(?:不低于|不少于|至少|至少为|达到)(?:原来|原始|基线|原图)的?{_QUALITY}的?{_N}\s?%(?:以上)?",
            rf"{_QUALITY}[^,.;!?0-9]{{0,4}}?(?:不低于|不少于|至少为?|至少达到|达到)(?:原来|原始|基线|原图)的?{_N}\s?%(?:以上)?",
        ]),
        *(("memory of at most {n} {unit}", [
            rf"{_MEMORY}[^,.;!?0-9]{{0,8}}?{before}{_N}{after}", rf"{before}{_N}{after}的?{_MEMORY}",
        ]) for before, after in _bounded(_BYTES)),
        *(("at most {n} {unit} per image", [
            rf"(?:(?:每|一)?(?:张|幅|个)?(?:图片|图像|图|照片)?的?)?(?:{_TIME})?[^,.;!?0-9a-z]{{0,8}}?{before}{_N}"
            rf"{after}(?:生成|出|完成)?(?:一张|每张)?(?:图片|图像|图)?",
        ]) for before, after in _bounded(_UNIT)),
    ]
    for regex in regexes
]  # fmt: skip
