package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) boardShow() *cobra.Command {
	var cards int
	cmd := &cobra.Command{
		Use:   "show BOARD",
		Short: "Draw a board in the terminal",
		Long: `Draw a board in the terminal: the columns side by side, below each other where the
terminal is too narrow; per card the key, ! or !! for high and urgent, the title,
then who holds it and for how long without a heartbeat (else who is responsible),
how much of the checklist is done, whether it is blocked, and its approval.
NO_COLOR turns colours off; COLUMNS sets the width where the output is no
terminal.`,
		Example: "  kanban board show WEB\n  watch -n 2 kanban board show WEB\n  kanban board show 1 --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cards < 0 {
				return usagef("--cards is a number from 0")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			shot, err := c.Snapshot(cmd.Context(), commands.Ref(args[0]), "")
			if err != nil {
				return err
			}
			return a.printSnapshot(&shot, cards)
		},
	}
	cmd.Flags().IntVar(&cards, "cards", 0, "at most so many cards of a column (0 = all)")
	return cmd
}

// printSnapshot draws a board with at most so many cards of a column, 0 = all.
func (a *app) printSnapshot(shot *readmodel.Snapshot, cards int) error {
	if a.json {
		return a.printJSON(shot)
	}
	d := drawing{now: a.now(), cards: cards}
	d.width, d.colour = canvas(a.stdout)
	return d.board(a.stdout, shot)
}

// canvas is how wide one may draw, and whether in colour.
func canvas(w io.Writer) (width int, colour bool) {
	if width, ok := terminal(w); ok && width > 0 {
		return width, os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width, false
	}
	return 100, false
}

const (
	columnGap = 2
	minColumn = 18 // narrower, a title says nothing
	maxColumn = 40
)

// style is how a piece of text looks, as the parameters of an SGR sequence.
type style string

const (
	plain  style = ""
	strong style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	purple style = "35"
	cyan   style = "36"
)

// piece is text in one style; a line is some of them.
type piece struct {
	text  string
	style style
}

// drawing draws boards.
type drawing struct {
	width  int
	colour bool
	cards  int // of a column, 0 = all
	now    time.Time
}

// wide measures text in cells of the terminal: most characters take one, those
// of Chinese, Japanese and Korean two, and accents none. It does not depend on
// the locale, so that the same board always looks the same.
var wide = &runewidth.Condition{StrictEmojiNeutral: true}

