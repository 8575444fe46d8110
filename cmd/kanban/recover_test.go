package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
)

const (
	dbName   = "agent_kanban.db"
	walName  = dbName + "-wal"
	pageSize = 4096
)

// wreckage are the files of a server that was killed: a database whose newest
// transactions are in the WAL, and the stream's blocks, by name; and what they
// hold.
type wreckage struct {
	files  map[string][]byte
	events []events.Envelope
	// places are those of each event in the files as they were.
	places map[int64][]place
}

// place is where the beginning of an event's row, or its JSON, stands.
type place struct {
	file   string
	offset int
}

// newWreckage runs a server for about 2,000 events, some of which do not fit
// into one page.
func newWreckage(t *testing.T) *wreckage {
	t.Helper()
	dir := t.TempDir()
	s := newTestServer(t, dir)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = s.close(context.Background())
		}
	}()
	meta := commands.Meta{Actor: events.SystemActor, Trusted: true}
	do := func(list ...commands.Command) {
		t.Helper()
		if _, err := s.sequencer.Do(t.Context(), meta, list...); err != nil {
			t.Fatal(err)
		}
	}
	do(commands.RegisterUser{Name: "ada", Kind: events.Human, Admin: true})
	do(commands.CreateBoard{Name: "Wreck", Key: "WRK"})
	rng := rand.New(rand.NewPCG(1, 1))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcdefghijklmnop \""[rng.IntN(18)]
		}
		return string(b)
	}
	for n := range 20 {
		var batch []commands.Command
		for i := range 20 {
			c := commands.CreateTicket{Board: "WRK", Title: fmt.Sprintf("ticket %d.%d", n, i), Description: text(50 + rng.IntN(400))}
			if i == 7 {
				c.Description = text(3000 + rng.IntN(12000))
			}
			batch = append(batch, c)
		}
		do(batch...)
		if n == 12 { // some of it is in the database, the rest in its WAL
			if _, err := s.db.Writer().ExecContext(t.Context(), "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
				t.Fatal(err)
			}
		}
	}
	head, err := s.db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.watermark.Wait(t.Context(), head.Position); err != nil {
		t.Fatal(err)
	}
	w := &wreckage{files: map[string][]byte{}, places: map[int64][]place{}}
	for e, err := range events.All(t.Context(), s.db, events.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		w.events = append(w.events, *e)
	}
	// As after a kill: nobody writes now, and the WAL is not copied back.
	for _, name := range []string{dbName, walName} {
		if w.files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	stopped = true
	if err := s.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(dir, "jetstream"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		w.files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(w.files[walName]) < 100*pageSize || len(w.files[dbName]) < 100*pageSize {
		t.Fatalf("a WAL of %d bytes and a database of %d: want both to hold something", len(w.files[walName]), len(w.files[dbName]))
	}
	w.find(t)
	return w
}

// find looks up where each event stands.
func (w *wreckage) find(t *testing.T) {
	t.Helper()
	for i := range w.events {
		e := &w.events[i]
		row := cell(e)
		row = row[:min(len(row), 300)]
		for name, text := range w.files {
			what := row
			switch {
			case strings.HasSuffix(name, ".blk"):
				what = e.JSON()
			case name != dbName && name != walName:
				continue
			}
			for at := 0; ; at++ {
				n := bytes.Index(text[at:], what)
				if n < 0 {
					break
				}
				at += n
				w.places[e.Position] = append(w.places[e.Position], place{name, at})
			}
		}
		if len(w.places[e.Position]) < 2 {
			t.Fatalf("position %d stands in %v, want the database and the stream", e.Position, w.places[e.Position])
		}
	}
}

// record writes a row of the events table as SQLite does.
func record(e *events.Envelope) []byte {
	var head, body []byte
	text := func(s string) {
		head = appendVarint(head, uint64(13+2*len(s)))
		body = append(body, s...)
	}
	number := func(n int64) {
		full := binary.BigEndian.AppendUint64(nil, uint64(n))
		switch n {
		case 0:
			head = append(head, 8)
		case 1:
			head = append(head, 9)
		default:
			for i, size := range []int{1, 2, 3, 4, 6, 8} {
				if limit := int64(1) << (8*size - 1); size == 8 || n >= -limit && n < limit {
					head = append(head, byte(i+1))
					body = append(body, full[8-size:]...)
					break
				}
			}
		}
	}
	optional := func(n int64) {
		if n == 0 {
			head = append(head, 0)
		} else {
			number(n)
		}
	}
	head = append(head, 0)
	text(e.Stream)
	number(e.Version)
	text(string(e.Type))
	number(int64(e.Schema))
	text(e.ID)
	number(e.RecordedAt.UnixMicro())
	text(string(e.Actor.Kind))
	number(e.Actor.ID)
	text(e.Actor.Name)
	text(e.CommandID)
	text(e.CorrelationID)
	text(e.CausationID)
	optional(e.BoardID)
	optional(e.TicketID)
	text(string(e.Data))
	for _, h := range []events.Hash{e.DataSHA, e.Hash} {
		head = append(head, 76)
		body = append(body, h[:]...)
	}
	number(int64(e.Chain))
	head = append(head, 0) // the actor's name is there
	return append(append([]byte{byte(len(head) + 1)}, head...), body...)
}

func appendVarint(b []byte, v uint64) []byte {
	var parts []byte
	for parts = []byte{byte(v & 0x7f)}; v > 0x7f; {
		v >>= 7
		parts = append(parts, byte(v&0x7f)|0x80)
	}
	slices.Reverse(parts)
	return append(b, parts...)
}

// cell is the beginning of the row in its page.
func cell(e *events.Envelope) []byte {
	r := record(e)
	prefix := appendVarint(appendVarint(nil, uint64(len(r))), uint64(e.Position))
	return append(prefix, r[:inPage(len(r))]...)
}

// inPage is how much of a record stays in its page.
func inPage(size int) int {
	if size <= pageSize-35 {
		return size
	}
	least := (pageSize-12)*32/255 - 23
	if k := least + (size-least)%(pageSize-4); k <= pageSize-35 {
		return k
	}
	return least
}

// newestFrames returns where the newest version of each page stands in a WAL.
func newestFrames(wal []byte) map[uint32]int {
	frames := map[uint32]int{}
	for at := 32; at+24+pageSize <= len(wal); at += 24 + pageSize {
		frames[binary.BigEndian.Uint32(wal[at:])] = at + 24
	}
	return frames
}

// holds reports whether any file still has the whole of the event.
func (w *wreckage) holds(files map[string][]byte, frames map[uint32]int, e *events.Envelope) bool {
	wal := files[walName]
	whole, row := record(e), cell(e)
	for _, p := range w.places[e.Position] {
		text := files[p.file]
		want := row
		if strings.HasSuffix(p.file, ".blk") {
			want = e.JSON()
		}
		if len(text) < p.offset+len(want) || !bytes.Equal(text[p.offset:p.offset+len(want)], want) {
			continue
		}
		here := inPage(len(whole))
		if here == len(whole) || strings.HasSuffix(p.file, ".blk") {
			return true
		}
		if len(text) < p.offset+len(want)+4 {
			continue
		}
		next := binary.BigEndian.Uint32(text[p.offset+len(want):])
		if follows(files[dbName], wal, frames, next, whole[here:]) || follows(files[dbName], nil, nil, next, whole[here:]) {
			return true
		}
	}
	return false
}

// follows reports whether the chain of overflow pages from next on holds rest.
func follows(db, wal []byte, frames map[uint32]int, next uint32, rest []byte) bool {
	for len(rest) > 0 {
		var page []byte
		if at, ok := frames[next]; ok {
			page = wal[at : at+pageSize]
		} else if next > 0 && int(next)*pageSize <= len(db) {
			page = db[int(next-1)*pageSize : int(next)*pageSize]
		} else {
			return false
		}
		n := min(len(rest), pageSize-4)
		if !bytes.Equal(page[4:4+n], rest[:n]) {
			return false
		}
		next, rest = binary.BigEndian.Uint32(page), rest[n:]
	}
	return true
}

// damages are what can happen to files. Each changes files in place.
var damages = []struct {
	name string
	do   func(rng *rand.Rand, files map[string][]byte)
}{
	{"header", func(_ *rand.Rand, files map[string][]byte) { clear(files[dbName][:100]) }},
	{"first page", func(_ *rand.Rand, files map[string][]byte) { clear(files[dbName][:pageSize]) }},
	{"interior pages", func(_ *rand.Rand, files map[string][]byte) {
		for at := pageSize; at < len(files[dbName]); at += pageSize {
			if kind := files[dbName][at]; kind == 5 || kind == 2 {
				clear(files[dbName][at : at+pageSize])
			}
		}
	}},
	{"heads of pages", func(rng *rand.Rand, files map[string][]byte) {
		for at := 0; at < len(files[dbName]); at += pageSize {
			if rng.IntN(3) == 0 {
				clear(files[dbName][at : at+8])
			}
		}
	}},
	{"zeroed ranges", func(rng *rand.Rand, files map[string][]byte) { zero(rng, files[dbName], 1+rng.IntN(5)) }},
	{"flipped bytes", func(rng *rand.Rand, files map[string][]byte) { flip(rng, files[dbName], 1+rng.IntN(200)) }},
	{"truncated", func(rng *rand.Rand, files map[string][]byte) {
		files[dbName] = files[dbName][:rng.IntN(len(files[dbName]))]
	}},
	{"wal header", func(rng *rand.Rand, files map[string][]byte) { flip(rng, files[walName][:32], 3) }},
	{"wal flipped", func(rng *rand.Rand, files map[string][]byte) { flip(rng, files[walName], 1+rng.IntN(50)) }},
	{"wal zeroed", func(rng *rand.Rand, files map[string][]byte) { zero(rng, files[walName], 1+rng.IntN(3)) }},
	{"wal truncated", func(rng *rand.Rand, files map[string][]byte) {
		files[walName] = files[walName][:rng.IntN(len(files[walName]))]
	}},
	{"wal deleted", func(_ *rand.Rand, files map[string][]byte) { delete(files, walName) }},
	{"deleted", func(_ *rand.Rand, files map[string][]byte) { delete(files, dbName) }},
}

func zero(rng *rand.Rand, b []byte, times int) {
	for range times {
		at := rng.IntN(len(b))
		clear(b[at:min(len(b), at+1+rng.IntN(64<<10))])
	}
}

func flip(rng *rand.Rand, b []byte, times int) {
	for range times {
		b[rng.IntN(len(b))] ^= byte(1 + rng.IntN(255))
	}
}

// damaged returns a damaged copy of the files, and what was done. Even seeds keep
// the stream, every sixth one has it damaged too.
func (w *wreckage) damaged(seed uint64) (files map[string][]byte, what string) {
	rng := rand.New(rand.NewPCG(seed, 7))
	files = map[string][]byte{}
	for name, text := range w.files {
		if seed%2 == 0 || !strings.HasPrefix(name, "jetstream") {
			files[name] = bytes.Clone(text)
		}
	}
	d := damages[int(seed)%len(damages)]
	d.do(rng, files)
	what = d.name
	if rng.IntN(3) == 0 && files[dbName] != nil && len(files[dbName]) > 0 {
		zero(rng, files[dbName], 1)
		what += ", zeroed ranges"
	}
	if seed%2 == 0 {
		what += ", with the stream"
	}
	if seed%6 == 0 {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if strings.HasSuffix(name, ".blk") && len(files[name]) > 0 {
				zero(rng, files[name], 2)
				flip(rng, files[name], 5)
			}
		}
		what += " damaged too"
	}
	return files, what
}

