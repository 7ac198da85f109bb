"""Safe and polite fetching of pages, without any code about documents."""
