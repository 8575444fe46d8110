package browser

import (
	"database/sql"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver of the database that is imported
)

// past gives a server that was not begun yet the board of a web shop with four weeks of
// work behind it, by an import: nothing else may date events back. It returns the admin,
// to be logged in once the server has begun.
func (s *server) past(t *testing.T, admin string) *user {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "shop.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(statement string, values ...any) {
		t.Helper()
		for i, v := range values {
			if at, ok := v.(time.Time); ok {
				values[i] = at.UTC().Format("2006-01-02 15:04:05.000000")
			}
		}
		if _, err := db.Exec(statement, values...); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{
		"boards (id INTEGER, name, columns, description, created_at, updated_at)",
		"tickets (id INTEGER, title, description, acceptance_criteria, priority, assignee, current_column, board_id, created_at, updated_at, column_entered_at)",
		"comments (id INTEGER, ticket_id, text, author, created_at)",
		"ticket_history (id INTEGER, ticket_id, field_name, old_value, new_value, changed_by, changed_at)",
	} {
		run("CREATE TABLE " + table)
	}
	now := time.Now()
	begun := now.AddDate(0, 0, -28)
	run("INSERT INTO boards VALUES (1, 'Web shop', '[\"Not Started\", \"In Progress\", \"Blocked\", \"Ready for QC\", \"Done\"]', 'What the shop needs until it opens', ?, ?)", begun, begun)
	titles := []string{
		"Basket keeps its contents over a restart", "Prices with and without tax", "Search finds words with a typo", "Pictures load as they come into view",
		"Orders are confirmed by mail", "Address book of a customer", "Refund a part of an order", "Stock counts down when an order is paid",
		"Vouchers with an end date", "Delivery times per country", "Page of an order for guests", "Export orders for the accountant",
		"Rate limits for the public API", "Sizes in a table one can read aloud", "Reminder of a basket left behind", "Two sellers see the same stock",
		"Returns label as a PDF", "Invoice numbers without gaps", "Filter by colour and size", "Recommend what others bought",
		"Sign out everywhere", "Audit of who saw a customer's data", "Sitemap for search engines", "Banner for planned maintenance",
		"Pay by invoice", "Postal codes are checked as they are typed", "Slow queries of the order list", "Keyboard reaches every filter",
		"Ratings with pictures", "Archive orders after ten years", "Gift wrapping", "Currency of the visitor's country",
		"Health page for the status site", "Merge accounts of one person", "Opening hours of the shops", "Wish list that can be shared",
		"Tax report per quarter", "Retry payments that timed out", "Cookie notice without tricks", "Newsletter with double opt-in",
		"Delivery to a pick-up point", "Undo for the content editor", "Log of price changes", "Import the catalogue every night",
		"Compress pictures when they are uploaded", "Menu for small screens", "Late orders on one page", "Terms of use with versions",
	}
	who := []string{"robin", "wren", "heron", "ada"}
	r := rand.New(rand.NewPCG(28, 11))
	days := func(mean float64) time.Duration {
		return time.Duration((0.25 + r.ExpFloat64()) * mean * 24 * float64(time.Hour))
	}
	type step struct {
		to    string
		after time.Duration
	}
	change := 0
	for i, title := range titles {
		id, column, by := i+1, "Not Started", who[r.IntN(len(who))]
		created := begun.Add(time.Duration(i)*27*24*time.Hour/time.Duration(len(titles)) + days(0.1))
		at, entered := created, created
		steps := []step{{"In Progress", days(1.4)}, {"Ready for QC", days(1)}, {"Done", days(0.5)}}
		if r.IntN(6) == 0 {
			steps = slices.Insert(steps, 1, step{"Blocked", days(0.5)}, step{"In Progress", days(0.7)})
		}
		for _, step := range steps {
			if at = at.Add(step.after); at.After(now) {
				break
			}
			change++
			run("INSERT INTO ticket_history VALUES (?, ?, 'column', ?, ?, ?, ?)", change, id, column, step.to, by, at)
			column, entered = step.to, at
		}
		assignee := by
		if column == "Not Started" {
			assignee = ""
		}
		run("INSERT INTO tickets VALUES (?, ?, '', '', ?, ?, ?, 1, ?, ?, ?)", id, title, []string{"low", "medium", "medium", "high"}[r.IntN(4)], assignee, column, created, entered, entered)
		if r.IntN(3) == 0 {
			run("INSERT INTO comments VALUES (?, ?, 'Looked at it: two cases are missing.', ?, ?)", id, id, who[r.IntN(len(who))], created.Add(time.Hour))
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"import", "--format", "agent-kanban", path}, {"user", "create", "--admin", admin}} {
		cmd := exec.Command(program, append(args, "--data-dir", s.dir)...)
		cmd.Stdin = strings.NewReader(password + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%.2000s", args[0], err, out)
		}
	}
	return &user{t: t, s: s, name: admin}
}
