package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/ui"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// inBrowser is how many random histories the browser folds.
const inBrowser = 1000

// TestBrowserFolds shows that the browser's fold of events is what Timeline says,
// which TestRowsTimelineAndRebuildAgree compares with the rows: on golden
// histories, and on a thousand random ones.
func TestBrowserFolds(t *testing.T) {
	t.Parallel()
	run := openPage(t)
	files, err := filepath.Glob("testdata/folds/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no golden histories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			log, _ := readFold(t, file)
			for _, board := range created(log) {
				for position := int64(0); position < int64(len(log)); position += 3 {
					foldsAlike(t, run, log, cut{board, position, position + 1, position + 2, position + 3})
				}
			}
		})
	}
	t.Run("random", func(t *testing.T) {
		goal := inBrowser
		if n, err := strconv.Atoi(os.Getenv("RAPID_CHECKS")); err == nil {
			goal = min(n, goal) // make test runs all of them without the race detector
		}
		done := 0
		for done < goal && !t.Failed() {
			rapid.Check(t, func(rt *rapid.T) {
				done++
				log := drawHistory(rt)
				end := int64(len(log))
				c := cut{board: rapid.SampledFrom(created(log)).Draw(rt, "board of the fold")}
				c.middle = rapid.Int64Range(1, end).Draw(rt, "snapshot")
				c.asked = rapid.Int64Range(c.middle, end).Draw(rt, "asked")
				c.answer = rapid.Int64Range(c.asked, end).Draw(rt, "answer")
				c.answered = rapid.Int64Range(c.asked, end).Draw(rt, "answered")
				foldsAlike(rt, run, log, c)
			})
		}
	})
}

// The golden histories, each a fold in the browser too, lead to the views in their
// last lines, by Timeline and by the rows.
func TestFoldsOfGoldenHistories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/folds/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no golden histories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			log, want := readFold(t, file)
			line := NewTimeline()
			for i := range log {
				if err := line.Apply(&log[i]); err != nil {
					t.Fatal(err)
				}
			}
			got := map[int64]*viewed{}
			for _, board := range created(log) {
				got[board] = viewOf(t, line, board)
			}
			if *update {
				writeFold(t, file, log, got)
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the timeline differs (-golden +timeline):\n%s", diff)
			}
			db := open(t)
			r := prepared(t, config(db))
			deliver(t, r, log)
			if diff := cmp.Diff(fromTimeline(t, log), fromRows(t.Context(), t, db.Reader(), log)); diff != "" {
				t.Errorf("the rows differ (-timeline +rows):\n%s", diff)
			}
		})
	}
}

// cut says how a history is folded: the board, the position of the snapshot, the
// one after which the server is asked for what events do not tell, the one that its
// answer is as of, and the one after which the answer comes.
type cut struct{ board, middle, asked, answer, answered int64 }

// viewed is a board as the browser and Timeline each have it.
type viewed struct {
	Board    readmodel.Board    `json:"board"`
	Tickets  []readmodel.Ticket `json:"tickets"`
	Archived []readmodel.Ticket `json:"archived"`
}

// viewOf returns nil where the board is deleted.
func viewOf(t fataler, line *Timeline, board int64) *viewed {
	if _, err := line.Board(board); err != nil {
		return nil
	}
	s, err := line.Snapshot(board)
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	archived := slices.DeleteFunc(line.Tickets(board), func(k readmodel.Ticket) bool { return !k.Archived })
	return &viewed{s.Board, s.Tickets, archived}
}

func commentsOf(line *Timeline, log []events.Envelope, board int64) map[int64][]readmodel.Comment {
	all := map[int64][]readmodel.Comment{}
	for i := range log {
		if log[i].BoardID == board && log[i].TicketID != 0 {
			if list := line.Comments(log[i].TicketID); len(list) > 0 {
				all[log[i].TicketID] = list
			}
		}
	}
	return all
}

func foldsAlike(t fataler, run func(argument any) (map[string]any, error), log []events.Envelope, c cut) {
	at := func(position int64) *Timeline {
		line := NewTimeline()
		for i := range log {
			if log[i].Position > position {
				break
			}
			if err := line.Apply(&log[i]); err != nil {
				t.Fatalf("timeline: %v", err)
			}
		}
		return line
	}
	end := at(int64(len(log)))
	byID := func(line *Timeline) map[int64]readmodel.Ticket {
		all := map[int64]readmodel.Ticket{}
		for _, k := range line.Tickets(c.board) {
			all[k.ID] = k
		}
		return all
	}
	argument := map[string]any{"board": c.board, "events": stream(log, c.board)}
	whole := viewOf(t, end, c.board)
	resumes := false
	line := at(c.middle)
	if v := viewOf(t, line, c.board); v != nil {
		resumes = true
		argument["middle"] = map[string]any{
			"snapshot": map[string]any{"position": c.middle, "board": v.Board, "columns": v.Board.Columns, "tickets": v.Tickets},
			"asked":    c.asked, "answered": c.answered, "answer": byID(at(c.answer)), "last": byID(end), "comments": commentsOf(line, log[:c.middle], c.board),
		}
	}
	got, err := run(argument)
	if err != nil {
		t.Fatalf("the fold failed: %v\n%s", err, told(log, c))
	}
	want := map[string]any{"whole": whole, "members": end.Members(c.board), "comments": commentsOf(end, log, c.board), "stale": []int64{}}
	if resumes {
		want["resumed"], want["later"], want["undone"], want["missed"] = whole, want["comments"], []int64{}, []int64{}
		for _, view := range []any{got["resumed"]} {
			if v, ok := view.(map[string]any); ok {
				v["archived"] = nil // it knows those that were archived before it began only where it asked for them
			}
		}
		if whole != nil {
			want["resumed"] = &viewed{whole.Board, whole.Tickets, nil}
		}
	}
	if whole == nil { // a deleted board has neither
		for _, name := range []string{"members", "comments", "later"} {
			delete(got, name)
			delete(want, name)
		}
	}
	if diff := cmp.Diff(plain(t, want), plain(t, got)); diff != "" {
		t.Fatalf("fold.js differs from the timeline (-timeline +browser):\n%s\n%s", diff, told(log, c))
	}
}

