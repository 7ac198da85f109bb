"""create_from_website: find, fetch and stage the pages of a website."""
