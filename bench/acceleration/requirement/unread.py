"""What reads like a demand in a text and was not understood: it is shown, so that nobody believes that it was judged."""

from __future__ import annotations

import re

from bench.acceleration.requirement.patterns import NUMBER

_MAX_UNREAD, _MAX_QUOTED = 8, 120

_QUANTITY = re.compile(
    rf"(?<![\w.,¤])(?:x\s?)?(?>{NUMBER})\s?-?(?:x\b|×|%|percent\b|per cent\b|times\b|-?fold\b|ms\b|s\b|secs?\b|"
    rf"seconds?\b|mins?\b|minutes?\b|gb\b|gib\b|mb\b|mib\b|fps\b|"
    rf"(?:its?|iterations?|images?|imgs?|pictures?|samples?|videos?)\s?(?:per|a|/)\s?(?:s|secs?|seconds?|mins?|minutes?)\b|"
    rf"tflops?\b|hz\b)"
)
_DEMANDING = re.compile(
    r"\b(?:at least|at most|no more than|not more than|no less than|less than|more than|fewer than|under|below|"
    r"above|within|max\w*|min(?:imum|imal)?|must|should|shall|needs? to|has to|have to|required?|requirement|"
    r"target|goal|limit|budget|faster|quicker|slower|speed\w*|accelerat\w*|latency|throughput|runtime|memory|vram|"
    r"quality|loss|score|reach|achieve|improve\w*|reduc\w*|cut|save|shave|halve|double|boost|gain|tolera\w+|accept\w*|"
    r"trim\w*|slash\w*|chop\w*|knock\w*|shed|exceed\w*|oom|run[- ]time|compute|cost|very (?:least|most)|"
    r"allow\w*|drop\w*|degrad\w*|sacrific\w*|clip|wall[- ]clock|beat\w*|outperform\w*|"
    r"shorten\w*|lower\w*|shrink\w*|down to|sla|p(?:50|9[0-9])|"
    r"or (?:better|more|less|faster|fewer|higher|lower))\b|[<>]"
)
_TIMED = rf"(?<![\w.,¤])(?>{NUMBER})\s?(?:ms|s|secs?|seconds?|mins?|minutes?)"
# Quantities without a figure; each of them is a demand wherever it stands.
_IN_WORDS = re.compile(
    r"\bsub-?second\b|\b(?:half|(?:an?|one|two|three|four) (?:half|third|quarter|fifth|tenth)s? of) an? (?:second|minute)\b|"
    r"\b(?:second|minute)s? and an? (?:half|quarter)\b|\b(?:under|within|below|in|than|most) an? (?:second|minute)\b|"
    r"\b(?:an?|one|the) (?:[0-9]+(?:st|nd|rd|th)|half|third|quarter|fifth|tenth|twentieth|hundredth) of "
    r"(?:the |its )?(?:quality|score|clip|fidelity|memory|vram)\b|"
    r"\b(?:in|within|at most|under) (?:half|(?:an?|one|two) (?:third|quarter|fifth|tenth)s?) of (?:that|it|this)\b|"
    rf"{_TIMED}\s?(?:/|per |for each |an? |each |every )"
    r"\s?(?:img|image|picture|sample|video)s?\b|"
    rf"(?<![\w.,¤])(?>{NUMBER})\s?(?:imgs?|images?|pictures?|samples?|videos?|its?|iterations?)\s?(?:/|per |an? )"
    r"\s?(?:s|secs?|seconds?|mins?|minutes?)\b|"
    rf"(?<![\w.,¤])(?>{NUMBER}) (?:imgs?|images?|pictures?|samples?|videos?) (?:in|within|every) {_TIMED}\b"
)
# Nothing may be lost, or change: that no measurement can show.
_FLAWLESS = re.compile(
    r"\blossless(?:ly)?\b(?! (?:png|webp|jpe?g|tiff|format|codec|compress\w*|image|file)s?\b)|"
    r"\b(?:no|zero|without(?: any| a)?) (?:[a-z]{1,20} ){0,2}?(?:loss|drop|degradation|decrease|change|difference|decline)"
    r"(?: (?:of|in) (?:the |image |visual )*)?\b(?:quality|clip|scores?|fidelity)\b|"
    r"\b(?:no|zero|without(?: any| a)?) (?:[a-z]{1,20} ){0,2}?(?:quality|clip|scores?|fidelity)[ -](?:[a-z]{1,20} )?"
    r"(?:loss|drop|degradation|decrease|change|decline)\b|"
    r"\b(?:quality|clip|scores?|fidelity)[ -](?:loss|drop|degradation)[:,]? (?:is |of )?(?:none|zero|not (?:allowed|"
    r"acceptable|tolerated))\b|"
    r"\b(?:bit-?(?:wise)?[ -]?|byte-?(?:wise)?[ -]?|pixel-?(?:wise)?[ -]?)(?:exact|identical|equal|perfect)\b|"
    r"\b(?:quality|clip(?: score)?|scores?|fidelity) (?:must |should |shall |has to |have to |needs? to |to )"
    r"(?:be |stay |remain )?(?:kept |left )?(?:not change|unchanged|the same|identical|intact|unaffected|constant|"
    r"as (?:it is|before))\b|"
    r"\bidentical (?:images?|outputs?|pictures?|results?)\b|\b(?:images?|outputs?|pictures?|results?) (?:must |should |"
    r"have to |has to )?(?:be|stay|remain) (?:identical|the same|unchanged)\b|"
    r"(?:不允许|不得有|不能有|不可有|没有|无)(?:任何)?(?:质量|画质|效果)(?:损失|下降|变差|降低)|"
    r"(?:质量|画质|效果)[^,.;!?]{0,4}(?:无|没有|不得|不能|不)(?:任何)?(?:损失|下降|变差|降低|损)|无损"
)
_OF_A_BATCH = re.compile(
    rf"{_TIMED} (?:for|per) (?:an? |the |each |every |one )?"
    r"(?:whole |entire |full )?(?:batch|run|set|[0-9]+ (?:images?|pictures?|prompts?|samples?))\b"
)
# What is said of today is no demand where nothing bounds it.
_OF_TODAY = re.compile(
    r"\b(?:currently|at present|at the moment|right now|so far|as of now|today|nowadays)\b"
)
_BOUNDING = re.compile(
    r"\b(?:at least|at most|than|under|below|above|within|max\w*|min(?:imum)?|must|should|shall|needs? to|has to|have to|"
    r"want|target|goal|limit|budget)\b|[<>]"
)
# Parts and multiples in words or as a fraction; demands where the clause speaks of what can be demanded.
_PART = re.compile(
    r"\b(?:half|halv\w{1,3}|(?:an?|one|two|three)[ -](?:third|quarter|fifth|tenth)s?|doubl(?:e|es|ed|ing)|"
    r"tripl(?:e|es|ed|ing)|quadrupl\w{1,3}|twice|thrice|[0-9]{1,2}\s?/\s?[0-9]{1,2})\b(?! (?:the |of the )?(?:steps?|batch|"
    r"resolution|size|precision))"
)
_OF_COST = re.compile(
    r"\b(?:latency|latencies|time|times|run-?time|wall[- ]clock|duration|speed|throughput|pace|faster|quicker|memory|vram|"
    r"quality|clip|scores?)\b"
)
# A bare number below 1, or one that is bounded, next to a word of quality: 0.02 of what, nobody says.
_BARE = re.compile(
    rf"(?<![\w.,¤])(?:0?\.[0-9]+|(?:(?<=than )|(?<=most )|(?<=least )|(?<=under )|(?<=below )|(?<=above )|[<>]=? ?)"
    rf"(?>{NUMBER}))(?![\w,]|\.[0-9])"
)
# What may be a speedup, and has no unit that says so.
_OF_SPEED = re.compile(
    r"\b(?:speed[ _-]?ups?\w*|accelerat\w+|faster|quicker)(?: [^\s.,;:!?0-9¤]{1,30}){0,4}?[\s:]*"
    r"(?:\b(?:by|of|factor|exceed\w*|reach\w*|beat\w*|above|over|than|least|be|is|to be)\b|[:=<>]=?)\s?"
    rf"(?<![\w.,¤-])(?>{NUMBER})(?=\s?(?:$|[.,;:)](?:\s|$)| (?:with|while|and|without|or)\b))"
)
# The same with nothing after it that it could count.
_BOUNDED = re.compile(
    rf"(?<![\w.,¤])(?:(?<=than )|(?<=at most )|(?<=at least )|(?<=under )|(?<=below )|[<>]=? ?)(?>{NUMBER})"
    r"(?=\s?(?:$|\)| (?:of (?:the|its|that)|per|for (?:each|every)|in total)\b))"
)
# Cost or quality next to the baseline's, without a figure.
_RELATIVE = re.compile(
    r"\b(?:memory|vram|quality|clip|scores?|fidelity|latency|runtime|time)\b[^,;:]{0,40}"
    r"\b(?:under|below|exceed|(?:more|higher|worse|lower|longer|less) than|at least|as (?:good|high|low) as)\b"
    r"[^,;:]{0,20}\b(?:baseline|original|reference|before)\b|"
    r"\b(?:no|without(?: any| using)?) (?:extra|more|additional) (?:memory|vram)\b|"
    r"\b(?:memory|vram|quality)\b[^,;:]{0,30}(?:\b(?:not|never)|n't) (?:grow|increase|rise|go up|get worse|suffer|change)\b|"
    r"\bat least as (?:fast|quick)\b|"
    r"\b(?:memory|vram|quality) (?:as|like) (?:before|now|today|(?:that )?(?:in|of )?(?:the |its )?(?:baseline|original))\b|"
    r"(?:显存|内存)[^,.;!?]{0,8}(?:不|无)(?:增加|得?高于|变大|上升|增长|大于)"
)
_OF_RATIO = re.compile(
    r"\b(?:relative|normali[sz]ed) (?:latency|run-?time|run time|time|cost)\b|\b(?:latency|run-?time|time|cost) ratio\b"
)
_OF_SCORE = re.compile(r"\b(?:quality|clip|scores?|loss|degradation|drop|fidelity|ssim|lpips|psnr|fid)\b")
_HAN_QUANTITY = re.compile(r"[0-9]|倍|分之|一半|减半|砍半|翻番")
_HAN_OF_COST = re.compile(
    "速度|吞吐|性能|效率|时间|延迟|耗时|时延|延时|时长|用时|显存|内存|质量|画质|得分|分数|评分|加速|提速|变快|更快|倍速|每秒|每张"
)
# "2x slower" and "within 1.5x of the latency" are no speedups, and are asked for all the same.
_SLOWER = re.compile(
    r"¤+ ?(?:slower|longer)\b|\b(?:within|under|below|most|than) ¤+ ?(?:of )?(?:the|its|that|baseline)\b"
)
_CLAUSE = re.compile(r"[.!?;](?=\s|$)|,(?=\s)")
# Words that have to stand in a clause together for it to read like a demand.
_READ_LIKE_DEMANDS = (
    (_QUANTITY, _DEMANDING), (_PART, _OF_COST), (_BARE, _OF_SCORE), (_BARE, _OF_RATIO), (_HAN_QUANTITY, _HAN_OF_COST),
    (_SLOWER,), (_IN_WORDS,), (_OF_SPEED,), (_BOUNDED,), (_RELATIVE,), (_FLAWLESS,), (_OF_A_BATCH,),
)  # fmt: skip


def unread(left: str, readable: str) -> tuple[str, ...]:
    """Return the clauses of a text with a quantity that nothing has understood, and a word that demands something.

    Args:
        left: the text with what was understood masked, letter by letter.
        readable: the text.
    """
    found, start = [], 0
    for end in (*_CLAUSE.finditer(left), None):
        stop = len(left) if end is None else end.start()
        clause = left[start:stop]
        of_today = _OF_TODAY.search(clause) and not _BOUNDING.search(clause)
        if not of_today and any(all(word.search(clause) for word in words) for words in _READ_LIKE_DEMANDS):
            found.append(readable[start:stop].strip()[:_MAX_QUOTED])
        start = stop if end is None else end.end()
    return tuple(dict.fromkeys(found))[:_MAX_UNREAD]
