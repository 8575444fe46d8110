-- How far leases were extended. A claim is an event, its heartbeats are not: one
-- row per ticket that is held, for as long as it is. Times are microseconds
-- since 1970, UTC.
CREATE TABLE heartbeats (
	ticket_id  INTEGER PRIMARY KEY,
	fence      INTEGER NOT NULL, -- position of the ticket_claimed event
	at         INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT;