// board writes the columns side by side, below each other where they would be
// too narrow.
func (d *drawing) board(w io.Writer, shot *readmodel.Snapshot) error {
	var b strings.Builder
	state := ""
	if shot.Board.Frozen {
		state = ", frozen"
	}
	fmt.Fprintf(&b, "%s  %s  (position %d%s)\n\n", shot.Board.Key, clean(shot.Board.Name), shot.Position, state)
	each := maxColumn
	if n := len(shot.Columns); n > 0 {
		each = min(maxColumn, (d.width-columnGap*(n-1))/n)
	}
	inside := each
	if each < minColumn {
		inside = d.width - columnGap
	}
	columns := make([][][]piece, len(shot.Columns))
	for i := range shot.Columns {
		columns[i] = d.column(&shot.Columns[i], shot.Tickets, inside)
	}
	if each < minColumn {
		for i, lines := range columns {
			if i > 0 {
				fmt.Fprintln(&b)
			}
			for j, line := range lines {
				if j > 0 {
					line = append([]piece{{"  ", plain}}, line...)
				}
				fmt.Fprintln(&b, strings.TrimRight(d.line(line, d.width, false), " "))
			}
		}
	} else {
		d.sideBySide(&b, columns, each)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// column is a heading and then the cards.
func (d *drawing) column(col *readmodel.Column, tickets []readmodel.Ticket, width int) [][]piece {
	count := 0
	lines := [][]piece{nil}
	for i := range tickets {
		if tickets[i].ColumnID != col.ID {
			continue
		}
		if count++; d.cards == 0 || count <= d.cards {
			lines = append(lines, d.card(&tickets[i], width)...)
		}
	}
	if more := count - d.cards; d.cards > 0 && more > 0 {
		lines = append(lines, []piece{{fmt.Sprintf("… %d more", more), faint}})
	}
	heading := piece{strconv.Itoa(count), strong}
	if col.WIPLimit != nil {
		heading.text += "/" + strconv.Itoa(*col.WIPLimit)
		switch {
		case count > *col.WIPLimit:
			heading.style = red
		case count == *col.WIPLimit:
			heading.style = yellow
		}
	}
	heading.text = fmt.Sprintf("%s (%s)", clean(col.Name), heading.text)
	lines[0] = []piece{heading}
	return lines
}

// card is a ticket: the key first, since that is what one types next, and below
// it how it stands.
func (d *drawing) card(t *readmodel.Ticket, width int) [][]piece {
	line := []piece{{t.Key, strong}}
	switch t.Priority {
	case events.Urgent:
		line = append(line, piece{" !!", red})
	case events.High:
		line = append(line, piece{" !", yellow})
	case events.Medium, events.Low:
	}
	line = append(line, piece{" " + clean(t.Title), plain})
	lines := [][]piece{line}
	left := 0
	for i, part := range d.standing(t) {
		part.text = "  " + part.text
		if need := wide.StringWidth(part.text); i == 0 || need > left {
			lines, left = append(lines, nil), width
		}
		last := len(lines) - 1
		lines[last], left = append(lines[last], part), left-wide.StringWidth(part.text)
	}
	return lines
}

// standing is what the lines below a card's title say, in parts that stay
// together.
func (d *drawing) standing(t *readmodel.Ticket) []piece {
	var parts []piece
	switch {
	case t.Lease != nil:
		left := t.Lease.ExpiresAt.Sub(d.now)
		colour, text := cyan, span(left.Round(time.Second))+" left"
		if left < 0 {
			colour, text = red, "lease over"
		}
		parts = append(parts, piece{"@" + clean(t.Lease.Holder) + " " + text, colour})
	case t.Assignee != nil:
		parts = append(parts, piece{"@" + clean(*t.Assignee), faint})
	}
	if t.Blocked {
		parts = append(parts, piece{"blocked", red})
	}
	if len(t.Checklist) > 0 {
		parts = append(parts, piece{progress(t.Checklist), faint})
	}
	if t.Approval != nil {
		switch commands.ApprovalState(t.Approval.State) {
		case commands.ApprovalRequested:
			parts = append(parts, piece{"approve?", purple})
		case commands.ApprovalGranted:
			parts = append(parts, piece{"approved", green})
		case commands.ApprovalRejected:
			parts = append(parts, piece{"rejected", red})
		}
	}
	return parts
}

func (d *drawing) sideBySide(b *strings.Builder, columns [][][]piece, width int) {
	height := 0
	for _, lines := range columns {
		height = max(height, len(lines))
	}
	for row := range height {
		var line strings.Builder
		for i, lines := range columns {
			var cell []piece
			if row < len(lines) {
				cell = lines[row]
			}
			line.WriteString(d.line(cell, width, i < len(columns)-1))
			if i < len(columns)-1 {
				line.WriteString(strings.Repeat(" ", columnGap))
			}
		}
		fmt.Fprintln(b, strings.TrimRight(line.String(), " "))
		if row == 0 {
			rules := make([]string, len(columns))
			for i := range rules {
				rules[i] = strings.Repeat("─", width)
			}
			fmt.Fprintln(b, strings.Join(rules, strings.Repeat(" ", columnGap)))
		}
	}
}

// line cuts a line to a width, and fills it up to that where asked.
func (d *drawing) line(parts []piece, width int, fill bool) string {
	var b strings.Builder
	left := width
	for _, p := range parts {
		text := p.text
		cutOff := wide.StringWidth(text) > left
		if cutOff {
			text = wide.Truncate(text, left, "…")
		}
		left -= wide.StringWidth(text)
		if d.colour && p.style != plain && text != "" {
			text = "\x1b[" + string(p.style) + "m" + text + "\x1b[0m"
		}
		b.WriteString(text)
		if cutOff {
			break
		}
	}
	if fill && left > 0 {
		b.WriteString(strings.Repeat(" ", left))
	}
	return b.String()
}
