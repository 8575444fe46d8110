package ops_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
)

func TestVerifySoundLog(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 20)
	head, err := db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var done int64
	v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{
		Head: &ops.KeptHead{LogID: db.LogID(), Position: head.Position, Hash: head.Hash},
		Checkpoints: func(context.Context) (map[string]int64, error) {
			return map[string]int64{"readmodel": head.Position}, nil
		},
		Compare:  func(context.Context) ([]string, error) { return nil, nil },
		Progress: func(n, _ int64) { done = n },
	})
	if err != nil || !v.OK() {
		t.Fatalf("verify = %+v, %v", v, err)
	}
	if v.Events != head.Position || v.Head != head || v.Streams != 2 || done != head.Position || v.Commands == 0 {
		t.Errorf("verify = %+v, progress %d, want all %d events", v, done, head.Position)
	}
	if len(v.Checks) != 10 {
		t.Errorf("checks = %v, want all ten", v.Checks)
	}
	var text bytes.Buffer
	if err := v.WriteText(&text); err != nil || !strings.Contains(text.String(), "ok:") {
		t.Errorf("text = %q, %v", text.String(), err)
	}
}

func TestVerifyEmptyLog(t *testing.T) {
	t.Parallel()
	v, err := ops.Verify(t.Context(), open(t), ops.VerifyOptions{Head: &ops.KeptHead{LogID: "other"}})
	if err != nil || v.Total != 1 || v.Problems[0].Check != ops.CheckHead {
		t.Errorf("verify = %+v, %v, want another log id reported", v, err)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statement string
		check     ops.Check
		position  int64
	}{
		"data":                {"UPDATE events SET data = replace(data, 'more', 'less') WHERE position = 6", ops.CheckChain, 6},
		"one byte":            {"UPDATE events SET data = substr(data, 1, length(data)-1) || ' ' WHERE position = 6", ops.CheckChain, 6},
		"actor":               {"UPDATE events SET actor_name = 'mallory' WHERE position = 6", ops.CheckChain, 6},
		"time":                {"UPDATE events SET recorded_at = recorded_at - 1000000 WHERE position = 6", ops.CheckTime, 6},
		"ticket":              {"UPDATE events SET ticket_id = 77 WHERE position = 6", ops.CheckChain, 6},
		"hash":                {"UPDATE events SET hash = zeroblob(32) WHERE position = 6", ops.CheckChain, 6},
		"next after the hash": {"UPDATE events SET hash = zeroblob(32) WHERE position = 6", ops.CheckChain, 7},
		"row gone":            {"DELETE FROM events WHERE position = 6", ops.CheckPosition, 6},
		"first row gone":      {"DELETE FROM events WHERE position = 1", ops.CheckPosition, 1},
		"version":             {"UPDATE events SET version = 99 WHERE position = 6", ops.CheckVersion, 6},
		"version after a gap": {"DELETE FROM events WHERE position = 6", ops.CheckVersion, 7},
		"type":                {"UPDATE events SET type = 'ticket_eaten' WHERE position = 6", ops.CheckPayload, 6},
		"schema":              {"UPDATE events SET schema = 9 WHERE position = 6", ops.CheckPayload, 6},
		"no record":           {"DELETE FROM commands WHERE command_id = 'c0003'", ops.CheckLedger, 3},
		"record moved":        {"UPDATE commands SET first_position = 1, last_position = 1 WHERE command_id = 'c0003'", ops.CheckLedger, 3},
		"record of others":    {"UPDATE commands SET first_position = 1, last_position = 1 WHERE command_id = 'c0003'", ops.CheckLedger, 1},
		"record ahead":        {"UPDATE commands SET last_position = 999 WHERE command_id = 'c0003'", ops.CheckLedger, 3},
		"record denies it":    {"UPDATE commands SET first_position = 0 WHERE command_id = 'c0003'", ops.CheckLedger, 3},
		"record of a third": {`INSERT INTO commands SELECT command_id, 'agent:9', request_sha, first_position, last_position, stream, version, recorded_at
			FROM commands WHERE command_id = 'c0003'`, ops.CheckLedger, 3},
		"other actor": {"UPDATE commands SET actor = 'human:9' WHERE command_id = 'c0003'", ops.CheckLedger, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			fill(t, db, 4)
			damage(t, db, c.statement)
			v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{})
			if err != nil {
				t.Fatalf("verify: %v", err)
			}
			for _, p := range v.Problems {
				if p.Check == c.check && p.Position == c.position {
					return
				}
			}
			t.Errorf("problems = %+v, want %s at position %d", v.Problems, c.check, c.position)
		})
	}
}

