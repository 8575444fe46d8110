-- Stays move into the history of tickets, whose lines are written anyway: one that
-- says where a ticket came names the column, and a stay lies between two of them.
-- A table of their own cost half the speed of creations: each page that a command
-- changes is written. Rows of before are made anew from the log at the next start.
DROP TABLE stays;

ALTER TABLE ticket_history ADD COLUMN column_id INTEGER; -- where the ticket came, or was found; NULL = not told here

DROP TABLE claims;

-- position is that of the ticket_claimed event: the fence.
CREATE TABLE claims (
	board_id   INTEGER NOT NULL,
	ticket_id  INTEGER NOT NULL,
	position   INTEGER NOT NULL,
	user_id    INTEGER NOT NULL,
	name       TEXT    NOT NULL,
	claimed_at TEXT    NOT NULL,
	ended_at   TEXT, -- NULL = it is held, unless another follows
	outcome    TEXT, -- completed, expired, released
	PRIMARY KEY (board_id, ticket_id, position)
) STRICT, WITHOUT ROWID;

-- Nothing in them yet is right whatever their shape.
UPDATE checkpoints SET schema = 4 WHERE name = 'readmodel' AND position = 0;
