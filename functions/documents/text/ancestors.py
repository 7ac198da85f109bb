"""Features of an element's place: the tags, classes and ids of it and its ancestors."""

import re

from lxml import etree

# Words that most templates use in classes and ids, in lower case.
CONTENT = re.compile("content|article|post|entry|story|text|body|main|page")
COMMENT = re.compile("comment|kommentar|disqus|respond|discussion|replies")
TEASER = re.compile(
    "relat|recommend|teaser|popular|trending|similar|more|latest|read-?next|also|promo|advert|sponsor|widget"
    "|sidebar|outbrain|taboola|newsletter|subscri|banner|cookie|consent"
)
DETAIL = re.compile(
    r"shar[ei]|social|meta|tags?\b|byline|author|breadcrumb|date|time|caption|credit|copyright|pager|paginat"
    "|login|signup|popup|modal"
)
FRAME = re.compile("comment|side-?bar|foot|nav|menu|disclaimer|hidden")
NAMED = (CONTENT, FRAME, COMMENT, TEASER, DETAIL)
# The index of the feature that a tag sets.
PLACES = {
    **dict.fromkeys(("nav", "menu"), 0),
    **dict.fromkeys(("header", "footer"), 1),
    "aside": 2,
    **dict.fromkeys(("form", "dialog", "button", "label"), 3),
    **dict.fromkeys(("main", "article"), 4),
    "p": 5,
}
MAIN = 4
# The index of the first feature from NAMED. The first two of these count elements with such a name.
COUNTED = 6
# The features of an element without ancestors.
OUTSIDE = (0.0,) * 11


def ancestry(
    element: etree._Element, above: tuple[float, ...], names: dict[str, tuple[bool, ...]]
) -> tuple[float, ...]:
    """Return the features `in_nav` to `detail_name` of an element and its ancestors.

    Args:
        element: of a page.
        above: the features of its parent.
        names: cache of the matches of NAMED by class and id; filled here.
    """
    tag = str(element.tag)
    name = f"{element.get('class', '')} {element.get('id', '')}"
    is_named = len(name) > 1 and tag not in ("html", "body")
    place = PLACES.get(tag)
    is_main = element.get("role") == "main"
    if not is_named and place is None and not is_main:
        return above
    found = list(above)
    if place is not None:
        found[place] = 1.0
    if is_main:
        found[MAIN] = 1.0
    if is_named:
        if name not in names:
            lower = name.lower()
            names[name] = tuple(pattern.search(lower) is not None for pattern in NAMED)
        *counted, comment, teaser, detail = names[name]
        for index, matches in enumerate(counted, COUNTED):
            found[index] = min(found[index] + matches / 3, 1.0)
        for index, matches in enumerate((comment, teaser, detail), COUNTED + 2):
            found[index] = max(found[index], float(matches))
    return tuple(found)
