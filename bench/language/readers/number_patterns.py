"""Phrases around the number that an answer ends with."""

from __future__ import annotations

import re

from bench.language.readers.phrases import any_of

# "#### 72", as in the solutions of GSM8K.
HASHES = re.compile(r"####[^\S\n]*([^\n]*)")
_FINAL = any_of("answers? | final result | final total | final value | final amount")
_IS = any_of(
    "is | are | was | equals | becomes | comes to | comes out to | would be | must be | should be | will be"
)
ANSWER = re.compile(
    rf"\b(?i:{_FINAL})\b[^.\n:=0-9]{{0,60}}?(?:\s{_IS}\b|\s*(?:\*\*)?\s*[:=：]|\s*→)"
    r"|(?i:</?answer>)|最终答案[是为：:]?|答案(?:应该|应|就)?(?:是|为|：|:|等于|=)|(?m:^)[^\S\n]*答\s*[：:,，]|\b(?i:ANS)\s*[:=]"
)
SENTENCE_END = re.compile(
    r"(?<=[.!?])(?:\*\*|[)\"'])?\s+(?=[^\s0-9a-z]|\*\*|$)|[。！？；]|\n+|(?<=[.!?])\s+(?=[0-9])"
)
ASIDE = re.compile(r"\([^()\n]*\)|（[^（）\n]*）|\[[^\[\]\n]*\]")
# Sentences that are no part of a solution.
REMARK = re.compile(
    r"^\W*(?:let'?s\s+)?(?:to\s+)?(?:check|double[- ]check|verif\w+|note|ps|p\.s|hope|let\s+me\s+know|reference|source"
    r"|confidence|an?\s+(?:common|frequent|typical)\s+(?:error|mistake|slip|trap)|caution|beware|be\s+careful"
    r"|检查|验证|注意|注|检验|常见错误|易错)",
    re.IGNORECASE,
)
_NOT_KNOWN = any_of(
    "not sure | not certain | unsure | uncertain | can't decide | cannot decide | don't know | do not know | unable to"
    "| depends on | not enough information | insufficient | no idea"
)
GIVES_UP = re.compile(
    rf"\b{_NOT_KNOWN}"
    r"|\b(?:impossible\s+to|cannot\s+(?:be\s+)?(?:determin\w+|answer\w*|solv\w+|say)|can't\s+(?:tell|say|determine))"
    r"|无法|不知道|不能确定|不确定",
    re.IGNORECASE,
)
# What says the same in other units, or as a result: the number after the last one counts.
_SAME_WORDS = any_of(
    "that is | that's | which is | which equals | which makes | equals? | equal to | is the same as | in other words"
    "| namely | or simply | or equivalently | equivalently | for a total of | makes a total of | a total of | comes to"
    "| adds? up to | amounts? to | leaves | leaving"
)
_SAME_CHINESE = "也就是|等于|总共|一共|共有|共计|共|合计|还剩下?|剩下|即"
SAME = re.compile(
    rf"=|≈|≃|⇒|→|\bi\.\s?e\.|\b(?:{_SAME_WORDS}|total(?:s|ling|ing|ed)?(?:\s+of|\s+is|:|(?=\s[$€£¥]?[0-9]))|so\s+the\s+\w+\s+is)\b"
    r"|(?<=[0-9])\s(?:is|makes|gives)(?=\s[$€£¥]?[-−]?[0-9])"
    rf"|:(?=\s*[$€£¥]?[-−]?[0-9.,/]+\W*$)|{_SAME_CHINESE}",
    re.IGNORECASE,
)
# ", together 12" at the end of a list of parts.
TOGETHER = re.compile(
    r"[,;:–—-]\s*(?:and\s+)?(?:(?:both|all)\s+)?(?:(?:al)?together|combined|in\s+all|all\s+told)\b,?"
    r"(?:\s+(?:they|we|you|that|this)(?:'s)?)?(?:\s+(?:have|had|has|makes?|making|is|are))?"
    r"\s+(?=[$€£¥]?[-−]?[0-9][0-9.,/]*(?:[^0-9]*)$)",
    re.IGNORECASE,
)
# Of others than those of the number before.
OF_SEVERAL = re.compile(
    r"[,;]\s+(?:(?:and|while|but)\s+)?(?:[A-Z]\w*|the\s+(?:other\s+\w+|others|rest))\b[^,;]*"
    r"\b(?:together|combined|between\s+them|in\s+(?:all|total))\b|\b(?:together|combined)\s+with\b"
)
WITH_REST = re.compile(
    r"[0-9][^.;]{0,40}?\bwith\s+(?:only\s+|just\s+|another\s+)?[$€£¥]?[0-9][0-9.,]*\s+(?:\w+\s+){0,2}?(?:left|remaining)\b",
    re.IGNORECASE,
)
DENIED = re.compile(
    r"(?:\b(?:not|isn't|wasn't|never|rather\s+than|instead\s+of)|不是|而非|并非)\s*(?:the\s+)?\W*$",
    re.IGNORECASE,
)
# "in 2 months", "the 4 friends": a number that belongs to the circumstances.
_CIRCUMSTANCE = any_of(
    "in | after | for | within | during | over | every | per | each of | the | these | those | all | from | at | of the"
    "| by | with | among | between | on | if | when | her | his | their | since | because | out of | than | until | before"
    "| other | another | extra | first | next | last | all of the | as | through | to the | across | into"
)
ADJUNCT = re.compile(rf"\b{_CIRCUMSTANCE}\s+(?:\w+\s+)?\W*$", re.IGNORECASE)
_VERBS = any_of(
    "is | are | was | were | be | costs? | has | have | had | makes? | made | earns? | earned | needs? | takes? | took"
    "| gets? | got | pays? | paid | weighs? | reads? | spends? | spent | saves? | saved | sold | sells? | eats? | uses?"
    "| used | receives? | walks? | drives? | runs? | collects? | contains? | holds? | owes? | buys? | bought | travels?"
    "| scored?"
    "| scores | gives? | fits? | bakes? | needed | remain | lost | gained | finds? | found | caught | grows? | requires?"
    "| produces? | charges? | lasts? | measures? | becomes? | keeps? | kept | left with"
)
_BETWEEN = any_of(
    "a total of | about | approximately | exactly | only | just | now | still | roughly | around | another | up to | back"
    "| him | her | them"
)
RESULT = re.compile(rf"\b{_VERBS}\s+(?:{_BETWEEN}\s+)*\W*$", re.IGNORECASE)
REST = re.compile(
    r"\W*(?:[A-Za-z%$-]+\W+){0,4}?(?:left|remain(?:s|ing)?|in\s+total|altogether|in\s+all|total)\b"
    r"(?!\s+[$€£¥]?[0-9])",
    re.IGNORECASE,
)
_UNIT = any_of(
    "h | hr | hrs | hours? | min | mins | minutes? | m | days? | weeks? | months? | years? | feet | foot | ft | yards?"
    "| pounds? | lbs? | dollars? | kg | kilograms? | meters? | metres? | km"
    "| 小时 | 分钟 | 分 | 天 | 元 | 角 | 米 | 个小时 | 点"
)
# What joins two numbers to one thing: a sum, a range, a quantity of two units.
OPERATOR = re.compile(
    r"\s*[$€£¥]?\s*(?:[-+−×*/÷^]|\\div|\\sqrt|times|plus|minus|divided)\s*[$€£¥(]*\s*$", re.IGNORECASE
)
RANGE = re.compile(
    r"\s*(?:%|\w+)?\s*(?:-|–|—|~|～|to|or|and|或|到|至|和|,|、|\bor\s+even)\s*[$€£¥]?\s*$", re.IGNORECASE
)
COMPOUND = re.compile(rf"\s*{_UNIT}\s*(?:,|and)?\s*$", re.IGNORECASE)
CONCLUDES = re.compile(
    r"[,;，；]\s*(?:so|thus|hence|therefore|which\s+means)\b|[,，;；]\s*(?:所以|因此)", re.IGNORECASE
)
COMPARED = re.compile(r"\s+(?:\w+\s+)?(?:\w+er|more|less)\s+than\b", re.IGNORECASE)
# ", which is 50 less than 350" and "，比原价50元便宜10元" compare the answer with something else.
COMPARISON = re.compile(
    r"(?<=[0-9元个人岁米克])[，,]\s*比[^，,。；;\n]*"
    r"|,\s*(?:which|that|and\s+that)\s+(?:is|was|are|were)\s+[^,.;\n]{0,40}?\b(?:\w+er|more|less)\s+than\b[^,;\n]*",
    re.IGNORECASE,
)
# "5, because 5 + 2 = 7": what follows explains what was said before.
REASON = re.compile(r"\s*[,，]?\s*(?:\bbecause\b|\bsince\b|因为)", re.IGNORECASE)
# "I think it's 10. Or 12."
OR_ELSE = re.compile(r"\W*(?:or|maybe|perhaps|possibly)\b|\W*(?:或者|也许|可能)", re.IGNORECASE)
HEDGED = re.compile(
    r"\b(?:could|might|may)\s+(?:also|just\s+as\s+well|equally|well)\s+be\b|\bor\s+(?:maybe|perhaps|possibly)\b|\balternatively\b"
    r"|也可能|或许是|也许是",
    re.IGNORECASE,
)
# "It would be 12 without the extra two" says nothing of what it is.
SUPPOSED = re.compile(r"\bwould\s+(?:be|have\s+been)\b[^,;\n]{0,120}\bwithout\b", re.IGNORECASE)
PERCENT = re.compile(r"\s*(?:%|percent|per\s+cent|个百分点)", re.IGNORECASE)
# "More than 5", "x > 3" and "5+" say no number.
BOUND_BEFORE = re.compile(
    r"(?:\b(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger)\s+than|\b(?:under|below|above|up\s+to|over|exceeds|beyond)"
    r"|(?<![-=])>|<|[≤≥]|\\(?:leq?|geq?|lt|gt)|超过|不到|不足|少于|多于|大于|小于|高于|低于)\s*[$€£¥]?\s*$",
    re.IGNORECASE,
)
BOUND_AFTER = re.compile(
    r"\s?(?:\+(?!\s*[$0-9(A-Za-z])|以上|以下|多(?=[个人元天年只本米]))|(?:\s+\w+){0,2}\s+or\s+(?:more|less|fewer|greater|higher|lower)\b"
    r"|\s*(?:<(?!/|[A-Za-z]{2})|[≤≥]|(?<![-=])>|\\(?:leq?|geq?|lt|gt)(?![a-z]))",
    re.IGNORECASE,
)
# "The answer is 3. Wait, I forgot two."
TAKEN_BACK = re.compile(
    r"(?:(?m:^)|[.!?…,;—–]\s*|\b(?:hmm|oh|no),?\s+)(?:wait|hold\s+on|oops|actually)\b\s*[,.!:—–…-]|\bscratch\s+that\b"
    r"|\bcorrection\s*:|(?:\.\.\.|…|[—–])\s*(?:no|sorry)\b\s*,|\bI(?:'ve|\s+have)?\s+(?:made|forgot|miscounted|miscalculated|misread)\b"
    r"|\bmy\s+mistake\b|不对[，,。]|更正[：:]|等等[，,]",
    re.IGNORECASE,
)
# What begins after a number that is alone on the first line, as a reason for it.
EXPLAINS = re.compile(
    r"\W*(?:explanation|explained|reason\w*|because|since|step|steps|solution|proof|why|working|work|calculation|here'?s|to\s+(?:find|get|solve)"
    r"|let'?s|first|we\b|there\s+(?:is|are|were|was)|解释|解析|理由|因为|过程|步骤)",
    re.IGNORECASE,
)
# What follows the answer in {"answer": 18, "confidence": 0.9}.
NEXT_FIELD = re.compile(r",\s*(?:(['\"])\w[\w -]{0,40}\1|[a-z_]{2,40})\s*:(?=\s)")
# "Tom: 3" and "(i) 3" on lines of their own: several answers, where the last line is no total.
NUMBER_OF = re.compile(
    r"(?m:^)[^\w\n(]*(?P<label>\(?[^\n:：=]{1,40}?(?:[:：.)]|\*\*|[^\S\n]\|)+)[^\S\n]*(?P<number>(?:\*\*)?[$€£¥]?[-−]?[0-9][0-9,]*(?:\.[0-9]+)?)[^\S\n]*"
    r"(?:%|[A-Za-z一-鿿]{0,12})(?:\*\*)?[.。;,]?(?:[^\S\n]*\|)?[^\S\n]*(?:\n|\Z)"
)
TOTAL = re.compile(
    r"total|sum\b|result|answer|differ|average|mean|remain|left|profit|final|altogether|change|overall|combined|net\b|conclusion|output"
    r"|solution|therefore|thus|so\b|合计|总|共|结果|答|剩|差|平均|利润|因此|所以|step|步",
    re.IGNORECASE,
)
# "That is 15 more than the bus needs", after the answer.
ONLY_COMPARED = re.compile(
    r"^\W*(?:that|this|it)(?:'s|\s+(?:is|was|makes))\b[^.!?\n]{0,60}?\b(?:\w+er|more|less)\s+than\b|^\W*(?:这|那)?比",
    re.IGNORECASE,
)
# "Part (a): 5", "(b) 7".
PARTS = re.compile(
    r"(?:\bpart\s*\(?[a-d1-4]\)?|(?<![\w)])\([a-d]\))\s*[:=]?\s*(?:(?:the\s+)?answer\s+)?(?:is\s+)?[$€£]?(?P<number>[-−]?[0-9][0-9,.]*)",
    re.IGNORECASE,
)
# "x = 12": a variable and a number that is no part of a larger formula.
ASSIGNED = re.compile(
    r"(?<![A-Za-z0-9_\\^])(?<![-+*/×÷]\s)([A-Za-z](?:_\{?\w+\}?)?)\s*=\s*([-−]?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?:/[0-9]+)?)"
    r"(?![0-9A-Za-z]|\.[0-9]|\s*[-+−*/×÷^=(\\])"
)
DROPPED = re.compile(
    r"[^.;。；\n]{0,40}?\b(?:reject\w*|extraneous|discard\w*|invalid|not\s+valid|impossible|inadmissible|ruled\s+out"
    r"|does\s+not|doesn't|cannot|negative)\b|[^。；\n]{0,12}(?:舍去|舍|不合|无效)",
    re.IGNORECASE,
)
LISTED = re.compile(r"\W*(?:,|;|\band\b|\bor\b|、|，|和|或)\W*", re.IGNORECASE)
NUMBERED = re.compile(
    r"\b(?:chapter|figure|fig|page|section|room|question|problem|step|part|table|line|day|no|method|approach"
    r"|attempt|scenario|trial|equation|eq)\.?\s+$",
    re.IGNORECASE,
)
VARIABLE_BEFORE = re.compile(r"(?<![A-Za-z])[A-Za-z]\s*[-+−*/×÷]\s*$")
VARIABLE_AFTER = re.compile(r"\s*[-+−*/×÷]\s*[A-Za-z](?![A-Za-z])")
# What follows a number whose last digit is there.
FINISHED = re.compile(r"[^0-9.,/]|[.,/](?![0-9])(?=.)", re.DOTALL)
