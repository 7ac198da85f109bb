"""X-Robots-Tag: a server's directives for robots about one answer."""

import re
from collections.abc import Iterable

# Our name in robots.txt, X-Robots-Tag and a page's <meta>; the User-Agent begins with it.
AGENT = "MojodexBackground"
# `name: directive` is for one agent. These four names are directives with a value instead.
FOR_AGENT = re.compile(
    r"\s*(?!(?:unavailable_after|max-snippet|max-image-preview|max-video-preview)\b)([a-z0-9_*-]+)\s*:(.*)"
)


def directives(tags: Iterable[str]) -> frozenset[str]:
    """Return the directives for all agents or for us, in lower case: `noindex`, `nofollow`, `none`, …

    Args:
        tags: each X-Robots-Tag of an answer. An agent's name applies to the rest of its tag.
    """
    found = set()
    for tag in tags:
        for_us = True
        for directive in tag.lower().split(","):
            rule = directive
            if match := FOR_AGENT.fullmatch(directive):
                agent, rule = match.groups()
                for_us = agent in ("*", AGENT.lower())
            if for_us:
                found.add(rule.strip())
    return frozenset(found)
