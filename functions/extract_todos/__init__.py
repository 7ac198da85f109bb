"""extract_todos: the next steps that a user said they would take in a finished task become to-dos."""
