"""create_from_website: the pages of a website are found, fetched and staged."""
