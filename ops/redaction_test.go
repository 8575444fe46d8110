package ops_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
)

// redacted is a filled log of which a ticket and a user were redacted; it returns
// a position that was emptied.
func redacted(t *testing.T) (*sqlstore.DB, int64) {
	t.Helper()
	db := open(t)
	fill(t, db, 4)
	seq, err := commands.New(commands.Config{Store: db})
	if err != nil {
		t.Fatal(err)
	}
	seq.Start()
	defer seq.Stop()
	var emptied int64
	for _, cmd := range []commands.Command{commands.Redact{Ticket: "1", Reason: "test"}, commands.Redact{User: "1", Reason: "test"}} {
		r, err := seq.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, cmd)
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Events {
			if fact, _ := r.Events[i].Payload(); fact.Type() == events.TypeDataRedacted && len(fact.(events.DataRedacted).Events) > 0 {
				emptied = fact.(events.DataRedacted).Events[0].Position
			}
		}
	}
	return db, emptied
}

func TestVerifyRedactedLog(t *testing.T) {
	t.Parallel()
	db, _ := redacted(t)
	v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{})
	if err != nil || !v.OK() || v.Redacted == 0 {
		t.Errorf("verify = %+v, %v, want redacted events and no problem", v, err)
	}
}

// A redaction is no cover for other changes.
func TestVerifyFindsDamageToRedacted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statement string
		check     ops.Check
	}{
		"kept changed":        {"UPDATE redacted_events SET data = data || ' ' WHERE position = ?", ops.CheckRedaction},
		"kept schema changed": {"UPDATE redacted_events SET schema = schema + 1 WHERE position = ?", ops.CheckPayload},
		"kept gone":           {"DELETE FROM redacted_events WHERE position = ?", ops.CheckRedaction},
		"data again":          {"UPDATE events SET data = '{}' WHERE position = ?", ops.CheckChain},
		"the sum":             {"UPDATE events SET data_sha = zeroblob(32) WHERE position = ?", ops.CheckChain},
		"another name":        {"UPDATE events SET actor_name = 'mallory', actor_sha = zeroblob(32) WHERE position = ?", ops.CheckChain},
		"the form":            {"UPDATE events SET chain = 1 WHERE position = ?", ops.CheckChain},
		"emptied by hand, with something in its place": {
			`INSERT INTO redacted_events SELECT position, 1, schema, data FROM events WHERE position <> ? AND type = 'board_created' LIMIT 1;
			UPDATE events SET data = NULL WHERE type = 'board_created'`, ops.CheckRedaction,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, position := redacted(t)
			statement := strings.ReplaceAll(c.statement, "?", strconv.FormatInt(position, 10))
			damage(t, db, statement)
			v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range v.Problems {
				if p.Check == c.check {
					return
				}
			}
			t.Errorf("problems = %+v, want %s", v.Problems, c.check)
		})
	}
}

// An export has what redaction left and no more, and a copy made from it is
// redacted too.
func TestExportOfARedactedLog(t *testing.T) {
	t.Parallel()
	source, position := redacted(t)
	first := export(t, source)
	copied := open(t)
	if _, err := ops.Import(t.Context(), copied, bytes.NewReader(first), ops.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if second := export(t, copied); !bytes.Equal(first, second) {
		t.Error("the export of the copy differs")
	}
	v, err := ops.Verify(t.Context(), copied, ops.VerifyOptions{})
	if err != nil || !v.OK() || v.Redacted == 0 {
		t.Errorf("verify the copy: %+v (%v)", v, err)
	}
	page, err := copied.Read(t.Context(), events.Query{After: position - 1, UpTo: position})
	if err != nil || len(page) != 1 || !page[0].Redacted() || page[0].Kept == nil {
		t.Errorf("position %d: %v (%v), want it redacted, with what was kept", position, page, err)
	}
}
