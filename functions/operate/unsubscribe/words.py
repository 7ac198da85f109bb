"""The fixed words of the unsubscribe page, in English, French, German and Spanish."""

# Typographic apostrophes and quotation marks are intended.
# ruff: noqa: RUF001

from dataclasses import dataclass

from mojodex.localized_dates import locale_for


@dataclass(frozen=True)
class Words:
    """Fixed words of one language.

    Attributes:
        language: code (en, fr, de, es).
        question: heading while the user gets the mail.
        about: explains what the button ends.
        end: button that ends the mail.
        ended: heading while the user does not get it.
        ended_about: explains how to get the mail again.
        start: button that starts it again.
        started: heading after it was started again.
        started_about: explains when the next mail comes.
        not_valid: heading for an invalid link.
        not_valid_about: explains what to do then.
    """

    language: str
    question: str
    about: str
    end: str
    ended: str
    ended_about: str
    start: str
    started: str
    started_about: str
    not_valid: str
    not_valid_about: str


ENGLISH = Words(
    language="en",
    question="Stop the daily message?",
    about="You get a message about your to-do list on weekday mornings. Your Mojodex account stays as it is.",
    end="Stop the daily message",
    ended="The daily message is switched off",
    ended_about="You will get no more of them. If that was a mistake, switch it on again here, or in your"
    " Mojodex account.",
    start="Switch it on again",
    started="The daily message is switched on",
    started_about="The next one comes on a weekday morning on which there is something on your list.",
    not_valid="This link is not valid",
    not_valid_about="Please copy the whole link from the message, or switch the daily message off in your"
    " Mojodex account.",
)

FRENCH = Words(
    language="fr",
    question="Arrêter le message quotidien\u202f?",
    about="Vous recevez un message sur votre liste de tâches les matins de semaine. Votre compte Mojodex ne"
    " change pas.",
    end="Arrêter le message quotidien",
    ended="Le message quotidien est désactivé",
    ended_about="Vous n’en recevrez plus. Si c’était une erreur, réactivez-le ici ou dans votre compte"
    " Mojodex.",
    start="Le réactiver",
    started="Le message quotidien est activé",
    started_about="Le prochain arrivera un matin de semaine où votre liste contient quelque chose.",
    not_valid="Ce lien n’est pas valide",
    not_valid_about="Copiez le lien entier depuis le message, ou désactivez le message quotidien dans votre"
    " compte Mojodex.",
)

GERMAN = Words(
    language="de",
    question="Die tägliche Nachricht beenden?",
    about="Sie erhalten werktags am Morgen eine Nachricht zu Ihrer Aufgabenliste. Ihr Mojodex-Konto bleibt,"
    " wie es ist.",
    end="Tägliche Nachricht beenden",
    ended="Die tägliche Nachricht ist ausgeschaltet",
    ended_about="Es kommt keine mehr. War das ein Versehen, schalten Sie sie hier oder in Ihrem Mojodex-Konto"
    " wieder ein.",
    start="Wieder einschalten",
    started="Die tägliche Nachricht ist eingeschaltet",
    started_about="Die nächste kommt an einem Werktag am Morgen, wenn etwas auf Ihrer Liste steht.",
    not_valid="Dieser Link ist nicht gültig",
    not_valid_about="Kopieren Sie den ganzen Link aus der Nachricht, oder schalten Sie die tägliche"
    " Nachricht in Ihrem Mojodex-Konto aus.",
)

SPANISH = Words(
    language="es",
    question="¿Dejar de recibir el mensaje diario?",
    about="Recibe un mensaje sobre su lista de tareas las mañanas de los días laborables. Su cuenta de"
    " Mojodex no cambia.",
    end="Dejar de recibirlo",
    ended="El mensaje diario está desactivado",
    ended_about="No recibirá ninguno más. Si ha sido un error, vuelva a activarlo aquí o en su cuenta de"
    " Mojodex.",
    start="Volver a activarlo",
    started="El mensaje diario está activado",
    started_about="El próximo llegará una mañana de un día laborable en que haya algo en su lista.",
    not_valid="Este enlace no es válido",
    not_valid_about="Copie el enlace entero del mensaje, o desactive el mensaje diario en su cuenta de"
    " Mojodex.",
)

WORDS = {words.language: words for words in (ENGLISH, FRENCH, GERMAN, SPANISH)}


def words_for(language_code: str | None) -> Words:
    """Return the words in a language, or in English if we do not have it."""
    return WORDS.get(locale_for(language_code).language, ENGLISH)
