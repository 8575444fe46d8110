-- A ticket says how many comments it has, so that a list of tickets asks for none
-- of them. Rows of before are made anew from the log at the next start.
ALTER TABLE tickets ADD COLUMN comment_count INTEGER NOT NULL DEFAULT 0; -- those that are there

-- Nothing in them yet is right whatever their shape.
UPDATE checkpoints SET schema = 5 WHERE name = 'readmodel' AND position = 0;
