"""The daily to-do e-mail: who gets it, what it says, and how it looks."""
