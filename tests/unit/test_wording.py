"""The parts of the user's language that reschedule_todo understands without a model."""

from datetime import date

import pytest

from reschedule_todo.wording import keeps_slipping_wording, names_day, rule_wording

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
def test_the_weekend_is_recognised_in_the_language_of_the_todo(language: str, text: str) -> None:
    assert names_day(text, SATURDAY, language)


@pytest.mark.parametrize("text", ["Clear the garage this week", "Ferier med helga"])
def test_a_todo_for_the_week_is_not_for_the_weekend(text: str) -> None:
    assert not names_day(text, SATURDAY, "en")


@pytest.mark.parametrize(
    ("language", "none", "one", "many"),
    [
        ("en", "no other to-do.", "one other to-do.", "3 other to-dos."),
        ("fr-CA", "aucune autre tâche.", "une seule autre tâche.", "3 autres tâches."),
        ("de", "keiner anderen Aufgabe.", "einer anderen Aufgabe.", "3 anderen Aufgaben."),
        ("es", "ninguna otra tarea.", "otra tarea.", "otras 3 tareas."),
        ("it", "no other to-do.", "one other to-do.", "3 other to-dos."),
    ],
)
def test_the_wording_of_the_rule_has_the_load_of_the_day(
    language: str, none: str, one: str, many: str
) -> None:
    said = [rule_wording(language, SATURDAY, todos) for todos in (0, 1, 3)]

    assert [text.endswith(end) for text, end in zip(said, (none, one, many), strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("language", "once", "often"),
    [
        ("en", "moved once already", "moved 7 times"),
        ("fr", "reportée 1 fois", "reportée 7 fois"),
        ("de", "schon einmal verschoben", "7-mal verschoben"),
        ("es", "aplazado una vez", "aplazado 7 veces"),
    ],
)
def test_the_number_of_moves_is_written_in_the_users_language(language: str, once: str, often: str) -> None:
    assert once in keeps_slipping_wording(language, 1)
    assert often in keeps_slipping_wording(language, 7)
