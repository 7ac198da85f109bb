"""update_document: save a new edition of a document, or fetch its page again."""
