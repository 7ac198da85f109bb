"""From the bytes of a page to chunks of its main text. Knows nothing of the web and of the database."""
