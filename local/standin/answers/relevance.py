"""Relevance: judge chunks of a page by typical words of headers, footers, menus and notices.

English and French, with a few words of German and Spanish. Instructions in a chunk have no effect.
"""

# Typographic dashes and quotation marks are intended.
# ruff: noqa: RUF001

import re
from typing import Any

from local.standin.answers.prompts import PromptError

_CHUNK = re.compile(r'^<chunk-(\w+) number="(\d+)">\n(.*?)\n?^</chunk-\1>', re.MULTILINE | re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\s*\n\s*")
# Between the entries of a menu or a breadcrumb in one line.
_SEPARATORS = re.compile(r"\s+[|›»>/·•→]\s+")
# Boilerplate, anywhere in a sentence.
_BOILERPLATE = re.compile(
    r"©|\(c\) ?(?:19|20)\d\d|copyright|all rights reserved|tous droits réservés|alle rechte vorbehalten"
    r"|(?:todos los )?derechos reservados|powered by|propulsé par"
    r"|(?:subscribe|sign up|join|inscri\w+|abonne\w+|anmeld\w+|suscr\w+)\b.*\b(?:newsletter|boletín)"
    r"|(?:our|notre|nos|unser\w*|nuestro)\s+newsletter|unsubscribe (?:at any time|any ?time)|no spam"
    r"|(?:follow|find|join|like) us on|suivez-nous|folge\w* uns|síguenos|retrouvez-nous sur"
    r"|share (?:this|on)\b|partage[rz]\b.*\b(?:facebook|linkedin|article|page)|tweet this"
    r"|skip to (?:main )?content|aller au contenu|zum inhalt|saltar al contenido|back to top|haut de page"
    r"|you are here|vous êtes ici|sie sind hier|javascript (?:is|must be|to)\b|read more$|lire la suite$"
    r"|weiterlesen$|leer más$|(?:previous|next) (?:post|article|page)|article (?:précédent|suivant)",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"\bcookies?\b", re.IGNORECASE)
_CONSENT = re.compile(
    r"\b(?:accept|agree|allow|reject|decline|consent|preferences|settings|continu|improve|best experience"
    r"|accepte|refuse|paramétr|améliorer|akzeptier|ablehn|einstellung|acept|rechaz)",
    re.IGNORECASE,
)
# A longer text about cookies is a policy, which is relevant.
LONGEST_NOTICE_WORDS = 90
_MENU_WORD = re.compile(
    r"^(?:home|menu|about(?: us)?|contact(?: us)?|products?|services?|pricing|blog|news|faq|team|careers|jobs"
    r"|press|search|log ?in|sign (?:in|up)|log ?out|my account|cart|basket|shop|terms|privacy(?: policy)?"
    r"|imprint|sitemap|site map|cookies?|legal(?: notice)?|english|français|deutsch|español|en|fr|de|es"
    r"|facebook|instagram|linkedin|twitter|x|youtube|tiktok|pinterest|accueil|à propos|produits|tarifs"
    r"|équipe|actualités|recherche|connexion|panier|mentions légales|plan du site|startseite|über uns"
    r"|produkte|preise|kontakt|impressum|datenschutz|suche|anmelden|inicio|nosotros|productos|precios|contacto|buscar"
    r"|accept(?: all)?|reject(?: all)?|ok|close|share|print|next|previous|more)$",
    re.IGNORECASE,
)
# A list of this many short entries is a menu, unless one is a sentence or a fact.
MENU_ENTRIES = 6
ENTRY_WORDS = 4
# Chinese, Japanese, Thai: no spaces between words.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_FACT = re.compile(r"[\d€$£%@]")


def relevance(prompt: str) -> dict[str, Any]:
    """Return a verdict for each chunk of a rendered relevance prompt.

    Args:
        prompt: holds the chunks, each between `<chunk-NONCE number="N">` and `</chunk-NONCE>`.

    Returns:
        `{"verdicts": [{"chunk", "relevant"}]}`, in the order of the chunks.

    Raises:
        PromptError: the prompt has no chunk.
    """
    chunks = _CHUNK.findall(prompt)
    if not chunks:
        raise PromptError("the stand-in finds no <chunk> in the prompt")
    return {"verdicts": [{"chunk": int(number), "relevant": _relevant(text)} for _, number, text in chunks]}


def _relevant(text: str) -> bool:
    if _COOKIE.search(text) and _CONSENT.search(text) and len(text.split()) <= LONGEST_NOTICE_WORDS:
        return False
    entries = [
        entry
        for piece in _SENTENCE_END.split(text)
        for entry in map(_bare, _SEPARATORS.split(piece))
        if entry
    ]
    left = [entry for entry in entries if not (_BOILERPLATE.search(entry) or _MENU_WORD.match(entry))]
    if any(_says_something(entry) for entry in left):
        return True
    # A few short entries outside of a menu, for example names of products, are relevant.
    return len(left) > len(entries) / 2 and len(entries) < MENU_ENTRIES


def _bare(entry: str) -> str:
    return entry.strip(" .-–*")


def _says_something(entry: str) -> bool:
    """Tell whether an entry is a sentence, or a fact such as a price or an address."""
    if _UNSPACED.search(entry):
        return len(entry) > ENTRY_WORDS * 3
    return len(entry.split()) > ENTRY_WORDS or bool(_FACT.search(entry))
