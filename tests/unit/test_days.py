"""The day that words name, in four languages, each with its traps. Today is Thursday, 26 November 2026."""

import time
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract_todos.days import named_day

TODAY = date(2026, 11, 26)

NAMED = """
2026-11-27 | I'll send it by Friday
2026-11-27 | FRIDAY
2026-11-27 | I will call Anna tomorrow at 3pm
2026-11-27 | this Friday
2026-11-27 | no later than Friday
2026-11-27 | Don't forget to call Anna on Friday
2026-11-27 | tomorrow, Friday
2026-11-28 | the day after tomorrow
2026-11-26 | I'll finish it today
2026-11-26 | tonight
2026-11-26 | today, Thursday
2026-11-29 | in 3 days
2026-11-29 | three days from now
2026-12-03 | in a week
2026-12-10 | in two weeks' time
2026-12-10 | in a fortnight
2026-11-30 | on Monday evening
2026-11-30 | Monday next week
2026-12-04 | a week from Friday
2026-12-04 | Friday week
2026-12-03 | December 3
2026-12-03 | by Dec. 3rd
2026-12-03 | the 3rd of December 2026
2026-12-04 | Friday, 4 December
2026-12-18 | 18 December (Friday)
2027-03-03 | on March 3
2027-05-03 | May 3rd
2027-11-25 | 25 November
2026-12-15 | I'll pay it by the 15th.
2026-12-24 | on 24/12
2026-12-24 | 12/24/2026
2026-12-24 | 2026-12-24
2026-11-27 | by Fri
2026-12-24 | 24/12
2026-12-24 | 24/12!
2026-12-24 | 24-Dec-2026
2026-12-24 | 2026-Dec-24
2026-12-03 | 3 December '26
2027-03-03 | I'll come March 3rd
2027-03-03 | I'll come on the 3 March
2027-03-03 | I'll come March 3 2027
2027-03-03 | I'll call her Wednesday, March 3
2026-12-03 | this coming Thursday
2026-12-04 | on 4 December, this coming Friday
2026-12-04 | on 4 December, next Friday
2026-12-02 | Wednesday next week
2026-12-05 | Saturday next week
2026-11-26 | I'll pay it by the 26th.
2026-11-27 | I'll fill in 30/40 of the forms tomorrow
2026-11-27 | I'll read chapter 3.12 tomorrow
2026-11-27 | I'll pay her 30, tomorrow
2026-11-27 | I'll print tomorrow 30 copies
2026-12-03 | I'll print on 3 December 2026, 12 copies
2026-12-03 | I'll print on 3 December 2026, 2000 copies
2026-12-03 | I promised Ann to come on 3 December 2026
2026-11-27 | I sent the draft and I'll send the rest tomorrow
2027-05-05 | 05/05/2027
2026-12-03 | je m'en occupe le 3 décembre
2026-12-03 | le 3 decembre
2026-12-01 | au plus tard le 1er décembre
2026-11-27 | je l'envoie demain matin
2026-11-28 | après-demain
2026-11-26 | aujourd’hui
2026-11-26 | je le fais ce soir
2026-11-27 | d'ici vendredi
2026-11-30 | d'ici à lundi
2026-11-30 | lundi prochain
2026-11-30 | lundi soir
2026-11-30 | lundi de la semaine prochaine
2026-11-27 | ce vendredi
2026-11-29 | dans trois jours
2026-12-10 | dans deux semaines
2026-12-04 | vendredi en huit
2026-12-04 | vendredi 4 décembre
2027-03-03 | le 3 mars
2027-04-03 | pour le 03/04
2026-12-24 | le 24.12.2026
2026-12-15 | pour le 15
2027-03-03 | je viens le 3 mars
2026-12-24 | je paie le 12/24/2026
2027-06-05 | je paie le 05/06/2027
2026-11-27 | n'oublie pas de rappeler Paul vendredi
2027-08-15 | le quinze août
2026-11-28 | bis übermorgen
2026-11-28 | bis uebermorgen
2026-11-27 | ich mache das morgen früh
2026-11-27 | Morgen Abend
2026-11-26 | heute Abend
2026-11-27 | bis spätestens Freitag
2026-11-30 | Montagabend
2026-11-30 | am kommenden Montag
2026-11-30 | Montag nächster Woche
2026-11-30 | nächsten Montag
2026-11-27 | diesen Freitag
2026-12-04 | Freitag in einer Woche
2026-11-29 | in drei Tagen
2026-12-10 | in 14 Tagen
2026-12-03 | heute in einer Woche
2026-12-24 | bis zum 24.12.
2026-12-24 | am 24.12
2026-12-24 | 24. 12. 2026
2027-04-03 | am 3.4.2027
2026-12-03 | am 3. Dezember
2026-12-04 | Freitag, den 4.12.
2026-12-24 | bis zum 24.12.26
2036-12-24 | bis zum 24.12.36
2026-12-03 | ich komme Donnerstag, 3.12.
2026-12-03 | nächsten Donnerstag
2026-12-02 | nächsten Mittwoch
2026-12-03 | Do., 3. Dezember
2026-12-04 | Freitag, den 4. Dezember
2027-03-03 | 3. März
2026-12-03 | am dritten Dezember
2026-12-15 | bis zum 15.
2026-11-28 | Sonnabend
2026-11-30 | Bitte nicht vergessen: Anruf am Montag
2026-11-30 | el lunes que viene
2026-11-30 | para el lunes
2026-11-27 | a más tardar el viernes
2026-11-27 | lo hago mañana por la mañana
2026-11-27 | manana
2026-11-28 | pasado mañana
2026-11-26 | hoy mismo
2026-11-26 | esta noche
2026-11-27 | este viernes
2026-11-30 | el lunes por la mañana
2026-11-30 | el lunes de la próxima semana
2026-11-29 | dentro de tres días
2026-12-03 | en una semana
2026-12-10 | dentro de dos semanas
2026-12-03 | el 3 de diciembre
2026-12-03 | el tres de diciembre de 2026
2026-12-04 | el viernes 4 de diciembre
2026-12-01 | el primero de diciembre
2027-05-02 | el 2 de mayo
2027-04-03 | para el 03/04
2026-12-15 | el día 15
2026-11-28 | sábado
2026-11-29 | el domingo
2026-11-27 | no olvides llamar a Ana el viernes
"""

