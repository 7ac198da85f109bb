"""The daily to-do e-mail: its audience, content, wording and templates."""
