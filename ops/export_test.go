package ops_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/ops"
)

func TestExportImportExportIsEqual(t *testing.T) {
	t.Parallel()
	source := open(t)
	fill(t, source, 30)
	// A redacted event has no data, but its place in the chain.
	if _, err := writer(t, source).Exec("UPDATE events SET data = NULL WHERE position = 5"); err != nil {
		t.Fatalf("redact: %v", err)
	}
	first := export(t, source)

	copied := open(t)
	var last int64
	head, err := ops.Import(t.Context(), copied, bytes.NewReader(first), ops.ImportOptions{Progress: func(done, total int64) { last = done * 100 / total }})
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	want, err := source.Head(t.Context())
	if err != nil || head != want {
		t.Errorf("head = %v, want %v (%v)", head, want, err)
	}
	if last != 100 {
		t.Errorf("progress ended at %d %%, want 100", last)
	}
	if copied.LogID() != source.LogID() {
		t.Errorf("log id = %s, want %s", copied.LogID(), source.LogID())
	}
	if second := export(t, copied); !bytes.Equal(first, second) {
		t.Errorf("the export of the copy differs: %d bytes, want %d", len(second), len(first))
	}
	if v, err := ops.Verify(t.Context(), copied, ops.VerifyOptions{}); err != nil || !v.OK() {
		t.Errorf("verify the copy: %v %+v", err, v)
	}
	// The ledger came along: a command that was carried out before is known.
	seq, err := commands.New(commands.Config{Store: copied})
	if err != nil {
		t.Fatal(err)
	}
	seq.Start()
	defer seq.Stop()
	receipt, err := seq.Do(t.Context(), commands.Meta{CommandID: "c0002", RequestSHA: events.Hash{2}, Actor: events.SystemActor, Trusted: true}, commands.CreateBoard{Name: "again"})
	if err != nil || !receipt.Repeated {
		t.Errorf("repeat of a command = %+v, %v, want a repeated receipt", receipt, err)
	}
}

func TestExportOfAnEmptyLog(t *testing.T) {
	t.Parallel()
	source, copied := open(t), open(t)
	text := export(t, source)
	if n := bytes.Count(text, []byte("\n")); n != 2 {
		t.Errorf("lines = %d, want the first and the last only", n)
	}
	if head, err := ops.Import(t.Context(), copied, bytes.NewReader(text), ops.ImportOptions{}); err != nil || head.Position != 0 {
		t.Errorf("import = %v, %v", head, err)
	}
	if copied.LogID() != source.LogID() {
		t.Errorf("log id = %s, want %s", copied.LogID(), source.LogID())
	}
}

// Without its ledger, an export still brings back records, so that no command
// is carried out twice.
func TestImportWithoutLedger(t *testing.T) {
	t.Parallel()
	source, copied := open(t), open(t)
	fill(t, source, 3)
	text := export(t, struct{ events.Reader }{source})
	if _, err := ops.Import(t.Context(), copied, bytes.NewReader(text), ops.ImportOptions{}); err != nil {
		t.Fatalf("import: %v", err)
	}
	if v, err := ops.Verify(t.Context(), copied, ops.VerifyOptions{}); err != nil || !v.OK() {
		t.Errorf("verify: %v %+v", err, v)
	}
	seq, err := commands.New(commands.Config{Store: copied})
	if err != nil {
		t.Fatal(err)
	}
	seq.Start()
	defer seq.Stop()
	_, err = seq.Do(t.Context(), commands.Meta{CommandID: "c0002", RequestSHA: events.Hash{2}, Actor: events.SystemActor, Trusted: true}, commands.CreateBoard{Name: "again"})
	if got := events.CodeOf(err); got != events.CodeIdempotencyReused {
		t.Errorf("repeat of a command: %v, want it refused", err)
	}
}

func TestImportRefusesALogWithEvents(t *testing.T) {
	t.Parallel()
	source, other := open(t), open(t)
	fill(t, source, 2)
	fill(t, other, 1)
	before := export(t, other)
	_, err := ops.Import(t.Context(), other, bytes.NewReader(export(t, source)), ops.ImportOptions{})
	if !errors.Is(err, ops.ErrNotEmpty) {
		t.Errorf("error = %v, want ErrNotEmpty", err)
	}
	if !bytes.Equal(before, export(t, other)) {
		t.Error("the refused import changed the log")
	}
}

