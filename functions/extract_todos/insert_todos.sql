-- Insert to-dos and their first schedulings in one statement.
--
-- The to-dos get their keys in the order of the arrays. So the order of the keys matches each to-do with its
-- scheduling and its returned key.
--
-- Column
--   todo_fk       key of a to-do
-- Parameters
--   descriptions, due_dates
--                 arrays of one length
--   pk            key of their execution
--   now           the present moment (a timestamp with zone)
WITH new AS (
    SELECT description, due_date, number
    FROM unnest(CAST(:descriptions AS text[]), CAST(:due_dates AS date[]))
        WITH ORDINALITY AS new (description, due_date, number)
),
todo AS (
    INSERT INTO md_todo (user_task_execution_fk, description, creation_date)
    SELECT :pk, description, :now
    FROM new
    ORDER BY number
    RETURNING todo_pk
),
numbered AS (
    SELECT todo_pk, row_number() OVER (ORDER BY todo_pk) AS number
    FROM todo
)
INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date)
SELECT numbered.todo_pk, new.due_date, :now
FROM numbered
JOIN new USING (number)
RETURNING todo_fk
