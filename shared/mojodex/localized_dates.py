"""Dates in a user's language. babel is imported only where it is used: most invocations do not need it."""

import re
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

FALLBACK = "en"
# Unicode CLDR's skeletons for weekday, day and month, best first. Every locale has the last one.
DAY_SKELETONS = ("MMMMEEEEd", "MMMMEd", "MMMEd")
# In a date pattern: quoted text, which stays as it is, or a field to be written out.
QUOTED_OR_NAME = re.compile("'[^']*'|E+|c+|M{3,}|L{3,}")


@cache
def locale_for(language_code: str | None) -> "Locale":
    """Return the locale of a language code as Mojodex stores it ("fr", "pt-BR"); English if unknown."""
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse((language_code or "").strip().replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return Locale(FALLBACK)
    # "root" is the parent of all locales; its months are called M01 to M12.
    return Locale(FALLBACK) if locale.language == "root" else locale


def long_day(day: date, language_code: str | None) -> str:
    """Write out weekday, day and month: "Tuesday, November 24", "mardi 24 novembre"."""
    from babel.dates import format_date

    locale = locale_for(language_code)
    skeleton = next(name for name in DAY_SKELETONS if name in locale.datetime_skeletons)
    # Four letters of a field mean its full name.
    pattern = QUOTED_OR_NAME.sub(
        lambda m: m[0] if m[0].startswith("'") else m[0][0] * 4, locale.datetime_skeletons[skeleton].pattern
    )
    text = format_date(day, pattern, locale=locale)
    # CLDR lacks the French "1er".
    return text.replace(" 1 ", " 1er ") if locale.language == "fr" else text
