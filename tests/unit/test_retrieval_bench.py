"""The bench of retrieval: rules for a hit, the bootstrap, and its questions."""

from collections import Counter

import pytest
from lxml import html

from bench import retrieval
from bench.corpora import WORD
from bench.indexing import Chunk, old_chunks, windows
from bench.retrieval import Answer, Figures, answer_of, bootstrap, footer_copies, holds_half
from bench.sites import Question, Site, load_sites
from mojodex.tokens import count_tokens

SITES = load_sites()
QUESTIONS = [question for site in SITES for question in site.questions]
HERE, THERE = "https://a.example/here", "https://a.example/there"
PASSAGE = "the boat sails at nine and comes home at noon"
FOOTERS = "//footer | //*[@id='fuss'] | //*[@class='footer']"


def shown(tree: html.HtmlElement) -> str:
    """The visible text of a tree, with single spaces."""
    for element in tree.xpath("//script | //style | //title"):
        element.drop_tree()
    return " ".join(tree.text_content().split())


def question(**answers: str) -> Question:
    return Question("q", "en", "When?", answers or {HERE: PASSAGE}, "plain")


def answer(rank: int | None) -> Answer:
    return Answer(question(), rank, (), whole=True)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (f"We say: {PASSAGE}!", True),
        ("The   BOAT | sails at\nnine and", True),
        ("and comes home at noon. Bring a coat.", True),
        ("the boat sails at", False),
        ("the boat sails and at nine comes home", False),
        ("the boats sail at nine and come home", False),
    ],
)
def test_half_of_a_passage_is_enough_if_its_words_are_consecutive(text: str, held: bool) -> None:
    assert holds_half(text, PASSAGE) is held


def test_words_are_whole_words() -> None:
    assert not holds_half("1250 eurocheques", "250 euro")


def test_a_passage_counts_only_on_a_right_page() -> None:
    nearest = [Chunk(THERE, PASSAGE), Chunk(HERE, "something else"), Chunk(HERE, PASSAGE)]

    found = answer_of(question(), nearest)

    assert found.rank == 3
    assert found.before == tuple(nearest[:2])
    assert retrieval.reason(found) == "ranked low: nearer are 1 of a right page and 1 of other pages"


def test_each_right_page_has_its_own_passage() -> None:
    asked = question(**{HERE: PASSAGE, THERE: "departure is at nine sharp"})

    assert answer_of(asked, [Chunk(THERE, PASSAGE)]).rank is None
    assert answer_of(asked, [Chunk(THERE, "Departure is at nine sharp.")]).rank == 1


def test_a_lost_passage_and_a_split_one_are_distinguished() -> None:
    lost = answer_of(question(), [Chunk(HERE, "something else")])
    split = answer_of(question(), [Chunk(THERE, ""), Chunk(HERE, "the boat sails at nine")])

    assert retrieval.fault(lost) == "lost"
    assert retrieval.fault(split) == "split"


def test_hits_and_reciprocal_ranks() -> None:
    figures = Figures.of([answer(1), answer(2), answer(4), answer(11), answer(None)])

    assert figures.questions == 5
    assert (figures.hit_1, figures.hit_3) == (0.2, 0.4)
    # Only the first ten are read.
    assert figures.mrr == pytest.approx((1 + 1 / 2 + 1 / 4) / 5)


def test_a_planted_difference_is_found() -> None:
    ours = [1.0] * 80 + [0.0] * 20
    theirs = [1.0] * 65 + [0.0] * 35

    found = bootstrap(ours, theirs)

    assert found.mean == pytest.approx(0.15)
    assert 0.05 < found.low < 0.15 < found.high < 0.25
    assert bootstrap(theirs, ours).high < 0


def test_equal_methods_have_an_interval_around_zero() -> None:
    # Equally good, on different questions.
    found = bootstrap([1.0, 0.0] * 50, [0.0, 1.0] * 50)

    assert found.mean == 0
    assert found.low < -0.1 < 0.1 < found.high
    assert vars(bootstrap([1.0, 0.0] * 50, [1.0, 0.0] * 50)) == {"mean": 0, "low": 0, "high": 0}


def test_the_copies_of_a_footer_are_counted() -> None:
    asked = Question("q", "en", "Where?", dict.fromkeys([HERE, THERE], "3 Mill Lane, Au"), "footer")
    site = Site("a", (), {}, (asked, question()))
    chunks = [Chunk(HERE, "Find us: 3 Mill Lane, Au."), Chunk(THERE, "3 Mill Lane, Au"), Chunk(HERE, "Mill")]

    assert footer_copies(site, chunks) == [2]
    assert answer_of(asked, chunks).rank == 1


def test_windows_have_500_tokens() -> None:
    text = "Every word of it counts. " * 250

    cut = windows(text)

    assert len(cut) == 3
    assert all(490 <= count_tokens(each) <= 510 for each in cut[:-1])
    assert " ".join(" ".join(cut).split()) == text.strip()


def test_the_old_system_cut_at_the_last_sentence_or_line_behind_350_characters() -> None:
    sentence = "A sentence of the old system has ten words here. "

    cut = old_chunks(sentence * 40)

    assert len(cut) > 1
    assert all(each.endswith("here.") for each in cut)
    assert all(180 < count_tokens(each) < 210 for each in cut[:-1])
    assert old_chunks("too short") == []


def test_there_are_as_many_sites_pages_and_questions_as_promised() -> None:
    assert len(SITES) >= 7
    assert sum(len(site.pages) for site in SITES) >= 126
    assert len(QUESTIONS) >= 84
    assert {question.language for question in QUESTIONS} == {"en", "fr", "de", "es"}
    asked_of_footers = Counter(
        site.name for site in SITES for each in site.questions if each.kind == "footer"
    )
    assert len(asked_of_footers) >= 7
    assert min(asked_of_footers.values()) >= 2


def test_names_and_addresses_are_unique() -> None:
    assert max(Counter(each.name for each in QUESTIONS).values()) == 1
    assert all(len(site.pages) == len(site.written) for site in SITES)
    assert max(Counter(url for site in SITES for url in site.pages).values()) == 1


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_each_passage_is_on_its_page(site: Site) -> None:
    texts = {url: shown(html.fromstring(page)) for url, page in site.pages.items()}
    for each in site.questions:
        for url, passage in each.answers.items():
            assert passage in texts[url], (each.name, url)
            assert len(WORD.findall(passage)) >= 4, each.name


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_an_answer_of_a_footer_is_nowhere_else(site: Site) -> None:
    for each in site.questions:
        if each.kind != "footer":
            continue
        passage = next(iter(each.answers.values()))
        for page in site.pages.values():
            (footer,) = html.fromstring(page).xpath(FOOTERS)
            assert passage in " ".join(footer.text_content().split()), each.name
            assert shown(html.fromstring(page)).count(passage) == 1, each.name


def test_half_of_a_passage_appears_nowhere_else_on_its_page() -> None:
    """Otherwise a chunk without the answer would be a hit."""
    for site in SITES:
        for each in site.questions:
            for url, passage in each.answers.items():
                text = retrieval.words(shown(html.fromstring(site.pages[url])))
                rest = text.replace(retrieval.words(passage), " \n ", 1)
                assert not holds_half(rest, passage), (each.name, url)