// raced reports whether the race detector is in this binary.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Whatever happens to the files: what any copy still holds is in the log
// afterwards, or in recovered/ where something before it is missing.
func TestRecoverFindsWhatAnyCopyHolds(t *testing.T) {
	t.Parallel()
	seeds := uint64(200)
	if testing.Short() {
		seeds = 13
	} else if raced() {
		seeds = 25 // make test runs all of them without the race detector
	}
	w := newWreckage(t)
	t.Run("seeds", func(t *testing.T) {
		for seed := range seeds {
			files, what := w.damaged(seed)
			t.Run(fmt.Sprintf("%d %s", seed, what), func(t *testing.T) {
				t.Parallel()
				if seed%8 == 2 || testing.Short() {
					w.recovers(t, files, seed%40 == 2)
				} else {
					w.plans(t, files)
				}
			})
		}
	})
}

// place writes the files into a new directory, and says which events they hold
// and up to where all of them.
func (w *wreckage) place(t *testing.T, files map[string][]byte) (dir string, held []bool, prefix int) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held = make([]bool, len(w.events))
	frames := newestFrames(files[walName])
	for i := range w.events {
		held[i] = w.holds(files, frames, &w.events[i])
		if held[i] && prefix == i {
			prefix = i + 1
		}
	}
	return dir, held, prefix
}

