"""The fixed words of the daily mail, in English, French, German and Spanish.

They also replace the model's words if the model has none that are usable.
"""

# Typographic apostrophes and quotation marks are intended.
# ruff: noqa: RUF001

from dataclasses import dataclass

from mojodex.localized_dates import locale_for

# Phrases for none, for one, and for {n}.
Forms = tuple[str, str, str]


@dataclass(frozen=True)
class Words:
    """Fixed words of one language. `localized_dates` fills `{date}`.

    Attributes:
        language: code (en, fr, de, es).
        today: heading of today's list.
        moved: heading of the list of to-dos with a new date.
        planned_for: note of an overdue to-do; with {date}.
        moved_to: note of a to-do with a new date; with {date}.
        button: link to the web app.
        footer: explains why the user gets this mail.
        unsubscribe: link to the page that ends these mails.
        closing: the last sentence.
        pause: says that this is the last mail until the user does something in Mojodex.
        hello: greeting of a user without a name.
        hello_name: greeting; with {name}.
    """

    language: str
    today: str
    moved: str
    planned_for: str
    moved_to: str
    button: str
    footer: str
    unsubscribe: str
    closing: str
    pause: str
    hello: str
    hello_name: str
    subjects: Forms
    subjects_moved: Forms
    intro_today: Forms
    intro_moved: Forms
    more_todos: Forms
    todo_lines: tuple[str, ...]
    overdue_lines: tuple[str, ...]

    def subject(self, today: int, moved: int) -> str:
        """Return the subject for the numbers of to-dos today, and of moved ones."""
        return _count(self.subjects_moved, moved) if moved and not today else _count(self.subjects, today)

    def greeting(self, name: str | None) -> str:
        """Return the greeting; `name` may be None or empty."""
        return self.hello_name.format(name=name) if name else self.hello

    def intro(self, today: int, moved: int) -> str:
        """Tell the numbers of to-dos today, and of moved ones."""
        return f"{_count(self.intro_today, today)} {_count(self.intro_moved, moved)}".strip()

    def line(self, position: int) -> str:
        """Return a line for the to-do of today at this position; neighbours differ."""
        return self.todo_lines[position % len(self.todo_lines)]

    def overdue_line(self, position: int) -> str:
        """Return a line for the overdue to-do at this position; neighbours differ."""
        return self.overdue_lines[position % len(self.overdue_lines)]

    def more(self, left_out: int) -> str:
        """Return the end of a list that leaves out some to-dos; '' for none."""
        return _count(self.more_todos, left_out)


def _count(forms: Forms, number: int) -> str:
    return forms[min(number, 2)].format(n=number)


ENGLISH = Words(
    language="en",
    today="On your list today",
    moved="Moved to another day",
    planned_for="Planned for {date}",
    moved_to="Moved to {date}",
    button="Open Mojodex",
    footer="You get this message because the daily to-do list is switched on in your Mojodex account.",
    unsubscribe="Unsubscribe",
    closing="Have a good day!",
    pause="We have not seen you in Mojodex for two weeks, so these daily messages stop for now. Tick off a"
    " to-do or write to Mojo, and they start again.",
    hello="Hello,",
    hello_name="Hello {name},",
    subjects=("Your to-do list today", "One to-do for today", "{n} to-dos for today"),
    subjects_moved=("", "One to-do has a new date", "{n} to-dos have new dates"),
    intro_today=(
        "Nothing is on your list today.",
        "There is one to-do on your list today.",
        "There are {n} to-dos on your list today.",
    ),
    intro_moved=(
        "",
        "I moved one that was waiting to a later day.",
        "I moved {n} that were waiting to later days.",
    ),
    more_todos=("", "and 1 more in Mojodex", "and {n} more in Mojodex"),
    todo_lines=("A good one to tick off today.", "One step at a time.", "It will be nice to have this done."),
    overdue_lines=("Still there, no worry.", "Today could be the day.", "Worth a few minutes today?"),
)

