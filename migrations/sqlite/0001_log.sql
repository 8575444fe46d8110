-- The log. Rows are written once; data may become NULL (redaction), nothing else
-- ever changes. recorded_at is microseconds since 1970, UTC.
CREATE TABLE events (
	position       INTEGER PRIMARY KEY,
	stream         TEXT    NOT NULL,
	version        INTEGER NOT NULL,
	type           TEXT    NOT NULL,
	schema         INTEGER NOT NULL,
	id             TEXT    NOT NULL,
	recorded_at    INTEGER NOT NULL,
	actor_kind     TEXT    NOT NULL,
	actor_id       INTEGER NOT NULL,
	actor_name     TEXT    NOT NULL,
	command_id     TEXT    NOT NULL,
	correlation_id TEXT    NOT NULL,
	causation_id   TEXT    NOT NULL,
	board_id       INTEGER,
	ticket_id      INTEGER,
	data           TEXT,
	data_sha       BLOB    NOT NULL,
	hash           BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_stream ON events (stream, version);

CREATE INDEX events_ticket ON events (ticket_id, position) WHERE ticket_id IS NOT NULL;

CREATE TRIGGER events_keep BEFORE DELETE ON events
BEGIN
	SELECT RAISE(ABORT, 'events are never deleted');
END;

CREATE TRIGGER events_fixed BEFORE UPDATE ON events
WHEN NOT (
	NEW.data IS NULL
	AND NEW.position       IS OLD.position
	AND NEW.stream         IS OLD.stream
	AND NEW.version        IS OLD.version
	AND NEW.type           IS OLD.type
	AND NEW.schema         IS OLD.schema
	AND NEW.id             IS OLD.id
	AND NEW.recorded_at    IS OLD.recorded_at
	AND NEW.actor_kind     IS OLD.actor_kind
	AND NEW.actor_id       IS OLD.actor_id
	AND NEW.actor_name     IS OLD.actor_name
	AND NEW.command_id     IS OLD.command_id
	AND NEW.correlation_id IS OLD.correlation_id
	AND NEW.causation_id   IS OLD.causation_id
	AND NEW.board_id       IS OLD.board_id
	AND NEW.ticket_id      IS OLD.ticket_id
	AND NEW.data_sha       IS OLD.data_sha
	AND NEW.hash           IS OLD.hash
)
BEGIN
	SELECT RAISE(ABORT, 'events never change; only data may become NULL');
END;

-- The ledger: which commands were carried out, and what they led to. actor is
-- "kind:id", so that two principals may use the same id.
CREATE TABLE commands (
	command_id     TEXT    NOT NULL,
	actor          TEXT    NOT NULL,
	request_sha    BLOB    NOT NULL,
	first_position INTEGER NOT NULL,
	last_position  INTEGER NOT NULL,
	stream         TEXT    NOT NULL,
	version        INTEGER NOT NULL,
	recorded_at    INTEGER NOT NULL,
	PRIMARY KEY (command_id, actor)
) STRICT, WITHOUT ROWID;

-- Folded state of a stream, to spare the fold of its past. Disposable.
CREATE TABLE snapshots (
	stream   TEXT    NOT NULL PRIMARY KEY,
	version  INTEGER NOT NULL,
	position INTEGER NOT NULL,
	schema   INTEGER NOT NULL,
	state    BLOB    NOT NULL
) STRICT;

-- Facts about this file: log_id.
CREATE TABLE meta (
	key   TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
