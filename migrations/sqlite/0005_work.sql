-- The read models learn of the work on tickets: claims, dependencies, acceptance,
-- usage. The columns that a claim fills say what its event said; how far
-- heartbeats extended it is in heartbeats. Rows of before are made anew from the
-- log at the next start.
ALTER TABLE boards ADD COLUMN frozen INTEGER NOT NULL DEFAULT 0;

ALTER TABLE columns ADD COLUMN policy TEXT NOT NULL DEFAULT '{}'; -- JSON

ALTER TABLE tickets ADD COLUMN weight INTEGER NOT NULL DEFAULT 1; -- of the priority: 0 low to 3 urgent
ALTER TABLE tickets ADD COLUMN checklist TEXT NOT NULL DEFAULT '[]'; -- JSON list
ALTER TABLE tickets ADD COLUMN evidence TEXT NOT NULL DEFAULT '[]'; -- JSON list
ALTER TABLE tickets ADD COLUMN depends_on TEXT NOT NULL DEFAULT '[]'; -- JSON list of keys
ALTER TABLE tickets ADD COLUMN open_deps INTEGER NOT NULL DEFAULT 0; -- dependencies that are not done
ALTER TABLE tickets ADD COLUMN approval TEXT; -- JSON
ALTER TABLE tickets ADD COLUMN lease_fence INTEGER; -- NULL = nobody holds it
ALTER TABLE tickets ADD COLUMN lease_holder_id INTEGER;
ALTER TABLE tickets ADD COLUMN lease_holder TEXT;
ALTER TABLE tickets ADD COLUMN lease_claimed_at TEXT;
ALTER TABLE tickets ADD COLUMN lease_expires_at TEXT;

-- What claim-next could take, were its column of kind backlog: in its order.
CREATE INDEX idx_tickets_ready ON tickets (board_id, column_id, weight DESC, rank, id)
	WHERE archived = 0 AND lease_fence IS NULL AND open_deps = 0;
CREATE INDEX idx_tickets_blocked ON tickets (board_id, id) WHERE open_deps > 0;
CREATE INDEX idx_tickets_lease_holder_id ON tickets (lease_holder_id) WHERE lease_holder_id IS NOT NULL;

ALTER TABLE users ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN pause_reason TEXT NOT NULL DEFAULT '';

-- position is that of the dependency_added event: the order of depends_on.
CREATE TABLE dependencies (
	ticket_id  INTEGER NOT NULL,
	depends_on INTEGER NOT NULL,
	board_id   INTEGER NOT NULL,
	key        TEXT    NOT NULL, -- of depends_on
	position   INTEGER NOT NULL,
	PRIMARY KEY (ticket_id, depends_on)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_dependencies_depends_on ON dependencies (depends_on);
CREATE INDEX idx_dependencies_board_id ON dependencies (board_id);

-- One row per usage_recorded event; id is its position.
CREATE TABLE usage (
	id            INTEGER PRIMARY KEY,
	ticket_id     INTEGER NOT NULL,
	board_id      INTEGER NOT NULL,
	user_id       INTEGER NOT NULL,
	input_tokens  INTEGER NOT NULL,
	output_tokens INTEGER NOT NULL,
	cost_micros   INTEGER NOT NULL, -- millionths of a US dollar
	model         TEXT    NOT NULL,
	session       TEXT    NOT NULL,
	recorded_at   TEXT    NOT NULL
) STRICT;

CREATE INDEX idx_usage_ticket_id ON usage (ticket_id);
CREATE INDEX idx_usage_board_id ON usage (board_id, user_id);

-- How the claims of each principal ended.
CREATE TABLE work (
	board_id INTEGER NOT NULL,
	user_id  INTEGER NOT NULL,
	name     TEXT    NOT NULL,
	claimed  INTEGER NOT NULL,
	done     INTEGER NOT NULL,
	lost     INTEGER NOT NULL,
	PRIMARY KEY (board_id, user_id)
) STRICT, WITHOUT ROWID;

-- Nothing in them yet is right whatever their shape.
UPDATE checkpoints SET schema = 2 WHERE name = 'readmodel' AND position = 0;
