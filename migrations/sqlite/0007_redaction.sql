-- Redaction. An event written from now on has chain 2: its hash covers the
-- SHA-256 of the actor's name and not the name, so that the name can give way to
-- "deleted user N"; actor_sha is that sum, once it did. Events of before have
-- chain 1 and keep verifying, and keep the name.
ALTER TABLE events ADD COLUMN chain INTEGER NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN actor_sha BLOB; -- NULL = the name is there

DROP TRIGGER events_fixed;

CREATE TRIGGER events_fixed BEFORE UPDATE ON events
WHEN NOT (
	(NEW.data IS NULL OR NEW.data IS OLD.data)
	AND (
		NEW.actor_name IS OLD.actor_name AND NEW.actor_sha IS OLD.actor_sha
		OR OLD.chain = 2 AND OLD.actor_sha IS NULL AND coalesce(length(NEW.actor_sha), 0) = 32
			AND NEW.actor_name = 'deleted user ' || OLD.actor_id
	)
	AND (NEW.data IS NOT OLD.data OR NEW.actor_name IS NOT OLD.actor_name OR OLD.data IS NULL)
	AND NEW.position       IS OLD.position
	AND NEW.stream         IS OLD.stream
	AND NEW.version        IS OLD.version
	AND NEW.type           IS OLD.type
	AND NEW.schema         IS OLD.schema
	AND NEW.id             IS OLD.id
	AND NEW.recorded_at    IS OLD.recorded_at
	AND NEW.actor_kind     IS OLD.actor_kind
	AND NEW.actor_id       IS OLD.actor_id
	AND NEW.command_id     IS OLD.command_id
	AND NEW.correlation_id IS OLD.correlation_id
	AND NEW.causation_id   IS OLD.causation_id
	AND NEW.board_id       IS OLD.board_id
	AND NEW.ticket_id      IS OLD.ticket_id
	AND NEW.data_sha       IS OLD.data_sha
	AND NEW.hash           IS OLD.hash
	AND NEW.chain          IS OLD.chain
)
BEGIN
	SELECT RAISE(ABORT, 'events never change; only data may become NULL, and a name be erased');
END;

-- What redaction left of the data of an event: the same fact without its texts.
-- The sum of it is in the data_redacted event at by_position.
CREATE TABLE redacted_events (
	position    INTEGER PRIMARY KEY,
	by_position INTEGER NOT NULL, -- 0 where it came with an import
	schema      INTEGER NOT NULL,
	data        TEXT    NOT NULL
) STRICT;
