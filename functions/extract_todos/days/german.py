"""The words of German, without accents except in `past`. Umlauts may be spelled with an e."""

from extract_todos.days.words import Rule, Words

DAYTIME = (
    r"fruh|frueh|morgens?|vormittags?|mittags?|nachmittags?|abends?|nachts?|spatabend|mitternacht"
    r"|in der fruh|in der"
    r" fruehe?"
)
COMING = r"kommende[rnsm]?"
NEXT = r"na(?:e)?chste[rnsm]?"
# A compound: Montagabend.
W = r"{w}(?:" + DAYTIME.replace("s?", "") + r")?"
DAY_ENDS = r"(?= ?(?:$|[,;:!?)]|um \d|abends|fruh|morgens|mittags|fallig)(?!\w))"

GERMAN = Words(
    common="""der die das den dem des ein eine einen einem einer und ich du er sie wir ihr es ist bin sind war
        wird werde werden zu zum zur mit fur fuer auf von vom bis nicht kein keine auch noch dann wenn
        dass muss soll kann will mir mich dir dich uns euch sich mein meine sein seine am im an bei nach
        vor ab seit um heute morgen ubermorgen uebermorgen gegen spatestens in habe hat""",
    weekdays=("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag|sonnabend", "sonntag"),
    weekdays_short=("mo", "di", "mi", "do", "fr", "sa", "so"),
    months=(
        "januar|jan(?:ner)?|jaenner",
        "februar|feb|feber",
        "marz|maerz|mar|mrz",
        "april|apr",
        "mai",
        "juni|jun|juno",
        "juli|jul",
        "august|aug",
        "september|sept?",
        "oktober|okt",
        "november|nov",
        "dezember|dez",
    ),
    shy_months="jan|mar",
    numbers="eine[rmnsr]?|ein|1 zwei|zwo drei vier fu(?:e)?nf sechs sieben acht neun zehn elf zwo(?:e)?lf",
    days="""erste[rn]? zweite[rn]? dritte[rn]? vierte[rn]? fu(?:e)?nfte[rn]? sechste[rn]? siebte[rn]?
        achte[rn]? neunte[rn]? zehnte[rn]? elfte[rn]? zwo(?:e)?lfte[rn]? dreizehnte[rn]? vierzehnte[rn]?
        fu(?:e)?nfzehnte[rn]? sechzehnte[rn]? siebzehnte[rn]? achtzehnte[rn]? neunzehnte[rn]?
        zwanzigste[rn]? einundzwanzigste[rn]? zweiundzwanzigste[rn]? dreiundzwanzigste[rn]?
        vierundzwanzigste[rn]? fu(?:e)?nfundzwanzigste[rn]? sechsundzwanzigste[rn]?
        siebenundzwanzigste[rn]? achtundzwanzigste[rn]? neunundzwanzigste[rn]? drei(?:ss|s)igste[rn]?
        einunddrei(?:ss|s)igste[rn]?""",
    year=r",? (?:im jahr(?:e)? )?",
    on=r"am|fur|fuer|fur den|fuer den|bis|bis zum|zum|den|spatestens|spaetestens|bis spa(?:e)?testens",
    article=r"(?:am |den |der |dem )?",
    rules=(
        Rule("vague", r"zwischen|(?:fur|fuer) {n} (?:tage?|wochen?)"),
        Rule(
            "neutral",
            r"nicht (?:zu )?vergessen|vergiss (?:\w+ )?nicht|nicht spa(?:e)?ter als"
            r"|kein(?:e)? (?:problem|sorge|stress)"
            r"|nicht nur|warum nicht",
        ),
        Rule("date", r"{w?}(?:am |den |der |dem |zum )?{d}\.?(?:te[rn]?)? {m}\.?{y}"),
        Rule("date", r"{w?}(?:am |den |der |dem |zum )?{d}\.{m}\.?{y}"),
        Rule("day_of_month", rf"{{w}},? (?:den|dem|der) {{d}}(?:\.|te[rn]?){DAY_ENDS}"),
        Rule("day_of_month", rf"(?:am|zum|bis|bis zum) {{d}}(?:\.|te[rn]?){DAY_ENDS}"),
        Rule("ahead", rf"u(?:e)?bermorgen(?: ?(?:{DAYTIME}))?", 2),
        Rule("vague", r"heute nacht|(?:heute|morgen|u(?:e)?bermorgen) u(?:e)?ber"),
        # "acht Tage" are a week.
        Rule("vague", r"(?:heute )?in (?:8|acht) tagen?"),
        Rule("ahead", r"(?:(?:heute|von heute an) )?in {n} tag(?:en)?"),
        Rule("ahead", r"(?:(?:heute|von heute an) )?in {n} wochen?", 7),
        Rule("ahead", r"(?:heute )?in vierzehn tagen", 14),
        Rule("vague", r"heute (?:morgen|fruh|frueh|vormittag)"),
        Rule("ahead", rf"heut(?:e)?(?: ?(?:{DAYTIME}))?", 0),
        Rule(
            "neutral",
            r"(?:am|guten|schonen|schoenen|diesen|diesem|der|den|dem|des|vom|zum|gegen|gestern|eines"
            r"|jeden|fruhen"
            r"|fruehen|ganzen|ein|einen|nachsten|naechsten|am na(?:e)?chsten|am fru(?:e)?hen"
            r"|am spa(?:e)?ten|moin"
            r"|in den|fru(?:e)?her|letzten) morgen",
        ),
        Rule("ahead", rf"morgen(?: ?(?:{DAYTIME}))?|am morgigen tag"),
        Rule("weekday_and_week", rf"(?:am )?{W} in (?:einer|1) woche"),
        Rule(
            "weekday_next_week",
            rf"(?:am )?{W},? (?:(?:in )?der )?(?:{NEXT}|{COMING}) woche"
            rf"|(?:in der )?(?:{NEXT}|{COMING}) woche,? (?:am )?{W}",
        ),
        Rule("coming_weekday", rf"(?:am |diesen |bis zum )?{COMING} {W}"),
        Rule(
            "this_weekday",
            rf"diese[nmr] {W}|(?:am )?{W},? (?:in )?diese[rn]? woche"
            rf"|diese woche,? (?:am )?{W}",
        ),
        Rule("next_weekday", rf"(?:am |bis zum )?{NEXT} {W}"),
        Rule("weekday", rf"(?:am |bis zum |zum )?{W}(?: (?:{DAYTIME}))?"),
        Rule("weekday", r"^{s}\.$"),
        Rule("weekday", r"am (?:{s})\.?(?= ?(?:$|[,;:!?)]|um \d)(?!\w))"),
        Rule(
            "vague",
            r"(?:mon|diens|donners|frei|sams|sonn)tags\w*|mittwochs|sonnabends|\w*wochen?|wochenenden?"
            r"|monate?[ns]?|jahre?[ns]?|quartals?|tagen?"
            r"|(?:am|zum|den|vom) {d}(?:\.(?! ?\d)|te[rn]?)?(?![./-]\d|\. ?\d)|gestern|vorgestern|nicht"
            r"|nie(?:mals)?|kein\w*|weder|vor \w+ (?:tagen?|wochen?)|anfang|mitte|ende"
            r"|januar|februar|marz|maerz|april|mai|juni|juli|august|september|oktober|november|dezember",
        ),
    ),
    not_after_these=r"""
        (?:fur|fuer|zum|zur|beim) (?:(?:das|den|die|dem|der|mein\w*|unser\w*|ein\w*) )?\w+|vor|vor dem
        |vorm|nach|nach dem|seit|seit dem|ab|ab dem|auf|auf den|von|vom|zwischen|gegen|ungefahr|ungefaehr
        |etwa|circa|ca\.?|rund um|um den|jede[nmrs]?|jede[nmrs]? (?:zweiten|dritten)|alle|letzte[nmrs]?
        |vergangene[nmrs]?|vorige[nmrs]?|erste[nmrs]?|zweite[nmrs]?|dritte[nmrs]?|vierte[nmrs]?
        |u(?:e)?berna(?:e)?chste[nmrs]?|folgende[nmrs]?|darauffolgende[nmrs]?|irgend\w*|eine[nmrs]?|ein
        |alle \w+|vielleicht|eventuell|evtl\.?|ausser|bis auf|statt|oder|anfang|mitte|ende|herr|herrn|frau
        |dr\.?|der|des|die|ausser am|wie|an jedem|einem|fruhestens|fruehestens|fru(?:e)?hestens am
        |ab kommenden|ab na(?:e)?chsten|dieser|andere[nmrs]?|familie|diese[rsn]?|nicht vor|fast""",
    not_before_these=r"""
        und (?:\d+ (?:stunden?|minuten?)|einen halben)|oder|bis(?! spa)|in (?:einer|einem|zwei|drei|vier
        |\d+|acht|vierzehn)|vor (?:einer|zwei|\d+)|u(?:e)?ber|nach|vor|ab|fru(?:e)?hestens|des|der|im
        |letzte[rn]?|vergangene[rn]?|vorige[rn]?|u(?:e)?berna(?:e)?chste[rn]?|um (?:24|0|mitternacht)
        |darauf|danach|und (?:jeden|danach)|an(?=$|[.,;])""",
    past=r"""
        wie (?:besprochen|vereinbart|versprochen|angekündigt|gesagt|abgemacht)|war|waren|wurde|wurden
        |hatte|hatten|gestern|vorgestern|letzten?|vergangene[nmrs]?|(?:habe?|haben|habt|hat|bin|sind|ist
        |seid) .{0,80}\b(?:\w{0,5}ge\w{3,}(?:t|en)|(?:be|ver|er|ent)\w{3,}(?<!z)t|\w{3,}iert|getan
        |besprochen|versprochen|erhalten|bekommen)|ging|kam|sagte|schickte|rief|traf|sah|gab|fand|stand
        |schrieb|sprach|machte""",
    dotted=True,
)
