"""The parts of the demo's website and text that need no socket."""

import re

import pytest

from documents.text.chunks import chunks_of
from documents.text.lines import Line
from local.demo import stories
from local.demo.documents import CHANGES, QUESTIONS
from local.demo.site import FORBIDDEN, PAGES, UNLINKED
from local.runtime.website import is_loopback

WORDS = range(100, 300)


def test_a_page_has_a_title_and_a_believable_length() -> None:
    texts = {path: file.read_text() for path, file in PAGES.items() if path != FORBIDDEN}

    words = {path: len(re.sub(r"<[^>]*>", "", text).split()) for path, text in texts.items()}

    assert len(texts) == 19
    assert all(text.startswith("<title>") for text in texts.values())
    assert {path for path, number in words.items() if number not in WORDS} == set()


def test_no_page_links_to_the_page_that_only_the_sitemap_lists() -> None:
    layout = PAGES["/"].parent.parent.joinpath("layout.html").read_text()

    texts = [layout, *(file.read_text() for file in PAGES.values())]

    assert not any(f'"{UNLINKED}"' in text for text in texts)


@pytest.mark.parametrize(("path", "old"), [(path, old) for path, old, _, _ in CHANGES])
def test_each_text_that_the_demo_changes_occurs_once(path: str, old: str) -> None:
    assert PAGES[path].read_text().count(old) == 1


@pytest.mark.parametrize("paragraphs", [stories.NOTES, (stories.NOTES_EDITED, *stories.NOTES[1:])])
def test_each_paragraph_of_the_learned_text_is_a_chunk(paragraphs: tuple[str, ...]) -> None:
    chunks = chunks_of(map(Line, paragraphs))

    assert chunks == list(paragraphs)


def test_one_question_is_answered_only_by_the_changed_text() -> None:
    (words,) = {words for _, name, words in QUESTIONS if name == stories.NOTES_NAME}

    assert words in stories.NOTES_EDITED
    assert not any(words in paragraph for paragraph in stories.NOTES)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000/", True),
        ("localhost:8000", True),
        ("http://[::1]/", True),
        ("example.com", False),
        ("https://127.example.com/", False),
    ],
)
def test_loopback_is_allowed_only_for_a_website_on_this_machine(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback
