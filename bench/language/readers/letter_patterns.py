"""Phrases with which a text says which option it is, by how much they decide."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Words that no sentence ends with.
BREAKING_OFF = re.compile(
    r"\b(?:is|are|was|were|has|have|had|the|an?|which|that|who|could|can|would|should|may|might|will|must|because|since"
    r"|and|or|but|of|to|in|as|for|with|by|if|from|than|its|says|states)\s*$",
    re.IGNORECASE,
)


class Level(enum.IntEnum):
    """How much a phrase decides.

    Attributes:
        PRAISE: "C is plausible".
        CONCLUSION: "so C", "only C", "it must be C".
        ANSWER: "the answer is C".
    """

    PRAISE = 1
    CONCLUSION = 2
    ANSWER = 3


@dataclass(frozen=True)
class Patterns:
    """Patterns for a number of options; the letter is the last group of each.

    Attributes:
        alone_first, alone_last: a letter that is the whole first or last line, or the last sentence.
        label: a line that begins with a letter, as in a list of options.
        inline: a letter with a mark after it, as in a list of options within a line.
        mention: a letter that is a word, but not an article, a pronoun or part of a name.
        another: what follows a letter where the text goes on with "or B".
        numbered: a letter that answers one of several numbered questions.
        statements: phrases.
    """

    alone_first: re.Pattern[str]
    alone_last: re.Pattern[str]
    label: re.Pattern[str]
    inline: re.Pattern[str]
    mention: re.Pattern[str]
    another: re.Pattern[str]
    numbered: re.Pattern[str]
    statements: tuple[tuple[Level, re.Pattern[str]], ...]


# Letters and digits that continue a word. Chinese characters do not: "答案是B" has no space.
_WORD = "A-Za-z0-9À-ɏ"
_JOINER = "/&+#@_'’-"
# Neither a letter within a word, nor the end of N/A, Q&A, vitamin-C, snake_A or U.S.A.
_BEFORE = rf"(?<![{_WORD}])(?<![{_WORD}][{_JOINER}])(?<!^[A-Za-z]\.)(?<![^A-Za-z][A-Za-z]\.)"
# Nor the start of a word, of A/B, I'd, A-level, C++, C# or A.M.
_AFTER = rf"(?![{_WORD}+#])(?![{_JOINER}][{_WORD}])(?!\.[A-Za-z](?![A-Za-z]))"
# In "A man" the letter is an article, in "I think" a pronoun; in "A because", "A is" and "A and" it is an answer.
_NO_ARTICLE = (
    r"(?![ \t]+(?!(?i:is|was|are|because|since|as|and|or|but|so|which|that|due|would|should|seems|not|in|of|from|to"
    r"|on|by|with|than|the|this|it|according|fits|matches|must|alone|remains|makes|implies|equals|exceeds|plus|minus|for(?!\s+one\b)|here|instead|rather|can|could"
    r"|does|explains|works|over|if|when|where|while|being|were|has|contradicts|after|at|says)\b(?!-))\w)"
)
# "I, for one" and "I, as an AI" name no option either.
_NO_PRONOUN = r"(?:(?<![I])|(?!,\s+(?i:for\s+one|as\s+an?|too|however|personally|myself|unfortunately)\b))"
_NAME = r"(?:(?i:options?|choices?|letter|answer|statement|selection|alternative|number)\b\s*[:#]?\s*|选项\s*[:：]?\s*)?"
_OPEN = r"[\s(\[{<（]{0,6}"
_CLOSE = r"[\s)\]}>.,:;!）。：，]{0,8}"
_ADVERB = (
    r"(?:\s+(?i:most\s+likely|likely|probably|therefore|thus|clearly|definitely|indeed|simply|obviously|just|only|in\s+fact"
    r"|actually|still|surely|certainly|then|now))*"
)
_VERB = (
    r"(?:(?:(?i:is|was|'s|(?:must|should|would|will|could|has\s+to|have\s+to|had\s+to|can\s+only|seems\s+to|appears\s+to"
    rf"|turns\s+out\s+to|ought\s+to)\s+be)\b{_ADVERB}|(?i:becomes|remains)\b)\s*[:：]?|[:：=]|[-–—]+>?|=>|[→⇒]|[是为选][:：]?)"
)
_SUBJECT = (
    r"(?:\b(?i:answer|choice|option|solution|selection|pick|response|guess|bet|vote"
    r"|conclusion|verdict)\b(?:\s+(?i:to|for|of|here|in|i\s+(?:would\s+)?(?:choose|pick|select|give))\b(?:\s[^.:\n]{1,80}?)?)?"
    r"|答案(?:应该|应|就|只能|当然|显然|肯定)?)"
)
_PRAISE = (
    r"(?:(?i:most|only|single|likely|correct|right|best|accurate|appropriate|plausible|final|my)\s+){0,3}"
)
_GOOD = (
    r"(?i:correct|right|best|true|accurate|appropriate|plausible|likely|suitable|sensible|logical|reasonable|better|it"
    r"|ideal|proper|valid|fitting|closer|closest|stronger|strongest|preferable|safer|safest)"
)
# "Antwort: C", "la respuesta correcta es la B": the same in other languages, with capital letters only.
_ABROAD = (
    r"(?i:antwort|lösung|réponse|respuesta|resposta|risposta|ответ|答え|正解|정답)(?:\s+(?i:correcta|correta|corretta|juste|correcte))?"
    r"\s*(?:[:：]|(?i:ist|lautet|wäre|est|es|é|è|sería|seria)\b|—|[はは은는이])\s*[:：]?"
    r"(?:\s*(?i:die|la|le|el|a|o|der|option|opción|opção|opzione|letra|lettre|lettera|buchstabe)\b)*\s*"
)
_I_CHOOSE = (
    r"\b(?i:I|we)(?i:'d|'ll|'m|'ve|\s+would|\s+will|\s+am|\s+have|\s+must|\s+should|\s+can)?"
    r"(?:\s+(?i:still|just|therefore|probably|rather|have|thus|to|now|then|finally|definitely))*"
    r"\s+(?i:(?:go|going|went)(?:\s+with|\s+for)?|choose|choosing|chose|chosen|pick(?:ed|ing)?|select(?:ed|ing)?|say|answer(?:ed)?"
    r"|opt(?:ed|ing)?\s+for|vote\s+for|settle(?:d)?\s+(?:on|for)|guess|mark(?:ed)?|take|lean(?:ing)?\s+(?:toward|towards|to)"
    r"|bet\s+on|believe|think|stick\s+with|conclude)(?:\s*[:：])?"
    r"(?:\s+(?i:that\s+)?(?i:it'?s|it\s+is|it\s+must\s+be|it\s+should\s+be|it\s+has\s+to\s+be|the\s+answer\s+is|with))?"
)


@functools.cache
def patterns(count: int) -> Patterns:
    """Return the patterns for the first `count` letters."""
    upper = ALPHABET[:count]
    both = upper + upper.lower()
    any_letter = rf"([{both}]){_AFTER}{_NO_PRONOUN}(?:(?<![AIai])|{_NO_ARTICLE})"
    big = rf"([{upper}]){_AFTER}{_NO_PRONOUN}(?:(?<![AI])|{_NO_ARTICLE})"
    named = rf"{_OPEN}{_NAME}{_OPEN}"
    of_option = rf"{_BEFORE}(?:(?i:option|choice|answer)\s+)?[(\[]?([{upper}])[)\].,:]?"
    sure = r"(?i:I\s+think|I\s+believe|definitely|obviously|clearly)"
    reason = rf"(?:{sure}|(?i:the\s+(?:other|rest|remaining)|because|since|as\b|given|for\b))"
    answer = (
        rf"\A\W*{_NAME}{_OPEN}([{both}]){_NO_PRONOUN}[)\].]?\s*[,!;:—–-]+\s*{reason}",
        rf"(?m:^)[^\w\n]*(?:(?i:final|correct|best|my)\s+)?(?:(?i:answer)|答案)[^\w\n]*\n"
        rf"\s*{_OPEN}([{both}])[)\].:](?=\s)",
        rf"{_SUBJECT}{_OPEN}{_VERB}{named}{any_letter}",
        rf"(?m:^)[^\w\n]*(?i:(?:final|correct|best|my|the)\s+)*(?i:answer|choice|option)[^\S\n]+{_OPEN}{any_letter}(?=\s*[.)\]]*\s*$)",
        rf"\\f?boxed\s*\{{{named}{any_letter}",
        rf"{of_option}\s*\b(?i:is|must\s+be|would\s+be|has\s+to\s+be|should\s+be)\s+(?:(?i:the|my)\s+)?{_PRAISE}(?i:answer|option|choice)\b",
        rf"{_I_CHOOSE}\s+{named}{big}",
        rf"{_I_CHOOSE}\s+(?i:(?:answer\s+)?(?:option|choice|letter)|answer)\s+{_OPEN}{any_letter}",
        rf"\b(?i:chang(?:e|ed|ing)|switch(?:ed|ing)?|revis(?:e|ed|ing)|updat(?:e|ed|ing)|correct(?:ed|ing)?)\s+(?i:my\s+|the\s+|it\s+)?"
        rf"(?i:(?:final\s+)?(?:answer|choice|pick|mind)\s+)?(?:(?i:from)\s+{named}[A-Z][)\].]*\s+)?(?i:to)\s+{named}{big}",
        rf"(?:改选|改为|改成)(?:了)?\s*{named}{big}",
        rf"\b{_ABROAD}{_OPEN}{big}",
        rf"\b(?i:my\s+(?:\w+\s+)?(?:guess|bet|vote|money|pick|choice)\s+(?:is|goes\s+to|would\s+be|goes\s+with|is\s+on))\s+{named}{big}",
        rf"\b(?i:settled|settling|settle|decided|landed)\s+(?i:on|for)\s+{named}{big}",
        rf"\b(?i:ended\s+up\s+with|went\s+with)\s+{named}{big}",
        rf"\b(?i:going|go)\s+with\s+{named}{big}",
        rf"(?:(?m:^)|[.!?;:,]\s*|\b(?i:so|thus|therefore|hence|please|then|to|should)[,\s]\s*)(?i:choose|select|pick|mark|circle|choosing|selecting)\s+{named}{big}",
        rf"(?:故|因此|所以|应该|应当|应|我|则|本题|综上|所述|最终|就|可|只能|必须|这里|答)[，,]?\s*(?:应该|应|会|将|要|就)?(?:选择|选)(?:项|的是|出)?\s*[:：]?\s*{named}{any_letter}",
        rf"(?:(?m:^)|[，,。；;：:\s])(?:选择|选)[:：]?\s*{named}{any_letter}",
        rf"(?:正确|最佳|合适|恰当|最好)的?(?:选项|答案|选择)?(?:应该|应)?(?:是|为|[:：])\s*{named}{any_letter}",
        rf"[(\[]?([{both}])[)\]]?\s*(?:选项|项)?\s*(?:是|为|才是|就是)(?:正确|最佳|唯一)(?:的)?(?:答案|选项)",
    )
    conclusion = (
        rf"\b(?i:it|this|that|which|he|she|they)(?i:'s|\s+is|\s+must\s+be|\s+has\s+to\s+be|\s+should\s+be|\s+can\s+only\s+be|\s+would\s+be"
        rf"|\s+has\s+got\s+to\s+be|\s+might\s+be|\s+could\s+be|\s+seems\s+to\s+be|\s+'?has\s+to\s+be){_ADVERB}\s*[:：]?{named}{big}",
        rf"\b(?i:must|has\s+to|can\s+only|got\s+to)\s+(?i:be|mean){_ADVERB}\s*{named}{big}",
        rf"\b(?i:only|(?:no\w*|none|nothing|wrong|incorrect|false|out|fail\w*)\b[^.!?\n]{{0,30}}\s+except(?:\s+for)?)\s+{named}{big}(?!\s+(?i:and|or)\b)",
        rf"{of_option}\s*(?i:is\s+the\s+only|alone\b|remains\b|is\s+left\b|is\s+what\s+remains|it\s+is\b|wins\b|for\s+sure)",
        rf"\b(?i:leaves?|leaving|left\s+with|remaining\s+(?:option|choice|one)\s+is|remains?)(?:\s+(?i:us|me|with|only|just|as))*\s+{named}{big}",
        rf"\b(?i:so|therefore|thus|hence|consequently|accordingly|ergo|all\s+in\s+all|overall|in\s+conclusion|in\s+summary|to\s+sum\s+up)\b[,:\s]*{named}{big}(?=\s*[.!,;:)\]]|\s*$|\s*\n|\s+(?i:it|is\s+the|because|since|for))",
        rf"(?:->|=>|[→⇒∴])\s*{named}{big}",
        rf"\b(?i:points?(?:\s+clearly)?\s+to|leads?(?:\s+\w+)?\s+to|gives?(?:\s+us)?|yields?|corresponds?\s+to|match(?:es)?(?:\s+with)?|supports?"
        rf"|consistent\s+with|indicates?|prefer|fits\s+with|which\s+means|means|favou?rs?)\s+{named}{big}",
        rf"(?:所以|因此|故|那么|应该|应)(?:答案|选项)?(?:就|应|应该|只能)?(?:是|为)\s*{named}{big}",
        rf"(?:只有|只能是|唯有|仅有|剩下的?(?:只有)?|只剩(?:下)?)\s*{named}{big}",
        rf"{of_option}\s*(?i:stands\s+out|is\s+left\s+over)\b",
        rf"\b(?i:the\s+(?:correct|right|best)\s+(?:(?:one|statement|completion|ending|letter|word|interpretation|explanation|description)\s+)?(?:is|would\s+be|must\s+be))\s+{named}{big}",
        rf"(?:即|也就是|对应(?:的)?(?:是)?)\s*(?:选项)\s*{_OPEN}{big}",
    )
    gap = rf"(?:(?!(?<![{_WORD}])[(\[]?[{upper}][)\].:])[^\n]){{0,80}}?"  # up to the next option of a list
    praise = (
        rf"{of_option}\s*(?i:is|was|seems|looks|sounds|appears|feels|must\s+be|would\s+be|has\s+to\s+be)(?:\s+(?i:the|to\s+be|most|more|clearly|indeed|definitely|obviously|a|quite|very|therefore|thus|absolutely|really|perfectly|certainly))*\s+{_GOOD}\b",
        rf"{of_option}\s*(?i:fits|matches|works|makes|captures|describes|explains|completes|follows)\b(?:\s+(?i:it|the|this|most|best|better|well|perfectly|sense|sentence|story|situation|more|all))*",
        rf"(?:(?m:^)[^\S\n]*(?:\|[^\S\n]*)?|(?<=[.;]\s))[(\[]?([{both}])[)\].:](?:(?:{gap}[-–—:(,.])?\s*(?i:this\s+is\s+)?(?:(?i:correct|right|true|yes)\b|正确|对的?(?=\W|$))|{gap}[✓✔✅√])",
        rf"{of_option}\s*[-–—:：、．]?\s*[✓✔✅√]",
        rf"[(\[]?([{upper}])[)\]]?\s*(?:选项|项)?\s*(?:是|才是|才|更|最|也|完全|均|明显)*(?:正确|对的|符合|合适|恰当|合理|成立|准确|贴切)",
    )
    leveled = ((Level.ANSWER, answer), (Level.CONCLUSION, conclusion), (Level.PRAISE, praise))
    mention = (
        rf"{_BEFORE}{big}",
        # A lower-case letter is usually a word; brackets or its place show that it is an option.
        rf"(?<![{_WORD}])[(\[]([{upper.lower()}])[)\]]",
        rf"(?<![{_WORD}(\[])([{upper.lower()}])\)",
        rf"(?m:^)[ \t]*([{upper.lower()}])\.(?=\s|\Z)",
        rf"\b(?i:option|choice|answer)\s{_OPEN}([{upper.lower()}]){_AFTER}(?:(?<![ai])|{_NO_ARTICLE})",
    )
    return Patterns(
        alone_first=re.compile(rf"\s*{_OPEN}{_NAME}{_OPEN}([{both}]){_CLOSE}(?:\n|\Z)"),
        alone_last=re.compile(
            rf"(?:\n|[.!?。！？:：][^\S\n]+)\s*{_OPEN}{_NAME}{_OPEN}([{upper}])[\s)\]}}>.!]{{0,8}}\Z"
        ),
        label=re.compile(
            rf"(?m:^)[^\S\n]*(?:(?i:option|choice)\s+|选项\s?)?[(\[]?([{both}])(?:[)\].:：]|、(?![{upper}](?![a-z])))(?=[^\S\n]*\S)"
        ),
        inline=re.compile(
            rf"(?:(?m:^)|(?<=[\s,;(\[]))[(\[]?([{upper}])[)\].:](?=[^\S\n]+\S)"
            rf"|(?:(?m:^)|(?<=[\s,;，；。]))([{upper}])[.．:：、](?=[一-鿿√×✓✔✗✘✅❌])"
        ),
        mention=re.compile("|".join(mention)),
        another=re.compile(
            rf"[)\].}}]*\s*\(?(?:,|/|\b(?i:or|and|and/or|or\s+even|or\s+maybe)\b|&|、|和|或|与|及|还是)\s*(?:(?i:possibly|perhaps|probably|also|else|maybe|even)\s+)?选?{_NAME}[(\[]?[{upper}]"
            rf"(?![{_WORD}'])"
            r"(?=\s*[)\]}.;!?,。]|\s*$|\s+(?i:are|both|depending|would|could|might|may)\b)"
        ),
        numbered=re.compile(
            rf"(?:(?m:^)|(?<=[\s,;]))(?:(?i:question|answer|q|no)\.?\s?|第)?[0-9]{{1,2}}\s?题?\s?[.):：、-]\s?[(\[]?([{both}])[)\]]?"
            r"(?=\s*(?:[,;，；。]|\.?\s*$|\.?\n|\s(?:(?i:q)|第)?[0-9]{1,2}\s?题?[.):：-]))"
        ),
        statements=tuple((level, re.compile(pattern)) for level, group in leveled for pattern in group),
    )
