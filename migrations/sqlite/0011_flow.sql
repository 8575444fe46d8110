-- How work flowed over a board in the past needs the few events that no stay and
-- no claim tells of: what the columns were, and when tickets were archived,
-- deleted and came back. Ors and not IN, which SQLite would make a table of at
-- every insert.
CREATE INDEX events_frame ON events (board_id) WHERE ticket_id IS NULL
	OR type = 'ticket_archived' OR type = 'ticket_restored' OR type = 'ticket_deleted' OR type = 'ticket_recovered';
