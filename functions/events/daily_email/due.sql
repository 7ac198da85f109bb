-- Select the users on one page who get their daily to-do e-mail now.
--
-- Their local time is in the window, they want it, they did not get it today, and it would not be empty. The query
-- reads users by offset, from an index, so its cost follows the number of users in this window.
--
-- Columns
--   subject                     the event and the user
--   occasion, local_date        the user's local date
--   user_id
--   after_offset, after_user_id
--                               After a full page, one row without a subject has the next parameters.
-- Parameters
--   after_offset, after_user_id
--                               the user after whom the page begins; on the first page: the first offset of
--                               the window (minutes, UTC minus local time), and ''
--   last_offset                 the last offset of the window
--   without_offset              whether the page has the users without an offset instead
--   local_date                  the local date of these users
--   default_timezone_offset     for users without an offset
--   previous_working_day        moves since the start of this local day count
--   may_pause                   whether to leave out users whose mail pauses and who gave no sign of life since
--   send_empty                  whether to send an empty mail
--   page_size                   users in a page, due or not
-- {sign_of_life} is `mojodex/sign_of_life.sql` since the pause began. {mail_block} is `mojodex/mail_block.sql` at
-- :now, which `mojodex.jobs.claim` supplies; it leaves out blocked addresses.
-- `unclaimable` lists the jobs that a schedule may not claim; `mojodex.jobs.claim` defines it.
WITH page AS MATERIALIZED (
    -- Two ranges of one index, of which one is read. With OR in one condition, the index would not serve.
    -- Only columns of the index, so that it is read in order, and only to the end of the page.
    (
        SELECT user_id, timezone_offset
        FROM md_user
        WHERE NOT :without_offset
            AND (timezone_offset, user_id) > (:after_offset, :after_user_id)
            AND timezone_offset <= :last_offset
        ORDER BY timezone_offset, user_id
        LIMIT :page_size
    )
    UNION ALL
    (
        SELECT user_id, timezone_offset
        FROM md_user
        WHERE :without_offset
            AND timezone_offset IS NULL
            AND user_id > :after_user_id
        ORDER BY user_id
        LIMIT :page_size
    )
),
page_end AS (
    SELECT COALESCE(timezone_offset, 0) AS after_offset, user_id AS after_user_id
    FROM page
    ORDER BY timezone_offset, user_id
    OFFSET :page_size - 1
),
-- MATERIALIZED: the ledger and the to-dos are read only for users who want the e-mail.
willing AS MATERIALIZED (
    SELECT page.user_id, page.timezone_offset
    FROM page
    -- LATERAL with LIMIT 1 stays a lookup for each row; without statistics, a join can read the whole table.
    CROSS JOIN LATERAL (
        SELECT FROM md_user WHERE md_user.user_id = page.user_id AND md_user.todo_email_reception LIMIT 1
    ) AS its_user
),
due AS (
    SELECT willing.user_id, 'todo_daily_emails:' || willing.user_id AS subject
    FROM willing
    WHERE NOT EXISTS (
            SELECT
            FROM unclaimable
            WHERE unclaimable.subject = 'todo_daily_emails:' || willing.user_id
                AND unclaimable.occasion = CAST(:local_date AS text)
            -- OFFSET 0 keeps this a lookup for each row; as an anti-join, it can read the whole ledger.
            OFFSET 0
        )
        AND NOT EXISTS {mail_block}
        AND NOT (:may_pause AND EXISTS (
            SELECT
            FROM md_background_pause AS pause
            WHERE pause.user_id = willing.user_id AND NOT {sign_of_life}
            OFFSET 0
        ))
        AND (:send_empty OR EXISTS (
            SELECT
            -- LATERAL and OFFSET 0 keep this order of joins; without statistics, all open to-dos came first.
            FROM (
                SELECT user_task_pk FROM md_user_task WHERE md_user_task.user_id = willing.user_id OFFSET 0
            ) AS user_task
            CROSS JOIN LATERAL (
                SELECT user_task_execution_pk
                FROM md_user_task_execution
                WHERE user_task_fk = user_task.user_task_pk
                OFFSET 0
            ) AS execution
            CROSS JOIN LATERAL (
                SELECT todo_pk, completed, deleted_by_user, deleted_by_mojo
                FROM md_todo
                WHERE user_task_execution_fk = execution.user_task_execution_pk
                OFFSET 0
            ) AS todo
            CROSS JOIN LATERAL (
                SELECT scheduled_date, creation_date, reschedule_justification
                FROM md_todo_scheduling
                WHERE todo_fk = todo.todo_pk
                ORDER BY creation_date DESC, todo_scheduling_pk DESC
                LIMIT 1
            ) AS newest
            WHERE todo.completed IS NULL
                AND todo.deleted_by_user IS NULL
                AND todo.deleted_by_mojo IS NULL
                AND (
                    newest.scheduled_date <= :local_date
                    OR newest.reschedule_justification IS NOT NULL
                    AND newest.creation_date >= (
                        CAST(:previous_working_day AS timestamp)
                        + make_interval(mins => COALESCE(willing.timezone_offset, :default_timezone_offset))
                    ) AT TIME ZONE 'UTC'
                )
        ))
)
SELECT
    subject,
    CAST(:local_date AS text) AS occasion,
    user_id,
    CAST(:local_date AS date) AS local_date,
    NULL AS after_offset,
    NULL AS after_user_id
FROM due
UNION ALL
SELECT NULL, NULL, NULL, NULL, after_offset, after_user_id FROM page_end
