"""The words around a number that decide whether it is a required speedup, and demands without a number.

All of them read text as `bench.acceleration.requirement.patterns.normalised` returns it.
"""

from __future__ import annotations

import re

SENTENCE_END = re.compile(r"[.!?;](?=\s|$)")
SPEED = re.compile(r"fast|quick|speed|sped\b|accelerat|latency|throughput|runtime|\btime\b|slow")
# 512x512, 1024 x 1024, 512 x 512 x 3
RESOLUTION = re.compile(
    r"(?<![\w.,])(?:[0-9]+(?:x[0-9]+)+|[0-9]+(?: ?px)? x [0-9]+(?: x [0-9]+)*|[0-9]{3,} ?x ?[0-9]{2,})(?![\w.]*[0-9])"
)

_ARTICLE = r"[\s(]*(?:an?\b|the\b|about\b|around\b|roughly\b|approximately\b)?[\s(]*$"
LOWER_BOUND_BEFORE = re.compile(
    r"(?:\bat least|\b(?:no|not|never)(?: be)? (?:less|slower|lower|smaller|worse) than|"
    r"\bnot (?:be |fall |drop |go )?(?:below|under)|\bminimum(?: of)?|(?<!\bno )(?<!\bnot )\bmore than|"
    r"(?<!\bnot )\b(?:over|above)|(?<!\bnot )\bexceed\w*|>=?)" + _ARTICLE
)
UPPER_BOUND_BEFORE = re.compile(
    r"(?:\bat most|\b(?:no|not) more than|(?<!speed )(?<!speed-)(?<!it )\bup to|\bless than|\bfewer than|\bunder|"
    r"\bbelow|\bmax(?:imum|\.)?(?: of)?|\bwithin|\bnot (?:to )?exceed(?:ing)?|\bnot (?:over|above)|<=?)"
    + _ARTICLE
)
UPPER_BOUND_AFTER = re.compile(r"[\s,(]*(?:at (?:the )?most|or less|or slower|maximum|max)\b")
# Only words that lead from "not" to the number: "does not change the style and is 2x faster" is a demand.
NEGATED_BEFORE = re.compile(
    r"(?:\bnot|\bnever|n't|\bno)(?:\s+(?:needs?|needed|have|has|required?|necessary|necessarily|expected|to|be|"
    r"a|an|the|run|reach|become|get|it|achieve|is|any|aim|for|target|of|itself|about))*\s*$"
)

# What follows another thing that is counted in multiples: "4x upscaler", "2x slower", "2x A100".
_HIGHER = r"(?:(?:higher|more|greater|the|as much|as many)(?: [a-z]+)? "
_LOWER = r"(?:(?:lower|less|fewer|smaller)(?: [a-z]+)? "
DENIED_FOLLOWING = re.compile(
    r"(?:\s*(?:/|,|\bor\b|\band\b)\s*[0-9.]+\s?x)*[\s-]*(?:"
    r"(?:slower|larger|bigger|wider|taller|smaller|longer|heavier|worse|as (?:slow|long|large|big)|upscal\w*|"
    r"upsampl\w*|super|sr|esrgan|ultrasharp|downsampl\w*|downscal\w*|zoom\w*|magnif\w*|enlarg\w*|compress\w*|"
    r"interpolat\w*|cross|refin\w*|resolution|scal\w+|gpus?|cpus?|cores?|nvidia|a100|h100|h200|v100|t4|l4|rtx|"
    r"images?|prompts?|samples?|batch\w*|steps?|memory|vram|cfg|tokens?|pixels?|px|per|in a row|conv\w*)\b|"
    + _HIGHER
    + r"(?:resolution|memory|vram|quality|steps?|images?|detail|size|samples?|latency|times?|cost|compute)\b)|"
    + _LOWER
    + r"(?:resolution|memory|vram|quality|steps?|images?|detail|size|samples?|param\w*|cost)\b))"
)
_NEAR_WORDS = r"(?:\s+(?!faster)[^\s,;:.]{1,30}){0,4}\s*$"
RESIZED_BEFORE = re.compile(
    r"\b(?:(?:upscale|upsample|downsample|downscale|enlarge|resize|compress|shrink|super-resolve)[sd]?|zoom(?:s|ed)?|"
    r"magnif(?:y|ies|ied)|(?:scal\w+|upscal\w+|upsampl\w+|downsampl\w+|guidance|merg\w+|compression|zoom|"
    r"interpolation) (?:factor|ratio)|(?:reduc\w+|cut|lower|sav\w+|increas\w+|us\w+)(?: [a-z]+)? "
    r"(?:memory|vram|resolution|size))" + _NEAR_WORDS
)
# "a clip score of at least 0.95x the baseline": a part of something that is not the time.
SCORE_BEFORE = re.compile(
    r"\b(?:clip|quality|scores?|fidelity|accuracy|ssim|psnr|similarity|alignment)\b[^,;]{0,40}$"
)
SCORE_AFTER = re.compile(
    r"\s*(?:of )?(?:the |its |that of the )?(?:(?:baseline|original|reference|target)(?:'s)? )?"
    r"(?:clip|quality|scores?|fidelity|accuracy|ssim|psnr)\b"
)
REPEATED_BEFORE = re.compile(
    r"\b(?:repeat\w*|calls?|called|invok\w+|execut\w+|averag\w+|sampled?|generat\w+|run|runs|ran|tr(?:y|ied|ies)|"
    r"evaluat\w+|measur\w+|timed)" + _NEAR_WORDS
)

# A demand made for a number that is not one.
_HOLE = (
    r"(?:[0-9]?√\s?[0-9.]+|\?+|_+|\.{2,}|#+|<[^<>]{0,20}>|\{[^{}]{0,20}\}|\[[^\[\]]{0,20}\]|"
    r"\b(?:nan|inf|infinity|infinite|infinitely|tbd|[nxyk]|xx))"
)
_SPEEDY = r"(?:faster|quicker|speed[\s-]?ups?|as fast|acceleration)\b"
GARBLED = re.compile(
    rf"(?<![\w¤]){_HOLE}[\s-]?(?:x|times|fold|%|percent)[\s-]*{_SPEEDY}|"
    rf"(?:\bat least|\bby|>=?)\s*(?:x|times|fold|%|percent)\s+{_SPEEDY}|"
    rf"\bspeed-?ups?(?: factor| ratio)?\s*(?:of|:|=|>=?)\s*(?:at least\s+)?{_HOLE}(?![\w¤])|"
    rf"{_SPEEDY}(?: [a-z]+){{0,3}} by a factor of (?:at least )?{_HOLE}(?![\w¤])|"
    rf"\baccelerat\w+(?: [a-z]+){{0,5}} by a factor of (?:at least )?{_HOLE}(?![\w¤])|"
    # A number that no pattern could read, such as a fraction.
    rf"[0-9]\s?(?:x|times|-?fold|%|percent)[\s-]*{_SPEEDY}"
)
