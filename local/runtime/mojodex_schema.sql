-- The Mojodex tables that this bundle touches, for local and test use only: a real installation has them already.
-- As in Mojodex, the only indexes are those of primary keys. Columns that end in _fk without a reference point to tables that are left out here.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TYPE _task_type AS ENUM ('instruct', 'workflow');
CREATE TYPE md_sender_ AS ENUM ('mojo', 'user', 'system');
CREATE TYPE document_type_ AS ENUM ('learned_by_mojo', 'webpage');
CREATE TYPE platform_name AS ENUM ('chrome', 'webapp', 'outlook', 'mobile');
CREATE TYPE _session_mode AS ENUM ('chat', 'form');

CREATE SEQUENCE md_task_seq;
CREATE SEQUENCE md_user_task_seq;
CREATE SEQUENCE md_message_seq;
CREATE SEQUENCE md_user_task_execution_seq;
CREATE SEQUENCE md_produced_text_seq;
CREATE SEQUENCE md_produced_text_version_seq;
CREATE SEQUENCE md_todo_seq;
CREATE SEQUENCE md_document_seq;
CREATE SEQUENCE md_document_chunk_seq;
CREATE SEQUENCE md_event_seq;
CREATE SEQUENCE md_error_seq;

CREATE TABLE md_user (
    user_id varchar(255) PRIMARY KEY,
    email varchar(255) NOT NULL,
    name varchar(255),
    language_code varchar(5),
    timezone_offset integer,
    goal text,
    company_description text,
    summary text,
    todo_email_reception boolean NOT NULL DEFAULT true,
    creation_date timestamptz NOT NULL,
    company_fk integer,
    product_category_fk integer,
    terms_and_conditions_accepted timestamptz,
    last_summary_update_date timestamptz,
    last_company_description_update_date timestamptz,
    onboarding_presented timestamptz,
    password varchar(255),
    google_id varchar(255),
    microsoft_id varchar(255),
    apple_id varchar(255)
);

CREATE TABLE md_task (
    task_pk integer PRIMARY KEY DEFAULT nextval('md_task_seq'),
    type _task_type NOT NULL DEFAULT 'instruct',
    name_for_system varchar(255) NOT NULL,
    definition_for_system text NOT NULL,
    final_instruction text,
    icon text,
    output_text_type_fk integer,
    output_format_instruction_title text,
    output_format_instruction_draft text,
    infos_to_extract json,
    visible_for_teasing boolean NOT NULL DEFAULT false,
    result_chat_enabled boolean NOT NULL DEFAULT true
);

CREATE TABLE md_user_task (
    user_task_pk integer PRIMARY KEY DEFAULT nextval('md_user_task_seq'),
    user_id varchar(255) NOT NULL REFERENCES md_user,
    task_fk integer NOT NULL REFERENCES md_task,
    enabled boolean NOT NULL DEFAULT true
);

CREATE TABLE md_session (
    session_id varchar(255) PRIMARY KEY,
    user_id varchar(255) NOT NULL REFERENCES md_user,
    creation_date timestamptz NOT NULL,
    language varchar(5) NOT NULL DEFAULT 'en',
    deleted_by_user boolean NOT NULL DEFAULT false,
    platform platform_name,
    end_date timestamptz,
    title varchar(255),
    starting_mode _session_mode
);

CREATE TABLE md_message (
    message_pk integer PRIMARY KEY DEFAULT nextval('md_message_seq'),
    session_id varchar(255) NOT NULL REFERENCES md_session,
    sender md_sender_ NOT NULL,
    message json NOT NULL,
    creation_date timestamptz NOT NULL,
    message_date timestamptz NOT NULL,
    event_name varchar(255),
    read_by_user timestamptz,
    in_error_state timestamptz
);

CREATE TABLE md_user_task_execution (
    user_task_execution_pk integer PRIMARY KEY DEFAULT nextval('md_user_task_execution_seq'),
    user_task_fk integer NOT NULL REFERENCES md_user_task,
    session_id varchar(255) NOT NULL REFERENCES md_session,
    json_input_values json NOT NULL,
    start_date timestamp,
    end_date timestamp,
    title varchar(255),
    summary text,
    predefined_action_from_user_task_execution_fk integer REFERENCES md_user_task_execution,
    todos_extracted timestamptz,
    deleted_by_user timestamptz,
    purchase_fk integer
);

CREATE TABLE md_produced_text (
    produced_text_pk integer PRIMARY KEY DEFAULT nextval('md_produced_text_seq'),
    user_id varchar(255) NOT NULL REFERENCES md_user,
    user_task_execution_fk integer REFERENCES md_user_task_execution,
    session_id varchar(255),
    deleted_by_user timestamptz
);

CREATE TABLE md_produced_text_version (
    produced_text_version_pk integer PRIMARY KEY DEFAULT nextval('md_produced_text_version_seq'),
    produced_text_fk integer NOT NULL REFERENCES md_produced_text,
    creation_date timestamp NOT NULL,
    production text NOT NULL,
    title text,
    text_type_fk integer,
    read_by_user timestamptz,
    embedding vector(1536)
);

CREATE TABLE md_todo (
    todo_pk integer PRIMARY KEY DEFAULT nextval('md_todo_seq'),
    user_task_execution_fk integer NOT NULL REFERENCES md_user_task_execution,
    description text NOT NULL,
    creation_date timestamptz NOT NULL DEFAULT now(),
    completed timestamptz,
    deleted_by_user timestamptz,
    deleted_by_mojo timestamptz,
    read_by_user timestamptz,
    deletion_justification text
);

-- As in Mojodex, this key also comes from the sequence of md_todo.
CREATE TABLE md_todo_scheduling (
    todo_scheduling_pk integer PRIMARY KEY DEFAULT nextval('md_todo_seq'),
    todo_fk integer NOT NULL REFERENCES md_todo,
    scheduled_date date NOT NULL,
    creation_date timestamptz NOT NULL DEFAULT now(),
    reschedule_justification text
);

CREATE TABLE md_document (
    document_pk integer PRIMARY KEY DEFAULT nextval('md_document_seq'),
    name varchar(255) NOT NULL,
    author_user_id varchar(255) NOT NULL REFERENCES md_user,
    creation_date timestamp NOT NULL,
    document_type document_type_ NOT NULL,
    deleted_by_user boolean NOT NULL DEFAULT false,
    last_update_date timestamptz
);

CREATE TABLE md_document_chunk (
    document_chunk_pk integer PRIMARY KEY DEFAULT nextval('md_document_chunk_seq'),
    document_fk integer NOT NULL REFERENCES md_document,
    index integer NOT NULL,
    embedding vector(1536) NOT NULL,
    chunk_text text NOT NULL,
    deleted timestamptz
);

CREATE TABLE md_event (
    event_pk integer PRIMARY KEY DEFAULT nextval('md_event_seq'),
    event_type varchar(255) NOT NULL,
    user_id varchar(255) NOT NULL REFERENCES md_user,
    message json NOT NULL,
    creation_date timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE md_error (
    error_pk integer PRIMARY KEY DEFAULT nextval('md_error_seq'),
    message text NOT NULL,
    creation_date timestamptz NOT NULL,
    session_id varchar(255) REFERENCES md_session
);
