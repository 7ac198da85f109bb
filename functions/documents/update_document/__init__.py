"""update_document: a document gets a new edition, or its page is fetched again."""
