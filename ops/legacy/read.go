package legacy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// noTitle stands where a ticket had none: a title must not be empty.
const noTitle = "(no title)"

// read turns the text of a field into a value. What had to be repaired is
// reported under the row that where names; an empty where reports nothing,
// for texts that were reported before.
func (h *past) read(field, text, where string, at time.Time) value {
	repaired := func(trouble Trouble, now, format string, args ...any) {
		if where != "" {
			h.find(Finding{Trouble: trouble, Row: where, Field: field, Found: cut(clean(text), 200), Now: cut(now, 200), Detail: fmt.Sprintf(format, args...)})
		}
	}
	switch field {
	case fieldTitle:
		title := line(text)
		if title == "" {
			repaired(BadText, noTitle, "without a title: it is now %q", noTitle)
			return value{text: noTitle}
		}
		short := strings.TrimSpace(cut(title, commands.MaxTitle))
		if short != title {
			repaired(BadText, short, "the title is longer than %d characters: it was cut and the whole is in a comment", commands.MaxTitle)
		}
		return value{text: short}
	case fieldDescription, fieldAcceptance:
		whole := clean(text)
		if whole != text {
			repaired(BadText, whole, "%s held what is not text; it was replaced", field)
		}
		if len(whole) > commands.MaxText {
			repaired(BadText, "", "%s is longer than %d bytes: the rest is in a comment", field, commands.MaxText)
		}
		return value{text: split(whole, commands.MaxText)[0]}
	case fieldPriority:
		p, label := priority(text)
		return value{text: string(p), label: label}
	case fieldAssignee:
		who := h.person(text, at)
		if who == nil {
			if line(text) != "" {
				repaired(BadName, "", "%q cannot be responsible for a ticket: nobody is", line(text))
			}
			return value{}
		}
		return value{text: who.name}
	default:
		name, reason := h.lanes.resolve(text, h.now[fieldColumn].text, at)
		if reason != "" && where != "" {
			h.lost(text, name, reason, where)
		}
		return value{text: name}
	}
}

// lost reports a column that the board does not have.
func (h *past) lost(text, name, reason, where string) {
	f := Finding{Trouble: HistoryColumn, Row: where, Field: fieldColumn, Found: text, Now: name}
	if where == row("tickets", h.t.id) {
		if h.seen { // creation and end of a ticket without moves are the same row
			return
		}
		h.seen = true
		f.Trouble = CardColumn
	}
	f.Detail = fmt.Sprintf("column %q is not on the board: %q (%s)", text, name, reason)
	h.find(f)
}

func priorityOf(v value) events.Priority { return events.Priority(v.text) }

func id64(table string, id int64) string { return table + "/" + strconv.FormatInt(id, 10) }
