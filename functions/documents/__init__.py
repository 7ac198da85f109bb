"""Websites and texts become searchable documents, and stay current."""
