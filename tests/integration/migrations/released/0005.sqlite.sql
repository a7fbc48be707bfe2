BEGIN TRANSACTION;
CREATE TABLE experiments (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	name VARCHAR NOT NULL, 
	molecule_id VARCHAR(255), 
	protocol_id VARCHAR(255), 
	results TEXT, 
	CONSTRAINT pk_experiments PRIMARY KEY (id), 
	CONSTRAINT fk_experiments_molecule_id FOREIGN KEY(molecule_id) REFERENCES molecules (id), 
	CONSTRAINT fk_experiments_protocol_id FOREIGN KEY(protocol_id) REFERENCES protocols (id)
);
INSERT INTO "experiments" VALUES('e1','2026-11-29T09:59:15.191635Z','2026-11-29T09:59:15.191635Z',1,'Boiling','water','boil','{"t":100}');
CREATE TABLE isthmus_changes (seq integer primary key autoincrement, table_name text not null, record_id text not null, kind text not null, at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), mark blob not null default (randomblob(8)));
INSERT INTO "isthmus_changes" VALUES(1,'','','begin','2026-11-29T09:59:15.161Z',X'9EF9777EF8CB8A7F');
INSERT INTO "isthmus_changes" VALUES(2,'molecules','water','insert','2026-11-29T09:59:15.187Z',X'23A58D250242A6DC');
INSERT INTO "isthmus_changes" VALUES(3,'protocols','boil','insert','2026-11-29T09:59:15.189Z',X'4A6905517068A3EB');
INSERT INTO "isthmus_changes" VALUES(4,'experiments','e1','insert','2026-11-29T09:59:15.191Z',X'896D6B2ED66C4024');
INSERT INTO "isthmus_changes" VALUES(5,'notes','n1','insert','2026-11-29T09:59:15.193Z',X'D70D3AFD28E594C3');
CREATE TABLE isthmus_idempotency_keys (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	status BIGINT, 
	headers TEXT, 
	body VARCHAR, 
	CONSTRAINT pk_isthmus_idempotency_keys PRIMARY KEY (id)
);
INSERT INTO "isthmus_idempotency_keys" VALUES('e1b59b98bfc9887c3ac6a1ffb7df71cf8ea27cf4cfda29773ec2bee32e242353','2026-11-29T09:59:15.186005Z','2026-11-29T09:59:15.187371Z',2,'6c242488329f9ff3d0fe3bfcde9df3466c6d23b6b58348cadd4318f90360dbcf',201,'{"Content-Type":"application/json","ETag":"\"1\"","Location":"/api/molecules/water"}','{"id":"water","created_at":"2026-11-29T09:59:15.186867Z","updated_at":"2026-11-29T09:59:15.186867Z","version":1,"name":"Water","formula":"H2O","properties":{"mass":18.015}}');
CREATE TABLE isthmus_identities (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	issuer VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	user_id VARCHAR(255) NOT NULL, 
	CONSTRAINT pk_isthmus_identities PRIMARY KEY (id)
);
CREATE TABLE isthmus_refresh_tokens (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	session_id VARCHAR(255) NOT NULL, 
	used_at TEXT, 
	sealed_successor VARCHAR, 
	CONSTRAINT pk_isthmus_refresh_tokens PRIMARY KEY (id)
);
INSERT INTO "isthmus_refresh_tokens" VALUES('9a6da93b7c7325b153444575bd94c6ec60dda7257aaabe2f57cc5defbf0bdeb3','2026-11-29T09:59:15.174611Z','2026-11-29T09:59:15.174611Z',1,'01a226be-99e5-741b-9373-bd9a08b65dc8',NULL,NULL);
CREATE TABLE isthmus_sessions (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	user_id VARCHAR(255) NOT NULL, 
	last_used_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	ended_at TEXT, 
	end_reason VARCHAR(64), 
	user_agent VARCHAR(255), 
	CONSTRAINT pk_isthmus_sessions PRIMARY KEY (id)
);
INSERT INTO "isthmus_sessions" VALUES('01a226be-99e5-741b-9373-bd9a08b65dc8','2026-11-29T09:59:15.173907Z','2026-11-29T09:59:15.173907Z',1,'01a226be-99e4-763c-ba3a-ace62d1968a0','2026-11-29T09:59:15.173248Z','2027-02-27T09:59:15.173248Z',NULL,NULL,'Werkzeug/3.1.9');
CREATE TABLE isthmus_sync_conflicts (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	pair VARCHAR(255) NOT NULL, 
	table_name VARCHAR(255) NOT NULL, 
	record_id VARCHAR(255) NOT NULL, 
	rule VARCHAR(64) NOT NULL, 
	base VARCHAR, 
	supabase_row VARCHAR, 
	convex_row VARCHAR, 
	result VARCHAR, 
	CONSTRAINT pk_isthmus_sync_conflicts PRIMARY KEY (id)
);
INSERT INTO "isthmus_sync_conflicts" VALUES('01a226be-99fc-76e9-8a98-0f090888803c','2026-11-29T09:59:15.196920Z','2026-11-29T09:59:15.196920Z',1,'pair','molecules','water','x',NULL,'{}',NULL,NULL);
CREATE TABLE isthmus_sync_cursors (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	session VARCHAR(64) NOT NULL, 
	cursors TEXT NOT NULL, 
	CONSTRAINT pk_isthmus_sync_cursors PRIMARY KEY (id)
);
INSERT INTO "isthmus_sync_cursors" VALUES('pair','2026-11-29T09:59:15.194816Z','2026-11-29T09:59:15.194816Z',1,'s1','{"a":"1"}');
CREATE TABLE isthmus_sync_failures (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	pair VARCHAR(255) NOT NULL, 
	table_name VARCHAR(255) NOT NULL, 
	record_id VARCHAR(255) NOT NULL, 
	reason VARCHAR NOT NULL, 
	CONSTRAINT pk_isthmus_sync_failures PRIMARY KEY (id)
);
CREATE TABLE isthmus_sync_records (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	pair VARCHAR(255) NOT NULL, 
	session VARCHAR(64) NOT NULL, 
	table_name VARCHAR(255) NOT NULL, 
	record_id VARCHAR(255) NOT NULL, 
	"row" VARCHAR, 
	CONSTRAINT pk_isthmus_sync_records PRIMARY KEY (id)
);
INSERT INTO "isthmus_sync_records" VALUES('r1','2026-11-29T09:59:15.195792Z','2026-11-29T09:59:15.195792Z',1,'pair','s1','molecules','water','{}');
CREATE TABLE isthmus_users (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	email VARCHAR(254) NOT NULL, 
	password_hash VARCHAR NOT NULL, 
	name VARCHAR(255), 
	role VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_isthmus_users PRIMARY KEY (id), 
	CONSTRAINT uq_isthmus_users_email UNIQUE (email)
);
INSERT INTO "isthmus_users" VALUES('01a226be-99e4-763c-ba3a-ace62d1968a0','2026-11-29T09:59:15.172490Z','2026-11-29T09:59:15.172490Z',1,'kept@example.org','$argon2id$v=19$m=8,t=1,p=1$cIFOLSy05gXdpkd9yZ9uxA$pPRbspAWwb6ucNTpcH/EjOblNhKipLtN7V7/PL7UnFw',NULL,'user');
CREATE TABLE isthmus_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT isthmus_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "isthmus_version" VALUES('0005');
CREATE TABLE molecules (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	name VARCHAR NOT NULL, 
	formula VARCHAR, 
	properties TEXT, 
	CONSTRAINT pk_molecules PRIMARY KEY (id)
);
INSERT INTO "molecules" VALUES('water','2026-11-29T09:59:15.186867Z','2026-11-29T09:59:15.186867Z',1,'Water','H2O','{"mass":18.015}');
CREATE TABLE notes (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	owner_id VARCHAR(255) NOT NULL, 
	title VARCHAR(255) NOT NULL, 
	body VARCHAR, 
	CONSTRAINT pk_notes PRIMARY KEY (id)
);
INSERT INTO "notes" VALUES('n1','2026-11-29T09:59:15.193535Z','2026-11-29T09:59:15.193535Z',1,'01a226be-99e4-763c-ba3a-ace62d1968a0','Mine',NULL);
CREATE TABLE protocols (
	id VARCHAR(255) NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	name VARCHAR NOT NULL, 
	description VARCHAR, 
	steps TEXT, 
	CONSTRAINT pk_protocols PRIMARY KEY (id)
);
INSERT INTO "protocols" VALUES('boil','2026-11-29T09:59:15.189658Z','2026-11-29T09:59:15.189658Z',1,'Boil',NULL,'["heat"]');
CREATE INDEX ix_molecules_formula ON molecules (formula);
CREATE INDEX ix_experiments_molecule_id ON experiments (molecule_id);
CREATE INDEX ix_experiments_protocol_id ON experiments (protocol_id);
CREATE INDEX ix_isthmus_sessions_user_id ON isthmus_sessions (user_id);
CREATE INDEX ix_isthmus_sessions_ended_at ON isthmus_sessions (ended_at);
CREATE INDEX ix_isthmus_refresh_tokens_session_id ON isthmus_refresh_tokens (session_id);
CREATE INDEX ix_isthmus_identities_user_id ON isthmus_identities (user_id);
CREATE INDEX ix_isthmus_sync_conflicts_table_name ON isthmus_sync_conflicts (table_name);
CREATE INDEX ix_notes_owner_id ON notes (owner_id);
CREATE INDEX ix_isthmus_idempotency_keys_created_at ON isthmus_idempotency_keys (created_at);
CREATE INDEX ix_isthmus_refresh_tokens_used_at ON isthmus_refresh_tokens (used_at);
CREATE TRIGGER "isthmus_insert_experiments" after insert on "experiments" begin /* 4cfe4490a2b4d18d */ insert into isthmus_changes (table_name, record_id, kind) values ('experiments', new.id, 'insert'); end;
CREATE TRIGGER "isthmus_update_experiments" after update on "experiments" begin /* 4cfe4490a2b4d18d */ insert into isthmus_changes (table_name, record_id, kind) values ('experiments', new.id, case when new.id is old.id then 'update' else 'insert' end); end;
CREATE TRIGGER "isthmus_rename_experiments" after update of id on "experiments" when new.id is not old.id begin /* 4cfe4490a2b4d18d */ insert into isthmus_changes (table_name, record_id, kind) values ('experiments', old.id, 'delete'); end;
CREATE TRIGGER "isthmus_delete_experiments" after delete on "experiments" begin /* 4cfe4490a2b4d18d */ insert into isthmus_changes (table_name, record_id, kind) values ('experiments', old.id, 'delete'); end;
CREATE TRIGGER "isthmus_insert_molecules" after insert on "molecules" begin /* b87cbe4088eeea04 */ insert into isthmus_changes (table_name, record_id, kind) values ('molecules', new.id, 'insert'); end;
CREATE TRIGGER "isthmus_update_molecules" after update on "molecules" begin /* b87cbe4088eeea04 */ insert into isthmus_changes (table_name, record_id, kind) values ('molecules', new.id, case when new.id is old.id then 'update' else 'insert' end); end;
CREATE TRIGGER "isthmus_rename_molecules" after update of id on "molecules" when new.id is not old.id begin /* b87cbe4088eeea04 */ insert into isthmus_changes (table_name, record_id, kind) values ('molecules', old.id, 'delete'); end;
CREATE TRIGGER "isthmus_delete_molecules" after delete on "molecules" begin /* b87cbe4088eeea04 */ insert into isthmus_changes (table_name, record_id, kind) values ('molecules', old.id, 'delete'); end;
CREATE TRIGGER "isthmus_insert_notes" after insert on "notes" begin /* ba95d8e3d0bde396 */ insert into isthmus_changes (table_name, record_id, kind) values ('notes', new.id, 'insert'); end;
CREATE TRIGGER "isthmus_update_notes" after update on "notes" begin /* ba95d8e3d0bde396 */ insert into isthmus_changes (table_name, record_id, kind) values ('notes', new.id, case when new.id is old.id then 'update' else 'insert' end); end;
CREATE TRIGGER "isthmus_rename_notes" after update of id on "notes" when new.id is not old.id begin /* ba95d8e3d0bde396 */ insert into isthmus_changes (table_name, record_id, kind) values ('notes', old.id, 'delete'); end;
CREATE TRIGGER "isthmus_delete_notes" after delete on "notes" begin /* ba95d8e3d0bde396 */ insert into isthmus_changes (table_name, record_id, kind) values ('notes', old.id, 'delete'); end;
CREATE TRIGGER "isthmus_insert_protocols" after insert on "protocols" begin /* 02c8f7c952c5c280 */ insert into isthmus_changes (table_name, record_id, kind) values ('protocols', new.id, 'insert'); end;
CREATE TRIGGER "isthmus_update_protocols" after update on "protocols" begin /* 02c8f7c952c5c280 */ insert into isthmus_changes (table_name, record_id, kind) values ('protocols', new.id, case when new.id is old.id then 'update' else 'insert' end); end;
CREATE TRIGGER "isthmus_rename_protocols" after update of id on "protocols" when new.id is not old.id begin /* 02c8f7c952c5c280 */ insert into isthmus_changes (table_name, record_id, kind) values ('protocols', old.id, 'delete'); end;
CREATE TRIGGER "isthmus_delete_protocols" after delete on "protocols" begin /* 02c8f7c952c5c280 */ insert into isthmus_changes (table_name, record_id, kind) values ('protocols', old.id, 'delete'); end;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('isthmus_changes',5);
COMMIT;
