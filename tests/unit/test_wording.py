"""What reschedule_todo understands in the user's language without a model."""

from datetime import date

import pytest

from reschedule_todo.wording import names_day

SATURDAY = date(2026, 12, 5)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Clear the garage over the weekend"),
        ("fr", "Ranger le garage ce week-end"),
        ("de", "Am Wochenende die Garage aufräumen"),
        ("es", "Ordenar el garaje el fin de semana"),
        ("it", "Riordinare il garage nel fine settimana"),
        ("pt", "Arrumar a garagem no fim de semana"),
        ("nl", "De garage opruimen in het weekeinde"),
        ("sv", "Städa garaget i helg"),
        ("ja", "週末にガレージを片付ける"),
        ("zh", "周末整理车库"),
        ("ko", "주말에 차고 정리하기"),
    ],
)
def test_a_todo_that_is_for_the_weekend_says_so_in_its_language(language: str, text: str) -> None:
    assert names_day(text, SATURDAY, language)


@pytest.mark.parametrize("text", ["Clear the garage this week", "Ferier med helga"])
def test_a_todo_for_the_week_is_not_for_the_weekend(text: str) -> None:
    assert not names_day(text, SATURDAY, "en")
