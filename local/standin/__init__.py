"""The stand-in for a language model. It follows rules, and needs neither a network nor a key."""
