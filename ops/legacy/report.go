package legacy

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Trouble names a sort of damage.
type Trouble string

// The sorts of damage that an import finds.
const (
	// CardColumn: a ticket stood in a column that its board does not have.
	CardColumn Trouble = "card_column"
	// HistoryColumn: a line of history names such a column.
	HistoryColumn Trouble = "history_column"
	// HistoryGap: a line's old value is not what the line before left.
	HistoryGap Trouble = "history_gap"
	// StateDiffers: the ticket is not what its history ends with.
	StateDiffers Trouble = "state_differs"
	// NoChange: a line that changes nothing; it is not an event.
	NoChange Trouble = "no_change"
	// NoCreation: a ticket without the line that says who created it.
	NoCreation Trouble = "no_creation"
	// UnknownField: a line about a field that tickets do not have.
	UnknownField Trouble = "unknown_field"
	// BadText: empty, too long, or not storable.
	BadText Trouble = "bad_text"
	// BadTime: unreadable, or earlier than what it follows.
	BadTime Trouble = "bad_time"
	// BadColumns: a board whose list of columns cannot be used as it is.
	BadColumns Trouble = "bad_columns"
	// Orphan: a row about a board or ticket that is not in the file.
	Orphan Trouble = "orphan"
	// BadName: a name of a person or agent that had to be changed.
	BadName Trouble = "bad_name"
	// Refused: a line that the rules of this program do not allow.
	Refused Trouble = "refused"
	// NewID: an id of the file was taken, the new one is in the mapping.
	NewID Trouble = "new_id"
)

// Finding is one piece of damage and what was done about it. Ids are those of
// the file, 0 where there is none.
type Finding struct {
	Trouble Trouble `json:"trouble"`
	Board   int64   `json:"board_id,omitempty"`
	Ticket  int64   `json:"ticket_id,omitempty"`
	Row     string  `json:"row,omitempty"` // table and id: "ticket_history 2434"
	Field   string  `json:"field,omitempty"`
	Found   string  `json:"found,omitempty"`
	Now     string  `json:"now,omitempty"`
	Detail  string  `json:"detail"`
}

// Counts are what the file holds.
type Counts struct {
	Boards   int `json:"boards"`
	Tickets  int `json:"tickets"`
	Comments int `json:"comments"`
	History  int `json:"history"`
	Users    int `json:"users"`
	Names    int `json:"names"` // people and agents known by name only
}

// Mapping gives the ids in the log for the ids in the file. KeptIDs says that
// boards, tickets and comments have the same; then their maps are empty.
type Mapping struct {
	KeptIDs  bool             `json:"kept_ids"`
	Boards   map[int64]int64  `json:"boards,omitempty"`
	Tickets  map[int64]int64  `json:"tickets,omitempty"`
	Comments map[int64]int64  `json:"comments,omitempty"`
	Users    map[string]int64 `json:"users,omitempty"`
}

// Privilege is a right in the old system that was not carried over.
type Privilege struct {
	User string `json:"user"`
	Was  string `json:"was"`
}

// PriorityUse says how one spelling of a priority was read, and how often
// tickets have it now.
type PriorityUse struct {
	Found   string          `json:"found"`
	Now     events.Priority `json:"now"`
	Label   string          `json:"label,omitempty"`
	Tickets int             `json:"tickets"`
}

// Report is the account of an import.
type Report struct {
	Source     string        `json:"source"` // base name of the file
	SHA256     string        `json:"sha256"`
	Counts     Counts        `json:"counts"`
	First      time.Time     `json:"first"` // time range of the file, UTC
	Last       time.Time     `json:"last"`
	Commands   int           `json:"commands"`  // issued
	Repeated   int           `json:"repeated"`  // of these, carried out by an earlier run
	Events     int           `json:"events"`    // appended by this run
	Unchanged  int           `json:"unchanged"` // lines of history that are no events
	Findings   []Finding     `json:"findings"`
	Privileges []Privilege   `json:"privileges_not_imported"`
	Priorities []PriorityUse `json:"priorities"`
	Notes      []string      `json:"notes"`
	Mapping    Mapping       `json:"mapping"`
	Head       events.Head   `json:"head"`
	Took       time.Duration `json:"took_ns"`
	// DryRun says that nothing was issued.
	DryRun bool `json:"dry_run,omitempty"`
}

