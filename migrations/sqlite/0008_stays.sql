-- The read models learn how long: every stay of a ticket in a column, and every
-- claim of one. Statistics are made of both without a walk through the log. Rows
-- of before are made anew from the log at the next start.

-- id is the position of the event that brought the ticket there. What a deleted
-- ticket did stays, for it may be recovered.
CREATE TABLE stays (
	id         INTEGER PRIMARY KEY,
	ticket_id  INTEGER NOT NULL,
	board_id   INTEGER NOT NULL,
	column_id  INTEGER NOT NULL,
	entered_at TEXT    NOT NULL,
	left_at    TEXT -- NULL = it is there
) STRICT;

CREATE INDEX idx_stays_ticket_id ON stays (ticket_id);
CREATE INDEX idx_stays_board_id ON stays (board_id, column_id);

-- id is the position of the ticket_claimed event: the fence.
CREATE TABLE claims (
	id         INTEGER PRIMARY KEY,
	ticket_id  INTEGER NOT NULL,
	board_id   INTEGER NOT NULL,
	user_id    INTEGER NOT NULL,
	name       TEXT    NOT NULL,
	claimed_at TEXT    NOT NULL,
	ended_at   TEXT, -- NULL = it is held
	outcome    TEXT  -- completed, expired, released
) STRICT;

CREATE INDEX idx_claims_ticket_id ON claims (ticket_id);
CREATE INDEX idx_claims_board_id ON claims (board_id);

-- Nothing in them yet is right whatever their shape.
UPDATE checkpoints SET schema = 3 WHERE name = 'readmodel' AND position = 0;