// plans asks for the plan only, as a dry run does: its head proves every event
// before it.
func (w *wreckage) plans(t *testing.T, files map[string][]byte) {
	dir, held, prefix := w.place(t, files)
	r := &recovery{a: &app{now: time.Now}, cfg: newTestServer(t, dir).cfg, path: filepath.Join(dir, dbName)}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := r.plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head := report.Head
	if head.Position < int64(prefix) || head.Position > 0 && head != w.events[head.Position-1].Head() {
		t.Errorf("the log ends at %d, but the files held everything up to %d: %+v", head.Position, prefix, report)
	}
	for _, e := range report.Lost {
		if held[e.Position-1] {
			t.Errorf("the data of position %d is said to be lost, and was still there", e.Position)
		}
	}
	var beyond bytes.Buffer
	if err := r.scratch.WriteBeyond(t.Context(), &beyond); err != nil {
		t.Fatal(err)
	}
	w.savedAll(t, held, head.Position, beyond.Bytes())
}

// savedAll checks that what was still there and is not in the log was saved.
func (w *wreckage) savedAll(t *testing.T, held []bool, head int64, saved []byte) {
	t.Helper()
	for i := head; i < int64(len(w.events)); i++ {
		if held[i] && !bytes.Contains(saved, w.events[i].JSON()) {
			t.Errorf("position %d was still there, and is neither in the log (which ends at %d) nor saved", i+1, head)
			return
		}
	}
}

