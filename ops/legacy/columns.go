package legacy

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// lanes is what the plan knows of a board's columns.
type lanes struct {
	names []string
	added map[string]time.Time // columns the import adds, by when they are first needed
}

// parseColumns reads a board's list of columns, a JSON list of names (or of
// objects with a name). It never returns an empty list; the trouble says what
// was wrong with it, "" for nothing.
func parseColumns(text string) (names []string, trouble string) {
	var list []any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return defaultColumns(), "it is not a JSON list; the default columns were used"
	}
	seen := map[string]bool{}
	for _, item := range list {
		name, _ := item.(string)
		if object, ok := item.(map[string]any); ok {
			name, _ = object["name"].(string)
		}
		name = columnName(name)
		switch {
		case name == "":
			trouble = "a column without a name was left out"
		case seen[strings.ToLower(name)]:
			trouble = fmt.Sprintf("the column %q is in it twice", name)
		default:
			seen[strings.ToLower(name)] = true
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return defaultColumns(), "it is empty; the default columns were used"
	}
	if len(names) > commands.MaxColumns {
		trouble = fmt.Sprintf("it has more than %d columns; the others are added where a card needs them", commands.MaxColumns)
		names = names[:commands.MaxColumns]
	}
	return names, trouble
}

// columnName makes text a name that a column can have: one line, not too long,
// and not a number, which would be taken for the id of a column.
func columnName(text string) string {
	text = cut(line(text), commands.MaxColumn)
	if numeric(text) {
		return "Column " + text
	}
	return text
}

func defaultColumns() []string {
	return []string{"Not Started", "In Progress", "Blocked", "Ready for QC", "Done"}
}

// specs are the columns for CreateBoard.
func (l *lanes) specs() []commands.ColumnSpec {
	specs := make([]commands.ColumnSpec, len(l.names))
	for i, name := range l.names {
		specs[i] = commands.ColumnSpec{Name: name, Kind: commands.KindOf(name, i, len(l.names))}
	}
	return specs
}

// resolve finds the column that the text of a row means. before is the column
// the card was in, "" for none. The reason is "" where the board has a column
// of exactly that name.
func (l *lanes) resolve(text, before string, at time.Time) (name, reason string) {
	number := numeric(line(text))
	text = columnName(text)
	for _, name := range l.names {
		if name == text {
			l.need(name, at)
			return name, ""
		}
	}
	fallback, where := l.names[0], "the first column"
	if before != "" {
		fallback, where = before, "the column it came from"
	}
	switch {
	case text == "":
		return fallback, "no column: " + where
	case number:
		return fallback, "a number, as the old drag and drop wrote when a card was dropped on another: " + where
	}
	for _, name := range l.names {
		if slug(name) == slug(text) && slug(text) != "" {
			l.need(name, at)
			return name, "another spelling"
		}
	}
	if kind := meaning(text); kind != "" {
		for i, name := range l.names {
			if commands.KindOf(name, i, len(l.names)) == kind && l.added[name].IsZero() {
				return name, "another word for it"
			}
		}
	}
	if len(l.names) >= commands.MaxColumns {
		return fallback, "the board has no room for another column: " + where
	}
	l.names = append(l.names, text)
	l.need(text, time.Time{})
	l.added[text] = at
	return text, "added to the board"
}

// need moves the addition of a column to the first time it is used.
func (l *lanes) need(name string, at time.Time) {
	if l.added == nil {
		l.added = map[string]time.Time{}
	}
	if first, ok := l.added[name]; ok && at.Before(first) {
		l.added[name] = at
	}
}

// kind is what an added column is taken for.
func (l *lanes) kind(name string) events.ColumnKind {
	if kind := meaning(name); kind != "" {
		return kind
	}
	return commands.KindOf(name, 1, 2)
}
