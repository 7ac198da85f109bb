"""The daily mail's phrases, and its two parts as readers get them."""

from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

import pytest
from babel import localedata
from hypothesis import given, settings
from hypothesis import strategies as st

from events.daily_email.rendering import MOST_BYTES, Content, MovedLine, TodoLine, render
from events.daily_email.wording import ENGLISH, FRENCH, words_for
from events.mail.plain_text import plain
from mojodex.localized_dates import locale_for, long_day
from tests.mails import Html, squeeze
from tests.unit.test_email import HOSTILE, TODAY, UNSUBSCRIBE, WEB_APP, content

OVERDUE = TODAY - timedelta(days=4)
LATER = TODAY + timedelta(days=6)


def todos(*descriptions: str, **changes: Any) -> tuple[TodoLine, ...]:
    given: dict[str, Any] = {"line": "", "task_title": "", "planned_for": None} | changes
    return tuple(TodoLine(description, **given) for description in descriptions)


def moved(*descriptions: str, **changes: Any) -> tuple[MovedLine, ...]:
    given: dict[str, Any] = {"task_title": "", "date": LATER, "reason": ""} | changes
    return tuple(MovedLine(description, **given) for description in descriptions)


# Words.


def test_french_and_english_have_every_phrase_and_share_none() -> None:
    for one in fields(ENGLISH):
        english, french = getattr(ENGLISH, one.name), getattr(FRENCH, one.name)

        assert english != french, one.name
        for words in (english, french):
            assert all(words[-2:]) if isinstance(words, tuple) else words, one.name


def test_french_uses_french_typography() -> None:
    for one in fields(FRENCH):
        said = getattr(FRENCH, one.name)
        for text in said if isinstance(said, tuple) else (said,):
            assert "'" not in text
            for mark in "!?:;":
                assert text.count(mark) == text.count(f"\u202f{mark}"), text


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("en", "en"),
        ("en_GB", "en"),
        ("fr", "fr"),
        ("fr-FR", "fr"),
        ("FR_ca", "fr"),
        ("de-AT", "de"),
        ("es_MX", "es"),
        ("it", "en"),
        (None, "en"),
        ("", "en"),
        ("rubbish", "en"),
        ("../../fr", "en"),
        ("root", "en"),
    ],
)
def test_words_are_in_the_users_language_if_we_have_it(code: str | None, language: str) -> None:
    assert words_for(code).language == language


@pytest.mark.parametrize(
    ("number", "english", "french"),
    [
        (0, "Your to-do list today", "Votre liste du jour"),
        (1, "One to-do for today", "Une chose à faire aujourd’hui"),
        (2, "2 to-dos for today", "2 choses à faire aujourd’hui"),
        (31, "31 to-dos for today", "31 choses à faire aujourd’hui"),
    ],
)
def test_numbers_have_their_own_forms(number: int, english: str, french: str) -> None:
    assert ENGLISH.subject(number, 5) == english or number == 0
    assert ENGLISH.subject(number, 0) == english
    assert FRENCH.subject(number, 0) == french


@pytest.mark.parametrize("words", [ENGLISH, FRENCH])
def test_no_fallback_phrase_is_empty_or_unfilled(words: Any) -> None:
    for today in range(4):
        for later in range(4):
            for said in (words.subject(today, later), words.intro(today, later)):
                assert said
                assert said == said.strip()
                assert "{" not in said
    assert words.line(0) != words.line(1)
    assert words.overdue_line(0) != words.overdue_line(1)
    assert "Ada {x}" in words.greeting("Ada {x}")
    assert words.greeting(None) == words.greeting("") == words.hello


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "Tuesday, November 24"),
        ("en-GB", "Tuesday 24 November"),
        ("fr-FR", "mardi 24 novembre"),
        ("de", "Dienstag, 24. November"),
        ("pt-BR", "terça-feira, 24 de novembro"),
        ("zh-CN", "11月24日星期二"),
        ("ar", "الثلاثاء، 24 نوفمبر"),
        (None, "Tuesday, November 24"),
    ],
)
def test_days_are_written_out_in_the_users_language(code: str | None, text: str) -> None:
    assert long_day(date(2026, 11, 24), code) == text


def test_the_first_of_a_month_is_an_ordinal_in_french() -> None:
    assert long_day(date(2026, 12, 1), "fr") == "mardi 1er décembre"
    assert long_day(date(2026, 12, 11), "fr") == "vendredi 11 décembre"


def test_every_locale_has_days() -> None:
    for code in localedata.locale_identifiers():
        assert "24" in long_day(date(2026, 11, 24), code)
        assert locale_for(code).language == code.partition("_")[0].partition("@")[0] or code == "root"


# Rendering.