NOT_NAMED = """
next week
in a few days
soon
03/04
next Friday
next Monday
this Monday
Sunday next week
tomorrow and Sunday next week
a week from Thursday
on Thursday
I met him on Monday
I sent it on 3 December
from Monday to Wednesday
between Monday and Friday
every Monday
on Mondays
Monday or Tuesday
before Friday
after Friday
until Friday
not on Friday
I can't on Friday
we may 3 people
we march 3 miles
may I call you in May
the sun and the sea
he sat down
in 2 or 3 days
in a week or two
for 3 days
the Friday meeting
Friday's meeting
last Friday
first Monday of March
Black Friday
Friday, 3 December
20 November 2026
31 November
report-2026-12-24.pdf
version 3.12.4
24/7 support
I'll do 3/4 of it tomorrow
on 24/12 2027
I'll call Ann on 18 December (Friday) and Bob on Monday
tomorrow, Friday at the earliest
#Friday
friday@example.com
December 3 and 5
I'll come on Friday, fourth
I need Friday 4 tickets
I need 4 Friday tickets
I sent it today
3-5 December
2 and 3 December
three days ago
yesterday
by the end of the week
around 3 December
a week from tomorrow or so
the 3rd floor
the day after Friday
I need slides for the meeting on Monday
as discussed on Monday
the deadline was moved from Friday to Monday
Sunday School
September 10, nineteen ninety
Sunday, Jan twenty-one
in 1 day and 5 hours
la semaine prochaine
bientôt
le lundi
tous les lundis
chaque vendredi
du lundi au mercredi
samedi ou dimanche
avant vendredi
après vendredi
jusqu'à vendredi
à partir de lundi
dès demain
je l'ai envoyé lundi
vendredi dernier
dans huit jours
dans quinze jours
dans quelques jours
pas demain
la réunion de demain
mercredi des cendres
le 3 ou le 4 décembre
il y a 3 jours
jeudi
entre le 3 et le 5 décembre
fin décembre
en mars
à la fin du mois
vendredi saint
la planète Mars
cette nuit
comme convenu lundi
la semaine du 7 décembre
nächste Woche
in acht Tagen
in ein paar Tagen
Guten Morgen
am Morgen
jeden Morgen
am nächsten Morgen
jeden Montag
montags
ab morgen
seit Montag
vor Freitag
nach Freitag
vom 3. bis 5. Dezember
2. und 3.12.2026
ich zahle am 12.24.2026
bis zum 24.12.37
morgen, 24.12.37
am kommenden Freitag
ich komme Freitag, dem 5
Montag bis Mittwoch
Samstag oder Sonntag
ich habe es am Montag gesendet
letzten Freitag
nicht am Freitag
übernächsten Freitag
Herr Freitag ruft an
Donnerstag
so machen wir das
mir ist das egal
das kostet 3.12
Anfang Dezember
Ende der Woche
Ostermontag
Freitag, den 3. Dezember
Fr., 3. Dezember
Am 3. oder 4. Dezember
Unterlagen für das Treffen am Montag
Rechnung vom 3. Dezember bezahlen
Version 2.12. ist fertig
la próxima semana
por la mañana
de la mañana
cada lunes
los lunes
todos los viernes
del lunes al viernes
el lunes o el martes
antes del viernes
después del viernes
hasta el viernes
desde mañana
a partir de mañana
la reunión de mañana
lo envié el lunes
el lunes pasado
mañana no
en quince días
en ocho días
en unos días
Santo Domingo
Viernes Santo
jueves
me gusta el mar
mañana o pasado
hace tres días
a finales de mes
entre el 3 y el 5 de diciembre
el viernes 3 de diciembre
en mayo
nunca
dentro de 1 día y 5 horas
la factura del 3 de diciembre
1234567890
"""


