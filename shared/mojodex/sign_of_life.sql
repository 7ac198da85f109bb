-- The condition that a user has given a sign of life since a moment: they registered, wrote a message, started a
-- task, edited a result, or touched a to-do. Mojo's own actions do not count: it may open a session, write a message,
-- make a to-do, or learn a page.
--
-- Part of other statements (see `mojodex.queries`), which replace {user_id} and {since} by their expressions.
-- Cheap conditions come first, and newest sessions first. OFFSET 0 keeps each an index lookup for this one user.
-- Without it, the planner may read a whole table once and hash it.
EXISTS (
    SELECT FROM md_user AS its_user
    WHERE its_user.user_id = {user_id} AND its_user.creation_date > {since}
    OFFSET 0
)
OR EXISTS (
    SELECT
    FROM (
        SELECT session_id FROM md_session AS session
        WHERE session.user_id = {user_id}
        ORDER BY session.creation_date DESC
        OFFSET 0
    ) AS its_session
    CROSS JOIN LATERAL (
        SELECT FROM md_message AS message
        WHERE message.session_id = its_session.session_id
            AND message.message_date > {since}
            AND message.sender = 'user'
        LIMIT 1
    ) AS its_message
    OFFSET 0
)
OR EXISTS (
    SELECT
    FROM (
        SELECT user_task_pk FROM md_user_task AS user_task WHERE user_task.user_id = {user_id} OFFSET 0
    ) AS its_task
    CROSS JOIN LATERAL (
        SELECT user_task_execution_pk, start_date
        FROM md_user_task_execution AS execution
        WHERE execution.user_task_fk = its_task.user_task_pk
        OFFSET 0
    ) AS its_execution
    WHERE its_execution.start_date > {since}
        OR EXISTS (
            SELECT FROM md_todo AS todo
            WHERE todo.user_task_execution_fk = its_execution.user_task_execution_pk
                AND GREATEST(todo.completed, todo.deleted_by_user, todo.read_by_user) > {since}
            OFFSET 0
        )
        OR EXISTS (
            SELECT
            FROM (
                SELECT produced_text_pk FROM md_produced_text AS text
                WHERE text.user_task_execution_fk = its_execution.user_task_execution_pk
                OFFSET 0
            ) AS its_text
            CROSS JOIN LATERAL (
                SELECT FROM md_produced_text_version AS version
                WHERE version.produced_text_fk = its_text.produced_text_pk AND version.creation_date > {since}
                LIMIT 1
            ) AS its_version
            OFFSET 0
        )
    OFFSET 0
)