def test_both_parts_of_a_mail_show_all_of_its_content() -> None:
    rendered = render(
        content(
            subject="Two things",
            greeting="Hello Ada,",
            intro="A calm day.",
            closing="See you.",
            todos=todos(
                "Send the offer", line="Bob waits.", task_title="Write an offer", planned_for=OVERDUE
            ),
            moved=moved("Book the train", reason="It is in December.", task_title="Plan a trip"),
        )
    )

    assert rendered.subject == "Two things"
    said = ["Hello Ada,", "A calm day.", "Send the offer", "Bob waits.", "Planned for Friday, November 20"]
    said += ["Write an offer", "Book the train", "Moved to Monday, November 30", "It is in December."]
    said += ["Plan a trip", "See you.", "Tuesday, November 24"]
    for text in said:
        assert text in Html(rendered.html).text
        assert text in rendered.text


def test_a_mail_in_french_is_french() -> None:
    rendered = render(
        content(language_code="fr-FR", todos=todos("Devis", planned_for=OVERDUE), moved=moved("Train"))
    )

    html = Html(rendered.html)
    assert html.root == {"lang": "fr-FR", "dir": "ltr"}
    for text in ("Prévu le vendredi 20 novembre", "Reporté au lundi 30 novembre", FRENCH.footer):
        assert text in html.text
        assert squeeze(text) in squeeze(rendered.text)


def test_the_page_runs_from_right_to_left_where_the_language_does() -> None:
    html = Html(render(content(language_code="ar")).html)

    assert html.root == {"lang": "ar", "dir": "rtl"}


def test_the_order_is_kept_and_today_comes_first() -> None:
    html = Html(render(content(todos=todos("b", "a"), moved=moved("d", "c"))).html)

    assert html.todos == ["b", "a", "d", "c"]


def test_empty_parts_are_left_out() -> None:
    rendered = render(content(greeting="", intro="", closing="", subject="\u200b", todos=(), moved=()))

    html = Html(rendered.html)
    assert html.headings == []
    assert rendered.subject == "Your to-do list today"
    assert html.links == [WEB_APP, UNSUBSCRIBE]


def test_a_todo_with_an_invisible_description_is_still_listed() -> None:
    assert Html(render(content(todos=todos("\u202e\u200b"), moved=())).html).todos == ["…"]


def test_without_an_unsubscribe_link_the_button_is_the_only_link() -> None:
    rendered = render(content(unsubscribe_link=None))

    assert Html(rendered.html).links == [WEB_APP]
    assert "nsubscribe" not in rendered.html + rendered.text


def test_long_lists_are_cut_and_show_the_number_of_the_rest() -> None:
    rendered = render(
        content(todos=todos(*map(str, range(43))), moved=moved(*(f"m{i}" for i in range(41)), reason="why"))
    )

    html = Html(rendered.html)
    assert html.todos == [*map(str, range(40)), *(f"m{i}" for i in range(40))]
    for text in (html.text, rendered.text):
        assert "and 3 more in Mojodex" in text
        assert "and 1 more in Mojodex" in text


@pytest.mark.parametrize("character", ["&", "'", "😀", "م", "w"])
def test_a_mail_is_never_long_enough_to_be_clipped(character: str) -> None:
    long = character * 1000
    full = content(
        todos=todos(*[long] * 50, line=long, task_title=long, planned_for=OVERDUE),
        moved=moved(*[long] * 50, reason=long, task_title=long),
    )

    rendered = render(full)

    html = Html(rendered.html)
    assert len(rendered.html.encode()) <= MOST_BYTES
    shown = len(html.todos) // 2
    assert shown >= 5
    assert f"and {50 - shown} more in Mojodex" in html.text
    assert render(full) == rendered


def test_the_text_part_fits_a_terminal() -> None:
    rendered = render(
        content(todos=todos("word " * 60, "w" * 300), moved=moved("é" * 300, reason="x " * 200))
    )

    lines = [line for line in rendered.text.splitlines() if line not in (WEB_APP, UNSUBSCRIBE)]
    assert max(map(len, lines)) <= 76
    assert squeeze("w" * 300) in squeeze(rendered.text)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(HOSTILE, min_size=8, max_size=8),
    language_code=st.sampled_from([None, "en", "fr", "ar", "de", "rubbish"]),
)
def test_hostile_text_stays_text(texts: list[str], language_code: str | None) -> None:
    subject, greeting, intro, closing, description, line, title, reason = texts
    hostile = Content(
        language_code=language_code,
        today=TODAY,
        subject=subject,
        greeting=greeting,
        intro=intro,
        closing=closing,
        todos=todos(f"first {description}", f"second {description}", line=line, task_title=title),
        moved=moved(f"third {description}", task_title=title, reason=reason),
        webapp_uri=WEB_APP,
        unsubscribe_link=UNSUBSCRIBE,
    )

    rendered = render(hostile)

    html = Html(rendered.html)
    assert html.links == [WEB_APP, UNSUBSCRIBE]
    assert html.hidden == 1
    assert html.todos == [plain(f"{nth} {description}", 300) for nth in ("first", "second", "third")]
    assert "\n" not in rendered.subject
    assert render(replace(hostile)) == rendered
