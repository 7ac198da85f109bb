"""reschedule_todo: an overdue to-do is moved to a day that makes sense, and the user is told why."""