// Count returns how many findings are of the given sort.
func (r *Report) Count(t Trouble) int {
	n := 0
	for _, f := range r.Findings {
		if f.Trouble == t {
			n++
		}
	}
	return n
}

// WriteJSON writes the report as one indented JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// titles introduces each sort of damage in WriteText, in the order of weight.
var titles = []struct {
	trouble Trouble
	title   string
}{
	{CardColumn, "Cards in a column that their board does not have"},
	{Orphan, "Rows about something that is not in the file"},
	{StateDiffers, "Cards that differ from the end of their history"},
	{HistoryGap, "Gaps in the history"},
	{HistoryColumn, "History with a column that the board does not have"},
	{NoCreation, "Cards without a record of who created them"},
	{BadColumns, "Boards whose list of columns was repaired"},
	{BadText, "Texts that were repaired"},
	{BadTime, "Times that were repaired"},
	{BadName, "Names that were changed"},
	{Refused, "Changes that the rules do not allow"},
	{UnknownField, "History about unknown fields"},
	{NewID, "Ids that were taken"},
	{NoChange, "History lines that change nothing"},
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	verb := "Imported"
	if r.DryRun {
		verb = "Would import"
	}
	fmt.Fprintf(&b, "%s %s (sha256 %s)\n", verb, r.Source, r.SHA256)
	fmt.Fprintf(&b, "  %d boards, %d tickets, %d comments, %d history lines, %d users, %d names\n",
		r.Counts.Boards, r.Counts.Tickets, r.Counts.Comments, r.Counts.History, r.Counts.Users, r.Counts.Names)
	if !r.First.IsZero() {
		fmt.Fprintf(&b, "  from %s to %s\n", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	}
	if !r.DryRun {
		fmt.Fprintf(&b, "  %d commands, %d of them done before; %d new events in %s\n",
			r.Commands, r.Repeated, r.Events, r.Took.Round(time.Millisecond))
		fmt.Fprintf(&b, "  head: position %d, hash %s\n", r.Head.Position, r.Head.Hash)
	}
	fmt.Fprintf(&b, "\nDamage: %d findings\n", len(r.Findings))
	for _, t := range titles {
		if n := r.Count(t.trouble); n > 0 {
			fmt.Fprintf(&b, "\n%s: %d\n", t.title, n)
			for _, f := range r.Findings {
				if f.Trouble == t.trouble {
					fmt.Fprintf(&b, "  %s\n", f)
				}
			}
		}
	}
	if len(r.Priorities) > 0 {
		b.WriteString("\nPriorities\n")
		for _, p := range r.Priorities {
			label := ""
			if p.Label != "" {
				label = ", label " + p.Label
			}
			fmt.Fprintf(&b, "  %q: %s%s (%d tickets)\n", p.Found, p.Now, label, p.Tickets)
		}
	}
	if len(r.Privileges) > 0 {
		b.WriteString("\nRights that were not carried over\n")
		for _, p := range r.Privileges {
			fmt.Fprintf(&b, "  %s was %s\n", p.User, p.Was)
		}
	}
	if len(r.Notes) > 0 {
		b.WriteString("\nGood to know\n")
		for _, note := range r.Notes {
			fmt.Fprintf(&b, "  %s\n", note)
		}
	}
	if !r.Mapping.KeptIDs && !r.DryRun {
		b.WriteString("\nIds in the file and in the log\n")
		for _, m := range []struct {
			name string
			ids  map[int64]int64
		}{{"board", r.Mapping.Boards}, {"ticket", r.Mapping.Tickets}, {"comment", r.Mapping.Comments}} {
			for _, old := range slices.Sorted(maps.Keys(m.ids)) {
				fmt.Fprintf(&b, "  %s %d is now %d\n", m.name, old, m.ids[old])
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String is the finding in one line.
func (f Finding) String() string {
	var b strings.Builder
	if f.Board != 0 {
		fmt.Fprintf(&b, "board %d: ", f.Board)
	}
	if f.Ticket != 0 {
		fmt.Fprintf(&b, "ticket %d: ", f.Ticket)
	}
	if f.Row != "" {
		fmt.Fprintf(&b, "%s: ", f.Row)
	}
	b.WriteString(f.Detail)
	return b.String()
}
