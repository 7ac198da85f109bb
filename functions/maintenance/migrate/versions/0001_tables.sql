CREATE TABLE IF NOT EXISTS md_background_job (
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

CREATE TABLE IF NOT EXISTS md_background_page (
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

CREATE TABLE IF NOT EXISTS md_background_document (
    document_fk  integer     PRIMARY KEY,
    etag         text,
    html_hash    text,
    left_out     text[]      NOT NULL,
    edition_sent timestamptz
);

CREATE TABLE IF NOT EXISTS md_background_website (
    user_id        varchar(255) NOT NULL,
    site           text         NOT NULL,
    repeated_lines bigint[]     NOT NULL,
    PRIMARY KEY (user_id, site)
);

CREATE TABLE IF NOT EXISTS md_background_host_slot (
    host    text        NOT NULL,
    slot    integer     NOT NULL,
    free_at timestamptz NOT NULL,
    PRIMARY KEY (host, slot)
);
