-- Where tickets came, for statistics of a board and of a column, in the order of
-- the log for each column: new rows come at its ends, so that writing them is
-- cheap.
CREATE INDEX idx_ticket_history_column_id ON ticket_history (board_id, column_id) WHERE column_id IS NOT NULL;
