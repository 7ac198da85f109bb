"""The words of English."""

from extract_todos.days.words import Rule, Words

DAYTIME = r"morning|afternoon|evening|night|noon|lunchtime|midday|midnight"
# What may follow "by the 15th". It excludes "by the 15th floor".
DAY_ENDS = rf"(?= ?(?:$|[.,;:!?)]|at|in the (?:{DAYTIME})|(?:{DAYTIME})|latest|i|we|please)(?!\w))"
ORDINAL = r"(?:st|nd|rd|th)"
NEXT_WEEK = r"(?:the )?(?:next|following|coming) week"

ENGLISH = Words(
    common="""the i i'll i'm i've we we'll you he she they it it's is am are be will shall to and of for with
        by on at this that my our your his her their me us him them not no don't can must should need
        have has please as from or but if until before after tomorrow today tonight next in a an""",
    weekdays=("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    weekdays_short=("mon", "tues?", "weds?", "thu(?:rs?)?", "fri", "sat", "sun"),
    months=(
        "january|jan",
        "february|feb",
        "march|mar",
        "april|apr",
        "may",
        "june|jun",
        "july|jul",
        "august|aug",
        "september|sept?",
        "october|oct",
        "november|nov",
        "december|dec",
    ),
    shy_months="march|mar|may",
    numbers="one|an?|1 two three four five six seven eight nine ten eleven twelve",
    days="""first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
        fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty.first
        twenty.second twenty.third twenty.fourth twenty.fifth twenty.sixth twenty.seventh twenty.eighth
        twenty.ninth thirtieth thirty.first""",
    year=r" ?,? (?:of )?",
    on=r"on|by|due|due by",
    article=r"(?:on )?(?:the )?",
    rules=(
        Rule(
            "vague",
            r"between|w/c|week commencing|(?:for|over|within|take"
            r"|takes) (?:the )?{n} (?:days?|weeks?)",
        ),
        Rule(
            "neutral",
            r"(?:do not|don't|never|must not|mustn't|won't|will not|can't|cannot) forget|not? later than"
            r"|no (?:problem|worries|doubt|matter)|not only|if not sooner|if not earlier|why not"
            r"|had better|better late than never|second thoughts?",
        ),
        Rule("date", r"{w?}(?:the )?{d}" + ORDINAL + r"?(?: day)? of {m}\.?{y}"),
        Rule("date", r"{w?}(?:the )?{d}" + ORDINAL + r"?,? {m}\.?{y}"),
        Rule(
            "date",
            r"{w?}{m}\.? (?:the )?{d}" + ORDINAL + r"?(?! ?(?:[ap]\.?m\b|%|o'clock|hours"
            r"|people)){y}",
        ),
        Rule(
            "day_of_month",
            rf"{{w}},? (?:on )?the {{d}}(?:{ORDINAL})?(?! of\b)|{{w}},? {{d}}{ORDINAL}(?! of\b)",
        ),
        Rule("day_of_month", rf"(?:on|by) the {{d}}{ORDINAL}{DAY_ENDS}"),
        Rule("day_of_month", rf"^the {{d}}{ORDINAL}$"),
        Rule("ahead", r"(?:the )?day after tomorrow", 2),
        Rule("vague", r"tomorrow (?:week|fortnight)|(?:the )?(?:day|week|month|night)s? (?:before|after)"),
        Rule("vague", r"\w+ from tomorrow"),
        Rule("ahead", r"tomorrow"),
        # It is mostly about the past.
        Rule("vague", r"this morning"),
        Rule("ahead", rf"today|tonight|this (?:very )?(?:{DAYTIME})", 0),
        Rule("ahead", r"(?:in )?{n} days?(?: time|' time)? from (?:now|today)|in {n} days?(?:'? time)?"),
        Rule(
            "ahead",
            r"(?:in )?{n} weeks?(?:'? time)? from (?:now|today)"
            r"|in {n} weeks?(?:'s?)?(?: time)?",
            7,
        ),
        Rule("ahead", r"in a fortnight(?:'s time)?|a fortnight from (?:now|today)", 14),
        Rule("weekday_and_week", r"(?:a|one) week (?:from|on) {w}|{w} week|(?:a|one) week {w}"),
        Rule("weekday_next_week", rf"{{w}},? (?:of |in )?{NEXT_WEEK}|{NEXT_WEEK},? (?:on )?{{w}}"),
        Rule("coming_weekday", r"(?:this )?coming {w}|{w} coming"),
        Rule("this_weekday", r"this {w}|{w} (?:of |in )?this week|this week,? (?:on )?{w}"),
        Rule("next_weekday", r"next {w}|{w} next"),
        Rule("weekday", r"^{s}\.$"),
        Rule("weekday", rf"{{w}}(?: (?:{DAYTIME}))?"),
        Rule("weekday", rf"(?:on|by|due) {{s}}\.?(?= ?(?:$|[,;:!?)]|at|(?:{DAYTIME}))(?!\w))"),
        Rule(
            "vague",
            r"(?:mon|tues|wednes|thurs|fri|satur|sun)days|(?:black|good|easter|ash|cyber|palm|holy"
            r"|maundy|blue|whit|trinity|shrove|ruby) {w}"
            r"|week(?:end)?s?|fortnights?|months?|years?|quarters?|days|ago|yesterday|not|never|no"
            r"|cannot|\w+n't"
            r"|neither|nor|weekdays?|workdays?|in 20\d\d|(?:on|by|the) (?:the )?\d\d?(?:st|nd|rd|th)"
            r"|(?:in|next|last|of|by|until|since|mid.?|early|late) (?:march|may)(?! be\b)"
            r"|january|february|april|june|july|august|september|october|november|december",
        ),
    ),
    not_after_these=r"""
        for (?:the|my|our|your|his|her|their|an?) \w+(?: \w+)? on|before|after|since|until|till|'?til|from
        |starting|beginning|commencing|effective|as of|past|prior to|ahead of|around|about|approximately
        |approx\.?|circa|ca\.?|roughly|near|towards?|mid|early|late|almost|maybe|possibly|perhaps|probably
        |like|last|next|previous|every|each|every (?:other|second|single)|all|first|second|third|fourth
        |fifth|final|other|another|any|some|one|an?|the|which|what|following|(?<!later )than|except|but
        |over|of|dated|between|through|per|both|either|within|past the|after the|before the|mr|mrs|ms
        |before on|to|through|thru|every \w+|previously|casual|super|as|called|named|in""",
    not_before_these=r"""
        and (?:a half|\d+ (?:hours?|minutes?))|school|times|church|'s?|or|to|thru|through|till|until
        |onwards?|ish|before|after|last|past|weeks?|fortnight|following|afterwards|at (?:12
        |midnight)(?! ?(?:pm|noon))|mornings|afternoons|evenings|nights|two thousand|twenty|nineteen
        |\w+teen|at the earliest|earliest|and (?:every|each|again|beyond|after)|of|from|in (?:\d+|two
        |three|four|a|one|the|\w+ weeks?|january|february|march|april|may|june|july|august|september
        |october|november|december)|ago|\.com|plus|\+|minus""",
    past=r"""
        as (?:discussed|agreed|promised|planned|said|mentioned)|was|were|wasn't|weren't|did|didn't|had
        |hadn't|ago|yesterday|last (?:week|month|year|night|time)|(?:i|we|he|she|they|you
        |who) (?:(?:already|just|also|only|\w+ly) )?(?:\w{2,}ed(?<!need)|sent|went|met|told|said|saw|got
        |made|gave|wrote|spoke|took|came|left|bought|paid|found|thought|began|held|kept|lost|ran|sat|sold
        |taught|won|heard|felt|knew|read|put)|(?:have|has|i've|we've|he's|she's|you've
        |they've) (?:(?:already|just|also|\w+ly) )?(?:been|sent|gone|met|told|said|seen|got|made|given
        |written|spoken|taken|come|left|bought|paid|found|done|held|\w{2,}ed)""",
    day_first=False,
    next_is_nearest=False,
)
