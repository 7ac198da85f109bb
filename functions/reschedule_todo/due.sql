-- Select the overdue to-dos on one page of what was planned lately, if it is night for their user.
--
-- A to-do is overdue when it is open and the date of its newest scheduling is before its user's local date.
-- Overdue to-dos are moved every night. So nearly all of them were planned for the last working day or since,
-- and an index finds these. The cost follows the schedulings of these days, not all open or moved to-dos.
-- due_everything.sql finds the rest.
--
-- Columns
--   subject               key of the to-do
--   occasion, local_date  the user's local date
--   user_id               whose to-do
--   after_date, after_pk  After a full page, one row without a subject has the next parameters.
-- Parameters
--   after_date, after_pk  the scheduling after which the page begins; first the last working day, and 0
--   last_date             the newest date that has ended anywhere on earth
--   local_dates, first_offsets, last_offsets
--                         arrays of one length: it is night of this local date for users whose offset is
--                         between the two (minutes, UTC minus local time); see `mojodex.clock.local_windows`
--   default_timezone_offset
--                         for users without an offset
--   page_size             schedulings in a page, most of which are not due
-- `unclaimable` lists the jobs that a schedule may not claim; `mojodex.jobs.claim` defines it.
WITH page AS MATERIALIZED (
    -- Only columns of the index, so that it is read in order, and only to the end of the page.
    SELECT todo_scheduling_pk, todo_fk, scheduled_date
    FROM md_todo_scheduling
    WHERE (scheduled_date, todo_scheduling_pk) > (:after_date, :after_pk)
        AND scheduled_date <= :last_date
    ORDER BY scheduled_date, todo_scheduling_pk
    LIMIT :page_size
),
page_end AS (
    SELECT scheduled_date AS after_date, todo_scheduling_pk AS after_pk
    FROM page
    ORDER BY scheduled_date, todo_scheduling_pk
    OFFSET :page_size - 1
),
overdue AS MATERIALIZED (
    SELECT todo.todo_pk, page.scheduled_date, newest.creation_date, its_user.user_id, its_user.timezone_offset
    FROM page
    -- LATERAL with LIMIT 1 stays a lookup for each row; without statistics, a join read whole tables.
    CROSS JOIN LATERAL (
        SELECT scheduling.todo_scheduling_pk, scheduling.creation_date
        FROM md_todo_scheduling AS scheduling
        WHERE scheduling.todo_fk = page.todo_fk
        ORDER BY scheduling.creation_date DESC, scheduling.todo_scheduling_pk DESC
        LIMIT 1
    ) AS newest
    CROSS JOIN LATERAL (
        SELECT todo.todo_pk, todo.user_task_execution_fk
        FROM md_todo AS todo
        WHERE todo.todo_pk = page.todo_fk
            AND todo.completed IS NULL
            AND todo.deleted_by_user IS NULL
            AND todo.deleted_by_mojo IS NULL
        LIMIT 1
    ) AS todo
    CROSS JOIN LATERAL (
        SELECT its_user.user_id, its_user.timezone_offset
        FROM md_user_task_execution AS execution
        JOIN md_user_task AS user_task ON user_task.user_task_pk = execution.user_task_fk
        JOIN md_user AS its_user ON its_user.user_id = user_task.user_id
        WHERE execution.user_task_execution_pk = todo.user_task_execution_fk
        LIMIT 1
    ) AS its_user
    WHERE newest.todo_scheduling_pk = page.todo_scheduling_pk
),
-- From here to the end of `due`, due.sql and due_everything.sql are the same; a test compares them.
-- MATERIALIZED: the ledger is read only for to-dos of users whose local time is at night.
at_night AS MATERIALIZED (
    SELECT
        CAST(overdue.todo_pk AS text) AS subject,
        night.local_date,
        overdue.user_id,
        overdue.creation_date
    FROM overdue
    JOIN unnest(
            CAST(:local_dates AS date[]),
            CAST(:first_offsets AS integer[]),
            CAST(:last_offsets AS integer[])
        ) AS night (local_date, first_offset, last_offset)
        ON COALESCE(overdue.timezone_offset, :default_timezone_offset)
            BETWEEN night.first_offset AND night.last_offset
        AND overdue.scheduled_date < night.local_date
),
due AS (
    SELECT at_night.subject, at_night.local_date, at_night.user_id
    FROM at_night
    WHERE NOT EXISTS (
            SELECT
            FROM unclaimable
            WHERE unclaimable.subject = at_night.subject
                AND unclaimable.occasion = CAST(at_night.local_date AS text)
            -- OFFSET 0 keeps this a lookup for each row; as an anti-join, it can read the whole ledger.
            OFFSET 0
        )
        -- A failed move is tried again after the to-do was moved or the job was deleted. A job that only ran
        -- out of attempts gets another night.
        AND NOT EXISTS (
            SELECT
            FROM md_background_job AS failed
            WHERE failed.process = 'reschedule_todo'
                AND failed.subject = at_night.subject
                AND failed.state = 'failed'
                AND failed.outcome ->> 'attempts_exhausted' IS DISTINCT FROM 'true'
                AND failed.finished_at > at_night.creation_date
            -- OFFSET 0, as above.
            OFFSET 0
        )
)
SELECT subject, CAST(local_date AS text) AS occasion, local_date, user_id, NULL AS after_date, NULL AS after_pk
FROM due
UNION ALL
SELECT NULL, NULL, NULL, NULL, after_date, after_pk FROM page_end