// A log whose end is cut off is sound in itself; only a kept head tells.
func TestVerifyCutOffTail(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 4)
	head, err := db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	damage(t, db, fmt.Sprintf("DELETE FROM events WHERE position > %d", head.Position-2),
		fmt.Sprintf("DELETE FROM commands WHERE last_position > %d", head.Position-2))
	if v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{}); err != nil || !v.OK() {
		t.Fatalf("without a kept head = %+v, %v, want nothing to be seen", v, err)
	}
	kept, err := ops.ReadHead(strings.NewReader(fmt.Sprintf(`{"log_id":%q,"position":%d,"hash":%q}`, db.LogID(), head.Position, head.Hash)))
	if err != nil {
		t.Fatalf("read head: %v", err)
	}
	v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{Head: &kept})
	if err != nil || v.Total != 1 || v.Problems[0].Check != ops.CheckHead || v.Problems[0].Position != head.Position-2 {
		t.Errorf("verify = %+v, %v, want the cut at position %d", v, err, head.Position-2)
	}
}

func TestVerifyRewrittenLog(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 4)
	v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{Head: &ops.KeptHead{LogID: db.LogID(), Position: 5, Hash: events.Hash{1}}})
	if err != nil || v.Total != 1 || v.Problems[0].Position != 5 || v.Problems[0].Check != ops.CheckHead {
		t.Errorf("verify = %+v, %v, want another hash at position 5", v, err)
	}
}

func TestVerifyReadModels(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 1)
	v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{
		Checkpoints: func(context.Context) (map[string]int64, error) { return map[string]int64{"readmodel": 999}, nil },
		Compare:     func(context.Context) ([]string, error) { return []string{"tickets 1: title differs"}, nil },
	})
	if err != nil || v.Total != 2 || v.Problems[0].Check != ops.CheckCheckpoint || v.Problems[1].Check != ops.CheckReadModel {
		t.Errorf("verify = %+v, %v, want a checkpoint ahead and a difference", v, err)
	}
	boom := errors.New("boom")
	if _, err := ops.Verify(t.Context(), db, ops.VerifyOptions{Compare: func(context.Context) ([]string, error) { return nil, boom }}); !errors.Is(err, boom) {
		t.Errorf("error = %v, want that of the comparison", err)
	}
}

func TestVerifyKeepsTheFirstProblems(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 10)
	damage(t, db, "DELETE FROM commands")
	v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{MaxProblems: 3})
	if err != nil || len(v.Problems) != 3 || int64(v.Total) != v.Events {
		t.Errorf("problems = %d of %d, %v, want 3 of %d", len(v.Problems), v.Total, err, v.Events)
	}
	var text bytes.Buffer
	if err := v.WriteText(&text); err != nil || !strings.Contains(text.String(), "more") {
		t.Errorf("text = %q, %v", text.String(), err)
	}
}

func TestReadHeadRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "{}", `{"log_id":"a","position":3}`, `{"log_id":"a","position":-1}`, `{"log_id":"a","position":1,"hash":"zz"}`} {
		if _, err := ops.ReadHead(strings.NewReader(text)); err == nil {
			t.Errorf("ReadHead(%q) succeeded", text)
		}
	}
}

// A server may append while its log is verified and exported.
func TestWhileAServerRuns(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 5)
	reader, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: db.Path(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		seq, err := commands.New(commands.Config{Store: db})
		if err != nil {
			t.Error(err)
			return
		}
		seq.Start()
		defer seq.Stop()
		for ctx.Err() == nil {
			_, _ = seq.Do(ctx, commands.Meta{Actor: events.SystemActor, Trusted: true}, commands.CreateTicket{Board: "1", Title: "more"})
		}
	})
	for range 20 {
		if v, err := ops.Verify(t.Context(), reader, ops.VerifyOptions{}); err != nil || !v.OK() {
			t.Errorf("verify = %+v, %v", v, err)
		}
		text := export(t, reader)
		if _, err := ops.Import(t.Context(), &recorder{}, bytes.NewReader(text), ops.ImportOptions{}); err != nil {
			t.Errorf("import: %v", err)
		}
	}
	stop()
	wg.Wait()
}