func TestImportRefusesDamage(t *testing.T) {
	t.Parallel()
	source := open(t)
	fill(t, source, 5)
	lines := bytes.SplitAfter(bytes.TrimSuffix(export(t, source), []byte("\n")), []byte("\n"))
	lines[len(lines)-1] = append(lines[len(lines)-1], '\n')
	with := func(change func(l [][]byte) [][]byte) []byte {
		own := make([][]byte, len(lines))
		for i := range lines {
			own[i] = bytes.Clone(lines[i])
		}
		return bytes.Join(change(own), nil)
	}
	replace := func(i int, old, now string) []byte {
		return with(func(l [][]byte) [][]byte {
			if !bytes.Contains(l[i], []byte(old)) {
				t.Errorf("line %d has no %q: %s", i+1, old, l[i])
			}
			l[i] = bytes.Replace(l[i], []byte(old), []byte(now), 1)
			return l
		})
	}
	for name, c := range map[string]struct {
		text []byte
		line int
	}{
		"nothing":           {nil, 1},
		"not an export":     {[]byte("hello\n"), 1},
		"other format":      {replace(0, "kanban-log/1", "kanban-log/9"), 1},
		"no log id":         {replace(0, source.LogID(), ""), 1},
		"first line only":   {lines[0], 2},
		"cut at a line":     {bytes.Join(lines[:7], nil), 8},
		"cut before end":    {bytes.Join(lines[:len(lines)-1], nil), len(lines)},
		"data changed":      {replace(3, "more", "less"), 4},
		"actor changed":     {replace(4, `"name":"system"`, `"name":"sistem"`), 5},
		"time changed":      {replace(4, "2025-", "2024-"), 5},
		"unhashed changed":  {replace(4, `"source":"/boards/1"`, `"source":"/boards/2"`), 5},
		"line missing":      {with(func(l [][]byte) [][]byte { return append(l[:5], l[6:]...) }), 6},
		"line twice":        {with(func(l [][]byte) [][]byte { return append(l[:6:6], l[5:]...) }), 7},
		"end cut short":     {bytes.TrimSuffix(bytes.Join(lines, nil), []byte("\n")), len(lines)},
		"command id":        {replace(len(lines)-2, `"id":"c`, `"id":"d`), len(lines)},
		"more after end":    {append(bytes.Join(lines, nil), "{}\n"...), len(lines) + 1},
		"command changed":   {replace(len(lines)-2, `"last":`, `"last":9`), len(lines) - 1},
		"command missing":   {with(func(l [][]byte) [][]byte { return append(l[:len(l)-2], l[len(l)-1]) }), len(lines) - 1},
		"other log's start": {replace(0, `"position":`, `"position":1`), len(lines)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			id := db.LogID()
			_, err := ops.Import(t.Context(), db, bytes.NewReader(c.text), ops.ImportOptions{})
			if !errors.Is(err, ops.ErrBadExport) {
				t.Fatalf("error = %v, want ErrBadExport", err)
			}
			if want := fmt.Sprintf("line %d:", c.line); !strings.Contains(err.Error(), want) {
				t.Errorf("error = %v, want it to name %s", err, want)
			}
			if n := count(t, db, "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM commands)"); n != 0 || db.LogID() != id {
				t.Errorf("%d rows were kept of a damaged file, id %s", n, db.LogID())
			}
		})
	}
}

// Whatever single byte is changed, removed or added, or wherever the file is
// cut: the import is refused, or the log is the same.
func TestImportOfRandomDamage(t *testing.T) {
	t.Parallel()
	source := open(t)
	fill(t, source, 4)
	whole := export(t, source)
	same := &recorder{}
	if _, err := ops.Import(t.Context(), same, bytes.NewReader(whole), ops.ImportOptions{}); err != nil {
		t.Fatalf("import undamaged: %v", err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.IntRange(0, len(whole)-1).Draw(rt, "at")
		text := bytes.Clone(whole)
		switch rapid.SampledFrom([]string{"cut", "flip", "remove", "add"}).Draw(rt, "damage") {
		case "cut":
			text = text[:at]
		case "flip":
			text[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		case "remove":
			text = append(text[:at], text[at+1:]...)
		case "add":
			text = append(text[:at:at], append([]byte{rapid.Byte().Draw(rt, "byte")}, whole[at:]...)...)
		}
		to := &recorder{}
		head, err := ops.Import(t.Context(), to, bytes.NewReader(text), ops.ImportOptions{})
		want, _ := source.Head(t.Context())
		if err != nil {
			if !errors.Is(err, ops.ErrBadExport) {
				rt.Fatalf("error = %v, want ErrBadExport", err)
			}
			return
		}
		if head != want || len(to.events) != int(want.Position) || to.id != source.LogID() || !reflect.DeepEqual(to.records, same.records) {
			rt.Fatalf("damaged at %d, imported %d events up to %v, want the original %v or a refusal", at, len(to.events), head, want)
		}
	})
}

func TestExportRefusesADamagedLog(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 3)
	damage(t, db, "UPDATE events SET actor_name = 'mallory' WHERE position = 4")
	var out bytes.Buffer
	_, err := ops.Export(t.Context(), db, &out, ops.ExportOptions{})
	if !errors.Is(err, events.ErrChainBroken) || !strings.Contains(err.Error(), "position 4") {
		t.Errorf("error = %v, want a broken chain at position 4", err)
	}
}

func TestExportFormat(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 1)
	lines := strings.Split(strings.TrimSpace(string(export(t, db))), "\n")
	var header ops.Header
	if err := json.Unmarshal([]byte(lines[0]), &header); err != nil || header.Format != ops.Format || header.LogID != db.LogID() || header.Head.Position == 0 {
		t.Errorf("first line = %s (%v)", lines[0], err)
	}
	for i, text := range lines[1 : 1+header.Head.Position] {
		var e map[string]any
		if err := json.Unmarshal([]byte(text), &e); err != nil || e["specversion"] != "1.0" || int(e["position"].(float64)) != i+1 {
			t.Errorf("line %d = %s (%v)", i+2, text, err)
		}
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, `{"end":`) {
		t.Errorf("last line = %s", last)
	}
}

func TestExportToAFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	db := open(t)
	fill(t, db, 1)
	if _, err := ops.Export(t.Context(), db, full, ops.ExportOptions{}); err == nil {
		t.Error("export to a full disk succeeded")
	}
}
