create table isthmus_version (version_num varchar(32) not null, constraint isthmus_version_pkc primary key (version_num));
-- 0001
CREATE TABLE molecules (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    formula VARCHAR COLLATE "C",
    properties JSONB,
    CONSTRAINT pk_molecules PRIMARY KEY (id)
);
CREATE INDEX ix_molecules_formula ON molecules (formula);
CREATE TABLE protocols (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    description VARCHAR COLLATE "C",
    steps JSONB,
    CONSTRAINT pk_protocols PRIMARY KEY (id)
);
CREATE TABLE experiments (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    molecule_id VARCHAR(255) COLLATE "C",
    protocol_id VARCHAR(255) COLLATE "C",
    results JSONB,
    CONSTRAINT pk_experiments PRIMARY KEY (id),
    CONSTRAINT fk_experiments_molecule_id FOREIGN KEY(molecule_id) REFERENCES molecules (id),
    CONSTRAINT fk_experiments_protocol_id FOREIGN KEY(protocol_id) REFERENCES protocols (id)
);
CREATE INDEX ix_experiments_molecule_id ON experiments (molecule_id);
CREATE INDEX ix_experiments_protocol_id ON experiments (protocol_id);
CREATE TABLE isthmus_users (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    email VARCHAR(254) COLLATE "C" NOT NULL,
    password_hash VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR(255) COLLATE "C",
    role VARCHAR(64) COLLATE "C" NOT NULL,
    CONSTRAINT pk_isthmus_users PRIMARY KEY (id),
    CONSTRAINT uq_isthmus_users_email UNIQUE (email)
);
CREATE TABLE isthmus_idempotency_keys (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    fingerprint VARCHAR COLLATE "C" NOT NULL,
    status BIGINT,
    headers JSONB,
    body VARCHAR COLLATE "C",
    CONSTRAINT pk_isthmus_idempotency_keys PRIMARY KEY (id)
);
-- 0002
CREATE TABLE isthmus_sessions (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    user_id VARCHAR(255) COLLATE "C" NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    end_reason VARCHAR(64) COLLATE "C",
    user_agent VARCHAR(255) COLLATE "C",
    CONSTRAINT pk_isthmus_sessions PRIMARY KEY (id)
);
CREATE INDEX ix_isthmus_sessions_user_id ON isthmus_sessions (user_id);
CREATE INDEX ix_isthmus_sessions_ended_at ON isthmus_sessions (ended_at);
CREATE TABLE isthmus_refresh_tokens (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    session_id VARCHAR(255) COLLATE "C" NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    sealed_successor VARCHAR COLLATE "C",
    CONSTRAINT pk_isthmus_refresh_tokens PRIMARY KEY (id)
);
CREATE INDEX ix_isthmus_refresh_tokens_session_id ON isthmus_refresh_tokens (session_id);
CREATE TABLE isthmus_identities (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    issuer VARCHAR COLLATE "C" NOT NULL,
    subject VARCHAR COLLATE "C" NOT NULL,
    user_id VARCHAR(255) COLLATE "C" NOT NULL,
    CONSTRAINT pk_isthmus_identities PRIMARY KEY (id)
);
CREATE INDEX ix_isthmus_identities_user_id ON isthmus_identities (user_id);
-- 0003
CREATE TABLE isthmus_sync_cursors (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    session VARCHAR(64) COLLATE "C" NOT NULL,
    cursors JSONB NOT NULL,
    CONSTRAINT pk_isthmus_sync_cursors PRIMARY KEY (id)
);
CREATE TABLE isthmus_sync_records (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    pair VARCHAR(255) COLLATE "C" NOT NULL,
    session VARCHAR(64) COLLATE "C" NOT NULL,
    table_name VARCHAR(255) COLLATE "C" NOT NULL,
    record_id VARCHAR(255) COLLATE "C" NOT NULL,
    row VARCHAR COLLATE "C",
    CONSTRAINT pk_isthmus_sync_records PRIMARY KEY (id)
);
CREATE TABLE isthmus_sync_conflicts (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    pair VARCHAR(255) COLLATE "C" NOT NULL,
    table_name VARCHAR(255) COLLATE "C" NOT NULL,
    record_id VARCHAR(255) COLLATE "C" NOT NULL,
    rule VARCHAR(64) COLLATE "C" NOT NULL,
    base VARCHAR COLLATE "C",
    supabase_row VARCHAR COLLATE "C",
    convex_row VARCHAR COLLATE "C",
    result VARCHAR COLLATE "C",
    CONSTRAINT pk_isthmus_sync_conflicts PRIMARY KEY (id)
);
CREATE INDEX ix_isthmus_sync_conflicts_table_name ON isthmus_sync_conflicts (table_name);
CREATE TABLE isthmus_sync_failures (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    pair VARCHAR(255) COLLATE "C" NOT NULL,
    table_name VARCHAR(255) COLLATE "C" NOT NULL,
    record_id VARCHAR(255) COLLATE "C" NOT NULL,
    reason VARCHAR COLLATE "C" NOT NULL,
    CONSTRAINT pk_isthmus_sync_failures PRIMARY KEY (id)
);
-- 0004
CREATE TABLE notes (
    id VARCHAR(255) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    owner_id VARCHAR(255) COLLATE "C" NOT NULL,
    title VARCHAR(255) COLLATE "C" NOT NULL,
    body VARCHAR COLLATE "C",
    CONSTRAINT pk_notes PRIMARY KEY (id)
);
CREATE INDEX ix_notes_owner_id ON notes (owner_id);
-- 0005
CREATE INDEX ix_isthmus_idempotency_keys_created_at ON isthmus_idempotency_keys (created_at);
CREATE INDEX ix_isthmus_refresh_tokens_used_at ON isthmus_refresh_tokens (used_at);
insert into isthmus_version values ('0005');