// recovers does the whole of it.
func (w *wreckage) recovers(t *testing.T, files map[string][]byte, serve bool) {
	dir, held, prefix := w.place(t, files)
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: io.Discard, now: time.Now, dataDir: dir}
	cfg := newTestServer(t, dir).cfg
	err := a.recover(t.Context(), cfg, copies{}, false)
	var found *foundError
	if err != nil && !errors.As(err, &found) {
		if prefix == 0 {
			return // nothing can be proven, and nothing was changed
		}
		t.Fatalf("%v\n%s", err, out.String())
	}
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(dir, dbName), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	v, err := ops.Verify(t.Context(), db, verifyOptions(db, nil, nil))
	if err != nil || !v.OK() {
		t.Errorf("verify: %v %+v", err, v)
	}
	if v.Head.Position < int64(prefix) {
		t.Errorf("the log ends at %d, but the files held everything up to %d\n%s", v.Head.Position, prefix, out.String())
	}
	saved := w.saved(t, dir)
	for e, err := range events.All(t.Context(), db, events.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := &w.events[e.Position-1]; held[e.Position-1] && !bytes.Equal(e.JSON(), want.JSON()) {
			t.Errorf("position %d: %s, want %s", e.Position, e.JSON(), want.JSON())
		}
	}
	w.savedAll(t, held, v.Head.Position, saved)
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if serve {
		s := newServer(cfg, false, io.Discard)
		if err := s.start(t.Context()); err != nil {
			t.Fatalf("start: %v", err)
		}
		if err := s.close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// saved is everything in recovered/.
func (w *wreckage) saved(t *testing.T, dir string) (all []byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "recovered", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}
