-- The read models: what the events add up to. Everything here can be thrown
-- away and rebuilt from the log, so nothing constrains it beyond its shape: a
-- fact that was accepted once must always find a place, even where its data was
-- redacted (two boards with the key '' included). Times are text (UTC,
-- YYYY-MM-DD HH:MM:SS.ffffff), because operators compare them with such text.
-- A rebuild makes its shadow tables from these definitions as they are stored
-- in sqlite_schema: write "CREATE TABLE name (" and "CREATE INDEX name ON table".

CREATE TABLE boards (
	id          INTEGER PRIMARY KEY,
	key         TEXT    NOT NULL,
	name        TEXT    NOT NULL,
	description TEXT    NOT NULL,
	visibility  TEXT    NOT NULL,
	max_claims  INTEGER NOT NULL,
	archived    INTEGER NOT NULL,
	version     INTEGER NOT NULL, -- of the last event that changed board, columns or members
	created_by  TEXT    NOT NULL,
	created_at  TEXT    NOT NULL,
	updated_at  TEXT    NOT NULL
) STRICT;

CREATE INDEX idx_boards_key ON boards (key);

CREATE TABLE columns (
	board_id  INTEGER NOT NULL,
	id        INTEGER NOT NULL,
	place     INTEGER NOT NULL, -- 0 is leftmost
	name      TEXT    NOT NULL,
	kind      TEXT    NOT NULL,
	wip_limit INTEGER,
	PRIMARY KEY (board_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
	board_id INTEGER NOT NULL,
	user_id  INTEGER NOT NULL,
	name     TEXT    NOT NULL,
	role     TEXT    NOT NULL,
	PRIMARY KEY (board_id, user_id)
) STRICT, WITHOUT ROWID;

-- Each index costs on the way of every command. board_id is followed by number,
-- which only grows and never changes: inserts append, and no move touches it.
CREATE TABLE tickets (
	id                  INTEGER PRIMARY KEY,
	board_id            INTEGER NOT NULL,
	number              INTEGER NOT NULL, -- WEB-12 has number 12
	key                 TEXT    NOT NULL,
	title               TEXT    NOT NULL,
	description         TEXT    NOT NULL,
	acceptance_criteria TEXT    NOT NULL,
	priority            TEXT    NOT NULL,
	labels              TEXT    NOT NULL, -- JSON list
	assignee            TEXT,             -- user name
	column_id           INTEGER NOT NULL,
	current_column      TEXT    NOT NULL, -- its name
	rank                TEXT    NOT NULL, -- order inside the column
	due_at              TEXT,
	archived            INTEGER NOT NULL,
	version             INTEGER NOT NULL, -- board version of the last event that changed the ticket
	created_by          TEXT    NOT NULL,
	created_at          TEXT    NOT NULL,
	updated_at          TEXT    NOT NULL,
	column_entered_at   TEXT    NOT NULL
) STRICT;

CREATE INDEX idx_tickets_board_id ON tickets (board_id, number);
CREATE INDEX idx_tickets_assignee ON tickets (assignee) WHERE assignee IS NOT NULL;

CREATE TABLE comments (
	id          INTEGER PRIMARY KEY, -- below 0 where redaction took the id away
	ticket_id   INTEGER NOT NULL,
	board_id    INTEGER NOT NULL,
	text        TEXT    NOT NULL,
	author      TEXT    NOT NULL,
	author_kind TEXT    NOT NULL,
	created_at  TEXT    NOT NULL,
	updated_at  TEXT    NOT NULL
) STRICT;

CREATE INDEX idx_comments_ticket_id ON comments (ticket_id);

-- id is the position of the event * 16 + the place of the field in the event, so
-- that a rebuild yields the same rows.
CREATE TABLE ticket_history (
	id         INTEGER PRIMARY KEY,
	ticket_id  INTEGER NOT NULL,
	board_id   INTEGER NOT NULL,
	field_name TEXT    NOT NULL,
	old_value  TEXT,
	new_value  TEXT,
	changed_by TEXT    NOT NULL,
	actor_kind TEXT    NOT NULL,
	changed_at TEXT    NOT NULL
) STRICT;

CREATE INDEX idx_ticket_history_ticket_id ON ticket_history (ticket_id);

CREATE TABLE users (
	id           INTEGER PRIMARY KEY,
	username     TEXT    NOT NULL,
	display_name TEXT    NOT NULL,
	kind         TEXT    NOT NULL,
	admin        INTEGER NOT NULL,
	active       INTEGER NOT NULL,
	created_at   TEXT    NOT NULL,
	updated_at   TEXT    NOT NULL
) STRICT;

CREATE INDEX idx_users_username ON users (username COLLATE NOCASE);

-- How far the read models are. schema is the shape of the rows as the program
-- that wrote them understood it; a program with another number rebuilds.
CREATE TABLE checkpoints (
	name     TEXT    NOT NULL PRIMARY KEY,
	position INTEGER NOT NULL,
	schema   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO checkpoints (name, position, schema) VALUES ('readmodel', 0, 1);

-- Events that are not in the rows above: reason 'failed' where applying one
-- failed, 'behind' for the later events of the same ticket or stream, 'unknown'
-- for a type that the program did not know.
CREATE TABLE parked_events (
	position  INTEGER PRIMARY KEY,
	lane      TEXT    NOT NULL, -- ticket-12, or the name of the stream
	type      TEXT    NOT NULL,
	reason    TEXT    NOT NULL,
	error     TEXT    NOT NULL,
	parked_at TEXT    NOT NULL
) STRICT;
