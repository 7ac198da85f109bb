"""The words of Spanish, without accents except in `past`."""

from extract_todos.days.words import Rule, Words

DAYTIME = r"manana|tarde|noche|mediodia|medianoche|madrugada"
# "por la mañana" is the morning, "mañana" is tomorrow.
IN_THE = rf"(?:por|en|a|de|durante) la (?:{DAYTIME})|al? (?:mediodia|medianoche)|temprano"
NEXT_WEEK = r"(?:la )?(?:proxima semana|semana (?:que viene|proxima|siguiente|entrante))"
DAY_ENDS = r"(?= ?(?:$|[.,;:!?)]|a las|por la|en la)(?!\w))"

SPANISH = Words(
    common="""el la los las un una de del y yo tu ella nosotros ellos es son esta estan voy va vamos tengo
        tiene para por con en a al que se me te lo nos mi su sus este esos no si pero como hay antes
        despues desde hasta manana hoy lunes hare enviare tener hacer muy ya o ser""",
    weekdays=("lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo"),
    weekdays_short=("lun", "mar", "mie", "jue", "vie", "sab", "dom"),
    months=(
        "enero|ene",
        "febrero|feb",
        "marzo",
        "abril|abr",
        "mayo",
        "junio|jun",
        "julio|jul",
        "agosto",
        "septiembre|setiembre|sept?",
        "octubre|oct",
        "noviembre|nov",
        "diciembre|dic",
    ),
    shy_months=r"(?!)",
    numbers="una|uno|un|1 dos tres cuatro cinco seis siete ocho nueve diez once doce",
    days="""primero|uno|1ro|1o dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce
        quince dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintidos veintitres
        veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve treinta treinta.y.uno""",
    year=r",? (?:de |del |del ano |de este )?",
    on=r"el|para el|el dia|antes del",
    article=r"(?:el )?(?:dia )?",
    rules=(
        Rule("vague", r"entre|(?:por|durante) {n} (?:dias?|semanas?)"),
        Rule(
            "neutral",
            r"no (?:\w{2} )?olvid\w+|no mas tarde (?:de|del)|no hay problema|sin falta|no solo|por que no"
            r"|a mas tardar",
        ),
        Rule("date", r"{w?}(?:el )?(?:dia )?{d}(?:\.|er|ro|o)?(?: de)? {m}\.?{y}"),
        Rule("date", r"{w?}{m} {d}{y}|(?:el )?{dd} del {mm}(?! ?\d)"),
        Rule("day_of_month", rf"{{w}},? (?:el )?(?:dia )?{{d}}{DAY_ENDS}"),
        Rule("day_of_month", rf"el dia {{d}}{DAY_ENDS}|para el (?:dia )?{{d}}{DAY_ENDS}|^el {{d}}$"),
        Rule("ahead", r"pasado manana", 2),
        Rule("vague", r"(?:de|el|cada|toda|una|otra|las?|buena|muy de) mananas?(?! por la)|mananas"),
        Rule("neutral", r"(?:por|en|a|durante|de) la manana|ayer por la manana|tarde o temprano"),
        Rule(
            "vague",
            r"esta manana|hora de \w+|manana (?:o|y) pasado(?: manana)?|manana en ocho"
            r"|de hoy en (?:ocho|quince)",
        ),
        Rule("ahead", rf"manana(?: mismo)?(?: (?:{IN_THE}))?"),
        Rule("ahead", rf"hoy(?: mismo)?(?: (?:{IN_THE}))?|esta (?:noche|tarde)|este mediodia", 0),
        # "ocho días" are a week, "quince días" two.
        Rule("vague", r"(?:en|dentro de|de aqui a) (?:8|ocho|15|quince) dias?"),
        Rule("ahead", r"(?:en |dentro de )?{n} dias? a partir de (?:hoy|ahora)|(?:en|dentro de) {n} dias?"),
        Rule("ahead", r"(?:en|dentro de) {n} semanas?", 7),
        Rule("weekday_and_week", r"(?:el )?{w} (?:en una|dentro de una) semana"),
        Rule(
            "weekday_next_week",
            rf"(?:el )?{{w}},? (?:de )?{NEXT_WEEK}|{NEXT_WEEK},? (?:el )?{{w}}",
        ),
        Rule(
            "this_weekday",
            r"este {w}(?! (?:que viene|proximo))|(?:el )?{w} de esta semana"
            r"|esta semana,? el {w}",
        ),
        Rule(
            "next_weekday",
            r"(?:el |este )?{w} (?:que viene|proximo|entrante|siguiente)"
            r"|(?:el )?proximo {w}",
        ),
        Rule(
            "vague",
            r"(?:santo|placido|don|san) domingo|viernes santo|jueves santo|{w} (?:de ceniza"
            r"|de ramos|de pascua)",
        ),
        Rule("neutral", r"(?<!el )(?<!este )(?<!^)domingo"),
        Rule("weekday", r"(?:el |^){s}\.(?=$|[ ,;])"),
        Rule("weekday", rf"(?:el )?{{w}}(?: (?:{IN_THE}))?"),
        Rule(
            "vague",
            r"(?:cada|todos los|los|un|algun) {w}|sabados|domingos|semanas?|fin(?:es)? de semana"
            r"|mes(?:es)?|anos?|trimestres?|dias|hace"
            r"|(?:el|del|al) (?:dia )?{d}(?! de la|[./-]\d)|ayer|anteayer|no|nunca|jamas|ningun\w*|ni"
            r"|tampoco|quincena|en 20\d\d|pasado"
            r"|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre"
            r"|diciembre",
        ),
    ),
    not_after_these=r"""
        para (?:la|el|mi|nuestr[ao]|una?) \w+|antes del?|despues del?|desde|hasta|a partir del?|del|de
        |entre|sobre|hacia|alrededor del?|tras|cada|cada \w+|todoslos|los|ultimo|primer|segundo|tercer
        |cuarto|pasado|un|una|algun|cualquier|otro|emp\w*ando|comenzando|iniciando|empieza|comienza
        |tal vez|quiza|quizas|excepto|salvo|menos|como|aproximadamente|a|al|y|o|desde este|las|unos
        |anterior|mediados de|principios de|finales de|fines de|pasados?|uno de estos""",
    not_before_these=r"""
        y (?:medi[ao]|\d+ (?:horas?|minutos?))|pasado|negro|anterior|(?:de )?(?:dos )?mil|santo|o|al|hasta
        |en (?:una|dos|tres|cuatro|\d+|ocho|quince)|dentro de|siguiente|despues|antes|de (?!la manana
        |la tarde|la noche|manera|forma)|del|y (?:pasado|todos|cada)|no(?=$|[.,;!])""",
    past=r"""
        como (?:acordamos|acordado|quedamos|hablamos|prometí|dije|dijimos)|ayer|anteayer|anoche|pasada?
        |fue|fui|fuimos|fueron|era|eran|estuv\w+|tuve|tuvo|tuvimos|hice|hizo|dije|dijo|dijimos|vi|vino
        |puse|quise|\w{2,}(?<!r)(?<!caf)(?<!qu)(?<!jos)(?<!beb)é|\w{2,}ó|\w{3,}(?:aron|ieron|aste|iste|aba
        |aban)|(?:he|has|ha|hemos|han|había) (?:\w+ )?\w+(?:ado|ido|cho|sto|rto|ito)""",
)
