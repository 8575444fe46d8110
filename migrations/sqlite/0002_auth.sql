-- Secrets of accounts: the part of an account that must never be in an event.
-- Only sums of tokens are stored. Times are text (UTC, YYYY-MM-DD
-- HH:MM:SS.ffffff), because operators compare these columns with such text.
-- There are no foreign keys: users is a view of the log and may be rebuilt.

CREATE TABLE credentials (
    user_id       INTEGER PRIMARY KEY,
    password_hash TEXT NOT NULL,
    updated_at    TEXT NOT NULL
) STRICT;

-- One row per refresh token ever handed out and not yet expired. A family is
-- one sign-in: rotation adds a row and sets used_at on the one before. A
-- session lives while its family has a row that is not revoked, so deleting
-- rows ends sessions.
CREATE TABLE refresh_tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL,
    family     TEXT NOT NULL,
    token_sha  BLOB NOT NULL UNIQUE CHECK (length(token_sha) = 32),
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at    TEXT,
    revoked    INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1))
) STRICT;

CREATE INDEX idx_refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX idx_refresh_tokens_user_id ON refresh_tokens (user_id);
CREATE INDEX idx_refresh_tokens_expires_at ON refresh_tokens (expires_at);

-- id is the token_id of the token_issued event.
CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY,
    user_id      INTEGER NOT NULL,
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    token_sha    BLOB NOT NULL UNIQUE CHECK (length(token_sha) = 32),
    role         TEXT NOT NULL CHECK (role IN ('', 'pm', 'agent', 'viewer')),
    boards       TEXT NOT NULL CHECK (json_type(boards) = 'array'),
    created_at   TEXT NOT NULL,
    expires_at   TEXT,
    last_used_at TEXT,
    revoked      INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1))
) STRICT;

CREATE INDEX idx_api_tokens_user_id ON api_tokens (user_id);
