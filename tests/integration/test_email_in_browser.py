"""The look of the daily mail: on a phone and a desktop, in the light and the dark scheme."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from events.daily_email.rendering import Content, MovedLine, TodoLine, render
from events.daily_email.wording import words_for
from tests.browser import launched_browser

TODAY = date(2026, 11, 24)
# Problems of each to-do that cannot be read.
UNREADABLE_TODOS = """
() => [...document.querySelectorAll("h3")].flatMap((todo) => {
  todo.scrollIntoView({ block: "center" });
  const box = todo.getBoundingClientRect();
  const range = document.createRange();
  range.selectNodeContents(todo);
  const words = range.getBoundingClientRect();
  const x = words.left + Math.min(words.width, 20) / 2, y = words.top + words.height / 2;
  const problems = [];
  if (!todo.checkVisibility({ opacityProperty: true, visibilityProperty: true })) problems.push("hidden");
  if (words.width < 4 || words.height < 12) problems.push("too small");
  if (words.left < 0 || words.right > innerWidth || words.right > box.right + 1) problems.push("cut off");
  if (!todo.contains(document.elementFromPoint(x, y))) problems.push("covered");
  return problems.map((problem) => `${todo.textContent.slice(0, 20)}: ${problem}`);
})
"""
# Every visible text with its contrast (WCAG 2.2) against the first opaque background behind it.
CONTRASTS = """
() => {
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], alpha: a };
  };
  const luminance = (rgb) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return rgb;
    }
    throw new Error("no opaque background");
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [light, dark] = [parse(getComputedStyle(element).color).rgb, background(element)]
      .map(luminance).sort((a, b) => b - a);
    found.push([walker.currentNode.data.trim().slice(0, 40), (light + 0.05) / (dark + 0.05)]);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched_browser() as browser:
        yield browser


def english() -> Content:
    words = words_for("en")
    return Content(
        language_code="en",
        today=TODAY,
        subject="Six small steps for Tuesday",
        greeting="Good morning, Ada!",
        intro="A calm Tuesday: six things on your list, most of them quick. Two that could wait have moved.",
        closing="One thing at a time, and the day is yours.",
        todos=(
            TodoLine(
                "Send the revised offer to Bob at Northwind",
                "Bob decides this week, so ten minutes now will pay off.",
                "Write a commercial offer",
                None,
            ),
            TodoLine(
                "Call the insurance about the water damage in the office",
                "It has been waiting since Friday. A short call is enough.",
                "Prepare a claim",
                date(2026, 11, 20),
            ),
            TodoLine(
                "Review the job ad with Chloé & choose 3 candidates for interviews, then tell everybody who"
                " applied what happens next and when they can expect to hear from us again",
                "Start with the shortlist; the rest follows by itself.",
                "Recruit a product designer for the mobile team, second round, after the first was cancelled",
                None,
            ),
            TodoLine("أرسل العرض إلى أحمد قبل الظهر", "خطوة صغيرة تكفي.", "إعداد عرض", None),
            TodoLine("Donaudampfschifffahrtsgesellschaft" * 8, "W" * 120, "x" * 110, date(2026, 11, 23)),
            TodoLine("Book a table for the team lunch 🍜", words.line(1), "", None),
        ),
        moved=(
            MovedLine(
                "Book the train to Lyon",
                "Plan a business trip",
                date(2026, 11, 30),
                "You wrote that the trip is in December, so next week is early enough.",
            ),
            MovedLine("W" * 300, "Plan", date(2026, 12, 1), "M" * 300),
        ),
        webapp_uri="https://app.example.org/",
        unsubscribe_link="https://app.example.org/unsubscribe?token=abc",
    )


def french() -> Content:
    words = words_for("fr")
    todos = ("Envoyer le devis à l’agence", "Appeler l’assurance", "Relire l’annonce", "Préparer la réunion")
    return Content(
        language_code="fr-FR",
        today=TODAY,
        subject=words.subject(30, 6),
        greeting=words.greeting("Zoé"),
        intro=words.intro(30, 6),
        closing=words.closing,
        todos=tuple(
            TodoLine(
                f"{todos[i % 4]} n° {i}",
                words.overdue_line(i) if i % 5 == 4 else words.line(i),
                "Rédiger une offre commerciale",
                date(2026, 11, 19) if i % 5 == 4 else None,
            )
            for i in range(30)
        ),
        moved=tuple(
            MovedLine(
                f"Réserver le train {i}", "Organiser un déplacement", date(2026, 12, 1 + i), "Rien ne presse."
            )
            for i in range(6)
        ),
        webapp_uri="https://app.example.org/",
        unsubscribe_link="https://app.example.org/unsubscribe?token=abc",
    )


def arabic() -> Content:
    return Content(
        language_code="ar",
        today=TODAY,
        subject="مهام اليوم",
        greeting="صباح الخير يا ليلى،",
        intro="يوم هادئ: ثلاث مهام في قائمتك.",
        closing="يوما سعيدا!",
        todos=(
            TodoLine("أرسل العرض إلى أحمد قبل الظهر", "خطوة صغيرة تكفي.", "إعداد عرض تجاري", None),
            TodoLine("اتصل بشركة التأمين", "مكالمة قصيرة.", "إعداد مطالبة", date(2026, 11, 20)),
            TodoLine("Call Bob at Northwind", "قبل الغداء.", "Write an offer", None),
        ),
        moved=(MovedLine("احجز القطار", "تخطيط رحلة", date(2026, 11, 30), "الرحلة في ديسمبر."),),
        webapp_uri="https://app.example.org/",
        unsubscribe_link=None,
    )


CONTENTS: dict[str, Content] = {"english": english(), "french": french(), "arabic": arabic()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", CONTENTS)
def test_every_word_can_be_read(
    browser: Browser, tmp_path: Path, name: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    content = CONTENTS[name]
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))

    page.set_content(render(content).html)

    page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)
    assert loaded == []
    assert page.locator("h3").count() == len(content.todos) + len(content.moved)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(UNREADABLE_TODOS) == []
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 3 * page.locator("h3").count()
    assert [(text, round(ratio, 2)) for text, ratio in contrasts if ratio < 4.5] == []
    page.close()


def test_the_light_and_the_dark_scheme_differ(browser: Browser) -> None:
    def background(scheme: Literal["light", "dark"]) -> str:
        page = browser.new_page(color_scheme=scheme)
        page.set_content(render(english()).html)
        color = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
        page.close()
        return str(color)

    assert background("light") == "rgb(255, 255, 255)"
    assert background("dark") == "rgb(30, 27, 38)"


@pytest.mark.parametrize(
    ("harm", "test"),
    [
        ("h3 { color: #999 !important }", CONTRASTS),
        ("h3 { visibility: hidden }", UNREADABLE_TODOS),
        ("h3 { font-size: 3px !important; line-height: 3px !important }", UNREADABLE_TODOS),
        ("h3 { white-space: nowrap }", UNREADABLE_TODOS),
        ("body::after { content: ''; position: fixed; inset: 0 }", UNREADABLE_TODOS),
    ],
)
def test_the_checks_find_unreadable_words(browser: Browser, harm: str, test: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 900}, color_scheme="light")
    page.set_content(render(english()).html)
    page.add_style_tag(content=harm)

    found = page.evaluate(test)

    assert [ratio for _, ratio in found if ratio < 4.5] if test is CONTRASTS else found
    page.close()
