"""Fetches pages, safely and politely. Knows nothing of documents."""
