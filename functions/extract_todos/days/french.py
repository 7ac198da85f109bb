"""The words of French, without accents except in `past`."""

from extract_todos.days.words import Rule, Words

DAYTIME = r"matin|apres.midi|aprem|soir|soiree|midi|minuit|nuit|matinee"
NEXT_WEEK = r"(?:la )?semaine (?:prochaine|suivante|qui vient)"
DAY_ENDS = rf"(?= ?(?:$|[.,;:!?)]|au (?:{DAYTIME})|a \d)(?!\w))"

FRENCH = Words(
    common="""le la les un une des du de je j'ai tu il elle on nous vous ils elles est suis sont et pour avec
        dans sur ce cette ces mon ma mes ton ta son sa ses notre votre leur ne pas que qui se me te lui
        au aux d'ici en je'm m'en avant apres jusqu'a depuis a partir faut dois va vais plus tard demain
        aujourd'hui y ou l' d' n' qu' j' m' s' c'""",
    weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    weekdays_short=("lun", "mar", "mer", "jeu", "ven", "sam", "dim"),
    months=(
        "janvier|janv|jan",
        "fevrier|fevr|fev",
        "mars",
        "avril|avr",
        "mai",
        "juin",
        "juillet|juil",
        "aout",
        "septembre|sept",
        "octobre|oct",
        "novembre|nov",
        "decembre|dec",
    ),
    shy_months="sept|jan|mars",
    numbers="une|un|1 deux trois quatre cinq six sept huit neuf dix onze douze",
    days="""premier|1er deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze
        seize dix.sept dix.huit dix.neuf vingt vingt.et.un vingt.deux vingt.trois vingt.quatre
        vingt.cinq vingt.six vingt.sept vingt.huit vingt.neuf trente trente.et.un""",
    year=r",? (?:de l'an(?:nee)? )?",
    on=r"le|pour le|d'ici le|d'ici au|au plus tard le|au",
    article=r"(?:le )?",
    rules=(
        Rule("vague", r"entre|(?:pendant|pour|durant|sous) {n} (?:jours?|semaines?)"),
        Rule(
            "neutral",
            r"n'?(?:e )?(?:pas )?oubli\w+(?: pas)?|pas plus tard que|pas de (?:probleme|souci)s?"
            r"|de nos jours"
            r"|ne manqu\w+ pas",
        ),
        Rule("date", r"{w?}(?:le )?{d}(?:er)? (?:de )?{m}\.?{y}"),
        Rule("day_of_month", rf"{{w}},? le {{d}}{DAY_ENDS}|{{w}} {{d}}{DAY_ENDS}"),
        Rule(
            "day_of_month",
            rf"(?:pour|d'ici|au plus tard|d'ici a) le {{d}}{DAY_ENDS}"
            rf"|d'ici au {{d}}{DAY_ENDS}",
        ),
        Rule("day_of_month", rf"le {{d}} au (?:{DAYTIME})|^le {{d}}$"),
        Rule("ahead", r"apres.demain", 2),
        Rule(
            "vague",
            r"(?:demain|aujourd'? ?hui|{w}) en (?:quinze|15)|avant.hier|l'avant.veille"
            r"|la veille|hier",
        ),
        Rule("vague", r"(?:demain|aujourd'? ?hui) en (?:huit|8)|(?:le )?lendemain|surlendemain"),
        Rule("vague", r"ce matin|cette matinee|heure d[e'] ?\w+|(?:cette|en pleine|dans la) nuit"),
        Rule("ahead", r"demain"),
        Rule("ahead", r"aujourd'? ?hui|ce (?:soir|midi)|cet(?:te)? (?:aprem|apres.midi|soiree)", 0),
        # "huit jours" is a week, and "quinze jours" are two.
        Rule("vague", r"(?:dans|d'ici|sous|a|en) (?:8|huit|15|quinze) jours?"),
        Rule("ahead", r"dans {n} jours?"),
        Rule("ahead", r"dans {n} semaines?", 7),
        Rule("weekday_and_week", r"{w} (?:en huit|en 8|dans (?:une|1) semaine)"),
        Rule(
            "weekday_next_week",
            rf"(?:le )?{{w}},? (?:de )?{NEXT_WEEK}|{NEXT_WEEK},? (?:le )?{{w}}",
        ),
        Rule(
            "this_weekday",
            r"ce {w}(?! (?:prochain|qui vient))|{w} (?:de )?cette semaine"
            r"|cette semaine,? {w}",
        ),
        Rule("next_weekday", r"(?:le |ce )?{w} (?:prochain|qui vient)|(?:le )?prochain {w}"),
        # "le lundi" is every Monday.
        Rule("vague", r"(?:le|un|chaque|du|au) {w}"),
        Rule("weekday", r"^{s}\.$"),
        Rule("weekday", rf"{{w}}(?: (?:{DAYTIME}))?"),
        Rule(
            "vague",
            r"(?:lun|mar|mercre|jeu|vendre|same)dis|dimanches|semaines?|week.?ends?|mois|annees?|ans?"
            r"|trimestres?"
            r"|jours|(?:le|pour le|du|au) {d}(?![./-]\d)|il y a|pas|jamais|aucun|ne|n'\w+|ni|quinzaine"
            r"|huitaine|en 20\d\d|en mars|fin mars|debut mars"
            r"|mi.mars|janvier|fevrier|avril|mai|juin|juillet|aout|septembre|octobre|novembre|decembre",
        ),
    ),
    not_after_these=r"""
        (?:pour|avant|a) (?:la|le|l'|ma|mon|notre|une?) ?\w+|avant|apres|depuis|des|du|de|d'|jusqu'a
        |jusqu'au|jusque|(?<!d'ici )a|au|partir de|partir du|entre|vers|environ|autour de|autour du|chaque
        |tous les|tout|toute|dernier|premier|deuxieme|second|troisieme|prochain|un|une|les|ces|quel
        |peut.etre|sauf|hors|autre|passe|courant|debut|fin|mi|mardi gras|durant|pendant|ou|avant le
        |apres le|lors du|monsieur|madame|(?<!plus )tard|la""",
    not_before_these=r"""
        et (?:demie?|\d+ (?:heures?|minutes?))|dernier|passe|deux mille|mille|dix.neuf|a dix.neuf
        |precedent|suivant|gras|saint|de (?!bon)|d'apres|d'avant|ou|au(?! plus)|jusqu'\w+|en (?:huit
        |quinze|8|15)|dans|ou plus tard|a minuit|avant|apres|et (?:apres|tous)|des|du""",
    past=r"""
        comme (?:convenu|discuté|promis|prévu|dit|annoncé)|hier|avant-hier|dernière?|passée?|étais|était
        |étaient|avais|avait|avaient|fut|il y a|(?:[jlmtns]')?(?:ai|as|a|avons|avez|ont|suis|est|sommes
        |êtes|sont|s'est|été) (?:(?:déjà|bien|été|\w+ment) )?(?:\w{2,}é(?:e?s?)|fait|dit|vu|eu|pris|mis
        |reçu|écrit|promis|fini|rendu|perdu|lu|venue?s?|partie?s?|sortie?s?|envoye|appele|parle|rencontre
        |signe|paye|termine|commence|demande)""",
)
