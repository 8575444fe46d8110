-- Where events of a board are sent. The address, which may hold a secret, and the
-- signing secret are here and never in an event; id is that of the webhook_added
-- event. Times are microseconds since 1970, UTC. There is no foreign key: boards
-- is a view of the log and may be rebuilt.
CREATE TABLE webhooks (
	id           INTEGER PRIMARY KEY,
	board_id     INTEGER NOT NULL,
	url          TEXT    NOT NULL,
	types        TEXT    NOT NULL CHECK (json_type(types) = 'array'), -- empty = all
	active       INTEGER NOT NULL CHECK (active IN (0, 1)),
	off_reason   TEXT    NOT NULL DEFAULT '', -- why the server switched it off
	secret       TEXT    NOT NULL,
	old_secret   TEXT    NOT NULL DEFAULT '', -- signs too until old_until
	old_until    INTEGER NOT NULL DEFAULT 0,
	cursor       INTEGER NOT NULL,            -- everything up to here was delivered or given up
	generation   INTEGER NOT NULL DEFAULT 1,  -- counts changes from outside the dispatcher
	attempts     INTEGER NOT NULL DEFAULT 0,  -- of the next event, that failed
	next_attempt INTEGER NOT NULL DEFAULT 0,  -- not before
	gave_up      INTEGER NOT NULL DEFAULT 0,  -- dead letters since the last success
	last_status  INTEGER NOT NULL DEFAULT 0,  -- of the last attempt, 0 = no reply
	last_error   TEXT    NOT NULL DEFAULT '', -- of the last attempt, '' = it succeeded
	delivered    INTEGER NOT NULL DEFAULT 0,
	delivered_at INTEGER NOT NULL DEFAULT 0,
	created_by   TEXT    NOT NULL,
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX idx_webhooks_board_id ON webhooks (board_id);

-- Events that were given up after the last attempt. The event itself is in the
-- log, at position.
CREATE TABLE webhook_dead_letters (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	webhook_id INTEGER NOT NULL,
	position   INTEGER NOT NULL,
	event_id   TEXT    NOT NULL,
	type       TEXT    NOT NULL,
	attempts   INTEGER NOT NULL,
	status     INTEGER NOT NULL, -- of the last attempt, 0 = no reply
	error      TEXT    NOT NULL, -- of the last attempt, with at most 500 bytes of the reply
	queued     INTEGER NOT NULL DEFAULT 0 CHECK (queued IN (0, 1)), -- to be tried again
	failed_at  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX idx_webhook_dead_letters_position ON webhook_dead_letters (webhook_id, position);