def cases(table: str) -> list[str]:
    """Split a table into its lines."""
    return table.strip().splitlines()


@pytest.mark.parametrize("case", cases(NAMED))
def test_a_single_named_day_is_found(case: str) -> None:
    day, _, text = case.partition(" | ")

    assert named_day(text, TODAY) == date.fromisoformat(day)


@pytest.mark.parametrize("text", cases(NOT_NAMED))
def test_no_day_is_found_in_words_that_name_none_several_or_a_vague_one(text: str) -> None:
    assert named_day(text, TODAY) is None


@pytest.mark.parametrize(
    ("today", "text", "day"),
    [
        # On a Friday, "next Monday" is clearly the coming one. On a Sunday, it is hardly tomorrow.
        (date(2026, 11, 27), "nächsten Montag", date(2026, 11, 30)),
        (date(2026, 11, 29), "nächsten Montag", None),
        (date(2026, 11, 23), "vendredi prochain", None),
        (date(2026, 11, 27), "this Friday", None),
        (date(2026, 11, 29), "Monday next week", None),
        # The day itself is not past.
        (date(2026, 12, 24), "24 December", date(2026, 12, 24)),
        (date(2026, 12, 24), "2026-12-24", date(2026, 12, 24)),
        (date(2026, 12, 31), "tomorrow", date(2027, 1, 1)),
        (date(2026, 3, 1), "29 February", date(2028, 2, 29)),
        # The next month is too short.
        (date(2027, 1, 31), "by the 30th", None),
        (date(2096, 3, 1), "29 February", date(2104, 2, 29)),
        (date(2026, 11, 27), "today, this Friday", date(2026, 11, 27)),
        # Two digits are a year of this century, four may be another one.
        (date(2095, 1, 1), "24.12.99", date(2099, 12, 24)),
        (date(2095, 1, 1), "24.12.0100", None),
        (date.max, "tomorrow", None),
        (date.max, "today, tomorrow", None),
    ],
)
def test_days_are_relative_to_the_speakers_day(today: date, text: str, day: date | None) -> None:
    assert named_day(text, today) == day


WORDS = st.sampled_from(
    [word for text in cases(NAMED) + cases(NOT_NAMED) for word in text.rpartition(" | ")[2].split()]
)
DAYS = st.dates(min_value=date(2000, 1, 1))


@given(text=st.text() | st.lists(WORDS, max_size=8).map(" ".join), today=DAYS)
def test_no_text_fails_and_no_day_is_past(text: str, today: date) -> None:
    day = named_day(text, today)

    assert day is None or day >= today


@given(days=st.integers(0, 400))
def test_a_whole_date_is_that_date(days: int) -> None:
    day = TODAY + timedelta(days)

    assert named_day(day.isoformat(), TODAY) == named_day(f"{day:%d.%m.%Y}", TODAY) == day
    assert named_day(f"{day:%A, %B {day.day}, %Y}", TODAY) == day


def test_a_text_is_read_within_a_few_milliseconds() -> None:
    texts = [(case * 10)[:200] for case in cases(NOT_NAMED)]
    named_day("", TODAY)

    started = time.process_time()
    for text in texts:
        named_day(text, TODAY)

    # Under 1 ms each; a busy machine has slack.
    assert (time.process_time() - started) / len(texts) < 0.005