# French typography has a narrow no-break space (U+202F) before ! and ?
FRENCH = Words(
    language="fr",
    today="À faire aujourd’hui",
    moved="Reporté à un autre jour",
    planned_for="Prévu le {date}",
    moved_to="Reporté au {date}",
    button="Ouvrir Mojodex",
    footer="Vous recevez ce message parce que l’envoi quotidien est activé dans votre compte Mojodex.",
    unsubscribe="Se désabonner",
    closing="Belle journée à vous\u202f!",
    pause="Nous ne vous avons pas vu sur Mojodex depuis deux semaines, et ces messages quotidiens s’arrêtent"
    " donc pour l’instant. Cochez une tâche ou écrivez à Mojo, et ils reprendront.",
    hello="Bonjour,",
    hello_name="Bonjour {name},",
    subjects=(
        "Votre liste du jour",
        "Une chose à faire aujourd’hui",
        "{n} choses à faire aujourd’hui",
    ),
    subjects_moved=(
        "",
        "Une chose à faire a une nouvelle date",
        "{n} choses à faire ont une nouvelle date",
    ),
    intro_today=(
        "Rien n’est prévu aujourd’hui.",
        "Une chose vous attend aujourd’hui.",
        "{n} choses vous attendent aujourd’hui.",
    ),
    intro_moved=(
        "",
        "J’ai reporté à plus tard une chose qui attendait.",
        "J’ai reporté à plus tard {n} choses qui attendaient.",
    ),
    more_todos=("", "et 1 autre dans Mojodex", "et {n} autres dans Mojodex"),
    todo_lines=("Un pas après l’autre.", "À cocher dès aujourd’hui.", "Ce sera une bonne chose de faite."),
    overdue_lines=(
        "Toujours là, rien de grave.",
        "Et si c’était pour aujourd’hui\u202f?",
        "Quelques minutes suffiront peut-être.",
    ),
)


GERMAN = Words(
    language="de",
    today="Heute auf Ihrer Liste",
    moved="Auf einen anderen Tag verschoben",
    planned_for="Geplant für {date}",
    moved_to="Verschoben auf {date}",
    button="Mojodex öffnen",
    footer="Sie erhalten diese Nachricht, weil die tägliche Liste in Ihrem Mojodex-Konto eingeschaltet ist.",
    unsubscribe="Abbestellen",
    closing="Einen guten Tag!",
    pause="Wir haben Sie seit zwei Wochen nicht in Mojodex gesehen. Deshalb pausieren diese täglichen"
    " Nachrichten jetzt. Haken Sie eine Aufgabe ab oder schreiben Sie Mojo, dann kommen sie wieder.",
    hello="Guten Tag,",
    hello_name="Guten Tag, {name},",
    subjects=("Ihre Aufgabenliste für heute", "Eine Aufgabe für heute", "{n} Aufgaben für heute"),
    subjects_moved=("", "Eine Aufgabe hat ein neues Datum", "{n} Aufgaben haben ein neues Datum"),
    intro_today=(
        "Heute steht nichts auf Ihrer Liste.",
        "Heute steht eine Aufgabe auf Ihrer Liste.",
        "Heute stehen {n} Aufgaben auf Ihrer Liste.",
    ),
    intro_moved=(
        "",
        "Eine Aufgabe, die liegen geblieben war, habe ich auf einen späteren Tag verschoben.",
        "{n} Aufgaben, die liegen geblieben waren, habe ich auf spätere Tage verschoben.",
    ),
    more_todos=("", "und 1 weitere in Mojodex", "und {n} weitere in Mojodex"),
    todo_lines=(
        "Gut, wenn das heute erledigt ist.",
        "Eins nach dem anderen.",
        "Ein Haken mehr auf der Liste.",
    ),
    overdue_lines=(
        "Noch da, kein Problem.",
        "Vielleicht ist heute der Tag dafür.",
        "Ein paar Minuten genügen vielleicht.",
    ),
)

SPANISH = Words(
    language="es",
    today="Hoy en su lista",
    moved="Aplazado a otro día",
    planned_for="Previsto para el {date}",
    moved_to="Aplazado al {date}",
    button="Abrir Mojodex",
    footer="Recibe este mensaje porque la lista diaria de tareas está activada en su cuenta de Mojodex.",
    unsubscribe="Darse de baja",
    closing="¡Que tenga un buen día!",
    pause="Hace dos semanas que no le vemos en Mojodex, así que estos mensajes diarios se detienen por ahora."
    " Marque una tarea como hecha o escriba a Mojo, y volverán.",
    hello="Hola:",
    hello_name="Hola, {name}:",
    subjects=("Su lista de tareas de hoy", "Una tarea para hoy", "{n} tareas para hoy"),
    subjects_moved=("", "Una tarea tiene nueva fecha", "{n} tareas tienen nueva fecha"),
    intro_today=(
        "Hoy no hay nada en su lista.",
        "Hoy hay una tarea en su lista.",
        "Hoy hay {n} tareas en su lista.",
    ),
    intro_moved=(
        "",
        "He pasado a otro día una que estaba pendiente.",
        "He pasado a otros días {n} que estaban pendientes.",
    ),
    more_todos=("", "y 1 más en Mojodex", "y {n} más en Mojodex"),
    todo_lines=("Una buena para tachar hoy.", "Paso a paso.", "Será un alivio tenerla hecha."),
    overdue_lines=("Sigue ahí, no pasa nada.", "Quizá hoy sea el día.", "¿Unos minutos para ella hoy?"),
)

WORDS = {words.language: words for words in (ENGLISH, FRENCH, GERMAN, SPANISH)}


def words_for(language_code: str | None) -> Words:
    """Return the fixed words of a language, whatever its region; English for any other."""
    return WORDS.get(locale_for(language_code).language, ENGLISH)
