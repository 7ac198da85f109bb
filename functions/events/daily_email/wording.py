"""The fixed words of the daily mail, in English and French.

They are also the mail's stand-in wording, for when no model can be asked.
"""

# Typographic apostrophes and quotation marks are meant.
# ruff: noqa: RUF001

from dataclasses import dataclass

from mojodex.language import locale_for

# What is said of none, of one, and of {n}.
Forms = tuple[str, str, str]


@dataclass(frozen=True)
class Words:
    """Fixed words of one language. What `{date}` stands for comes from `language.day`.

    Attributes:
        language: which language it is (en, fr).
        today: heading of today's list.
        moved: heading of the list of to-dos with a new date.
        planned_for: note of an overdue to-do; with {date}.
        moved_to: note of a to-do with a new date; with {date}.
        button: leads to the web app.
        footer: why the user gets this mail.
        unsubscribe: leads to the page that ends these mails.
        closing: the last sentence.
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
        """Return the subject of a mail with so many to-dos of today, and so many with a new date."""
        return _count(self.subjects_moved, moved) if moved and not today else _count(self.subjects, today)

    def greeting(self, name: str | None) -> str:
        """Return the salutation; `name` may be unknown or empty."""
        return self.hello_name.format(name=name) if name else self.hello

    def intro(self, today: int, moved: int) -> str:
        """Say how many to-dos there are today, and how many have a new date."""
        return f"{_count(self.intro_today, today)} {_count(self.intro_moved, moved)}".strip()

    def line(self, position: int) -> str:
        """Return a line for the to-do of today at this position; neighbours differ."""
        return self.todo_lines[position % len(self.todo_lines)]

    def overdue_line(self, position: int) -> str:
        """Return a line for the overdue to-do at this position; neighbours differ."""
        return self.overdue_lines[position % len(self.overdue_lines)]

    def more(self, left_out: int) -> str:
        """Return the end of a list that leaves out so many; '' for none."""
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


def words_for(language_code: str | None) -> Words:
    """Return the fixed words: French for any kind of French, English for everything else."""
    return FRENCH if locale_for(language_code).language == "fr" else ENGLISH
