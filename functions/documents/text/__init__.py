"""Chunks of a page's main content, made from its bytes, without web or database."""
