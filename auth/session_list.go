package auth

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// OpenSession is a sign-in that has not ended.
type OpenSession struct {
	ID        string    `json:"id"` // no secret: it opens nothing
	UserID    int64     `json:"user_id"`
	Started   time.Time `json:"started_at"`
	Refreshed time.Time `json:"refreshed_at"`
	Expires   time.Time `json:"expires_at"` // unless it is refreshed before
}

// ListSessions returns the sessions that live at the time now, oldest first.
func ListSessions(ctx context.Context, db *sql.DB, now time.Time) (list []OpenSession, err error) {
	rows, err := db.QueryContext(ctx, `SELECT family, user_id, min(created_at), max(created_at), max(expires_at)
		FROM refresh_tokens WHERE revoked = 0 GROUP BY family, user_id HAVING max(expires_at) > ? ORDER BY min(id)`, stamp(now))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	list = []OpenSession{}
	for rows.Next() {
		var s OpenSession
		var times [3]string
		if err := rows.Scan(&s.ID, &s.UserID, &times[0], &times[1], &times[2]); err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		for i, to := range []*time.Time{&s.Started, &s.Refreshed, &s.Expires} {
			if *to, err = parseStamp(times[i]); err != nil {
				return nil, fmt.Errorf("list sessions: %w", err)
			}
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return list, nil
}

// EndSessions ends every session of the user, of all users when userID is 0, and
// returns how many there were. A running server notices within Config.Recheck:
// access tokens of an ended session are refused from then on.
func EndSessions(ctx context.Context, tx *sql.Tx, userID int64, now time.Time) (ended int64, err error) {
	const which = `revoked = 0 AND (?1 = 0 OR user_id = ?1)`
	err = tx.QueryRowContext(ctx, `SELECT count(DISTINCT family) FROM refresh_tokens WHERE expires_at > ?2 AND `+which, userID, stamp(now)).Scan(&ended)
	if err == nil {
		_, err = tx.ExecContext(ctx, `UPDATE refresh_tokens SET revoked = 1 WHERE `+which, userID)
	}
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	return ended, nil
}
