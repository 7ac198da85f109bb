"""reschedule_todo: move an overdue to-do to a better day, and tell the user why."""
