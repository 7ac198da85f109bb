"""The stand-in for a language model: it follows rules, needs no network and no key, and says what it is."""
