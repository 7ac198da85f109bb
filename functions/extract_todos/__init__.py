"""extract_todos: make to-dos of the next steps that a user promised in a finished task."""