// told prints a history for who has to find out what went wrong.
func told(log []events.Envelope, c cut) string {
	var b strings.Builder
	fmt.Fprintf(&b, "board %d, snapshot at %d, asked after %d, answered as of %d after %d\n", c.board, c.middle, c.asked, c.answer, c.answered)
	for i := range log {
		if log[i].BoardID == c.board {
			fmt.Fprintf(&b, "%s\n", log[i].JSON())
		}
	}
	return b.String()
}

func stream(log []events.Envelope, board int64) []events.Envelope {
	return slices.DeleteFunc(slices.Clone(log), func(e events.Envelope) bool { return e.BoardID != board })
}

func created(log []events.Envelope) (boards []int64) {
	for i := range log {
		if log[i].Type == events.TypeBoardCreated {
			boards = append(boards, log[i].BoardID)
		}
	}
	return boards
}

// plain is a value as JSON has it, with times in one form, and without what is
// empty in maps of lists.
func plain(t fataler, v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("decode: %v", err)
	}
	for _, name := range []string{"comments", "later"} {
		lists, _ := out[name].(map[string]any)
		for id, list := range lists {
			if list, ok := list.([]any); ok && len(list) == 0 {
				delete(lists, id)
			}
		}
	}
	return evened(out)
}

func evened(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			if text, ok := x.(string); ok && (name == "at" || strings.HasSuffix(name, "_at")) {
				if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
					v[name] = at.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
				}
			} else {
				v[name] = evened(x)
			}
		}
	case []any:
		for i, x := range v {
			v[i] = evened(x)
		}
	}
	return v
}

// openPage opens a page that has the modules of the web board and testdata/fold.js,
// and returns what runs it there.
func openPage(t *testing.T) func(argument any) (map[string]any, error) {
	t.Helper()
	program := chromium(t)
	site, err := ui.New()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := site.File(r.URL.Path)
		if !ok {
			f = ui.File{Media: "text/html", Plain: []byte("<!doctype html><title>Folds</title>")}
		}
		w.Header().Set("Content-Type", f.Media)
		_, _ = w.Write(f.Plain)
	}))
	t.Cleanup(server.Close)
	ctx, _ := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(chromedp.ExecPath(program), chromedp.NoSandbox))
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	driver, err := os.ReadFile("testdata/fold.js")
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL),
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf("(%s)(%q)", driver, ui.Prefix+site.Sum+"/"), chromedp.EvalAwaitPromise)); err != nil {
		t.Fatalf("load fold.js: %v", err)
	}
	return func(argument any) (map[string]any, error) {
		text, err := json.Marshal(argument)
		if err != nil {
			return nil, err
		}
		quoted, err := json.Marshal(string(text))
		if err != nil {
			return nil, err
		}
		reply, err := chromedp.Run(ctx, chromedp.Evaluate[string]("run("+string(quoted)+")"))
		if err != nil {
			return nil, err
		}
		var out map[string]any
		return out, json.Unmarshal([]byte(reply), &out)
	}
}

// chromium finds the browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no Chromium here")
	}
	t.Skip("there is no Chromium here")
	return ""
}

// readFold reads a golden history: a line per event, and a last line with the views
// of its boards by id.
func readFold(t *testing.T, file string) (log []events.Envelope, views map[int64]*viewed) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, line := range lines {
		if i == len(lines)-1 && strings.HasPrefix(line, `{"1":`) {
			if err := json.Unmarshal([]byte(line), &views); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			break
		}
		var e events.Envelope
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s, line %d: %v", file, i+1, err)
		}
		log = append(log, e)
	}
	return log, views
}

// writeFold writes the views anew; the events of a golden history stay.
func writeFold(t *testing.T, file string, log []events.Envelope, views map[int64]*viewed) {
	t.Helper()
	var b strings.Builder
	for i := range log {
		fmt.Fprintf(&b, "%s\n", log[i].JSON())
	}
	text, err := json.Marshal(views)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%s\n", text)
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
