-- What the bundle added to a Mojodex database at commit 867be93, the last one before Alembic.

CREATE TABLE md_background_job (
    process     varchar(64)  NOT NULL,
    subject     text         NOT NULL,
    occasion    text         NOT NULL DEFAULT '',
    state       varchar(16)  NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'skipped')),
    attempts    integer      NOT NULL DEFAULT 0,
    queued_at   timestamptz  NOT NULL DEFAULT now(),
    started_at  timestamptz,
    finished_at timestamptz,
    outcome     jsonb,
    PRIMARY KEY (process, subject, occasion)
);

CREATE TABLE md_background_page (
    page_pk     integer      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject     text         NOT NULL,
    occasion    text         NOT NULL,
    user_id     varchar(255) NOT NULL,
    url         text         NOT NULL,
    key         text         NOT NULL,
    depth       integer      NOT NULL,
    state       varchar(16)  NOT NULL
        CHECK (state IN ('found', 'staged', 'stored', 'unchanged', 'skipped', 'failed')),
    reason      text,
    html        bytea,
    charset     text,
    html_hash   text,
    etag        text,
    canonical   text,
    lines       bigint[],
    found_at    timestamptz  NOT NULL,
    UNIQUE (subject, occasion, key)
);

CREATE TABLE md_background_document (
    document_fk  integer     PRIMARY KEY,
    etag         text,
    html_hash    text,
    left_out     text[]      NOT NULL,
    edition_sent timestamptz
);

CREATE TABLE md_background_website (
    user_id        varchar(255) NOT NULL,
    site           text         NOT NULL,
    repeated_lines bigint[]     NOT NULL,
    PRIMARY KEY (user_id, site)
);

CREATE TABLE md_background_host_slot (
    host    text        NOT NULL,
    slot    integer     NOT NULL,
    free_at timestamptz NOT NULL,
    PRIMARY KEY (host, slot)
);

CREATE INDEX mojodex_background_version_by_date
    ON md_produced_text_version (creation_date, produced_text_version_pk);
CREATE INDEX mojodex_background_version_by_text
    ON md_produced_text_version (produced_text_fk, creation_date);
CREATE INDEX mojodex_background_text_by_execution
    ON md_produced_text (user_task_execution_fk);
CREATE INDEX mojodex_background_message_by_session
    ON md_message (session_id, message_date);
CREATE INDEX mojodex_background_todo_by_execution
    ON md_todo (user_task_execution_fk);
CREATE INDEX mojodex_background_execution_by_user_task
    ON md_user_task_execution (user_task_fk);
CREATE INDEX mojodex_background_user_task_by_user
    ON md_user_task (user_id);
CREATE INDEX mojodex_background_open_todo
    ON md_todo (todo_pk) WHERE completed IS NULL AND deleted_by_user IS NULL AND deleted_by_mojo IS NULL;
CREATE INDEX mojodex_background_scheduling_by_todo
    ON md_todo_scheduling (todo_fk, creation_date, todo_scheduling_pk) INCLUDE (scheduled_date);
CREATE INDEX mojodex_background_scheduling_by_date
    ON md_todo_scheduling (scheduled_date, todo_scheduling_pk) INCLUDE (todo_fk);
CREATE INDEX mojodex_background_user_by_offset
    ON md_user (timezone_offset, user_id);
CREATE INDEX mojodex_background_document_by_name
    ON md_document (author_user_id, name);
CREATE INDEX mojodex_background_chunk_by_document
    ON md_document_chunk (document_fk);
CREATE INDEX mojodex_background_page_by_key
    ON md_background_page (user_id, key);
CREATE INDEX mojodex_background_open_page
    ON md_background_page (page_pk) WHERE state IN ('found', 'staged');
CREATE INDEX mojodex_background_ended_page
    ON md_background_page (found_at) WHERE state IN ('stored', 'unchanged', 'skipped', 'failed');
CREATE INDEX mojodex_background_ended_job
    ON md_background_job (finished_at) WHERE state IN ('done', 'failed', 'skipped');
