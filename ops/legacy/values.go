package legacy

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// Names of fields in ticket_history.
const (
	fieldTitle       = "title"
	fieldDescription = "description"
	fieldAcceptance  = "acceptance_criteria"
	fieldPriority    = "priority"
	fieldAssignee    = "assignee"
	fieldColumn      = "column"
	fieldBulkColumn  = "current_column" // how bulk moves recorded the same thing
	fieldStatus      = "status"
)

var fields = []string{fieldTitle, fieldDescription, fieldAcceptance, fieldPriority, fieldAssignee, fieldColumn}

// priority maps the free text of the old system to a priority, and to a label
// that keeps the original visible where the word alone would lose it ("" where
// it would not). See the package comment for why lower numbers are more urgent.
func priority(text string) (p events.Priority, label string) {
	text = strings.ToLower(strings.TrimSpace(text))
	switch text {
	case "":
		return events.Medium, ""
	case "critical", "urgent":
		return events.Urgent, ""
	case "high":
		return events.High, ""
	case "medium", "normal":
		return events.Medium, ""
	case "low":
		return events.Low, ""
	}
	label = cut("priority:"+strings.Join(strings.Fields(text), "-"), commands.MaxLabel)
	whole, _, _ := strings.Cut(text, ".")
	n, err := strconv.Atoi(whole)
	switch {
	case err != nil:
		return events.Medium, label
	case n < 1:
		return events.Urgent, label
	case n < 2:
		return events.High, label
	case n < 3:
		return events.Medium, label
	default:
		return events.Low, label
	}
}

// labels is the label as the list that commands take, never nil.
func labels(label string) []string {
	if label == "" {
		return []string{}
	}
	return []string{label}
}

// clean makes text storable: valid UTF-8 without NUL.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// line is clean for texts of one line.
func line(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, clean(text)))
}

// cut returns the first n characters of text.
func cut(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}

// split cuts text into pieces of at most n bytes, between characters.
func split(text string, n int) []string {
	var pieces []string
	for len(text) > n {
		end := n
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		pieces = append(pieces, text[:end])
		text = text[end:]
	}
	return append(pieces, text)
}

// slug reduces a column's name to its letters and digits.
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// numeric reports whether name is a plain number.
func numeric(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}

// meaning says what a column of that name is for, "" if the name does not say.
// It knows whole names only: it decides where a lost card goes.
func meaning(name string) events.ColumnKind {
	switch slug(name) {
	case "todo", "backlog", "notstarted", "open", "new", "inbox", "planned", "ready":
		return events.Backlog
	case "inprogress", "doing", "active", "wip", "started", "development":
		return events.Active
	case "blocked", "onhold", "waiting", "paused":
		return events.Blocked
	case "review", "inreview", "readyforqc", "qc", "qa", "testing", "readyforreview", "codereview":
		return events.Review
	case "done", "complete", "completed", "closed", "finished", "resolved":
		return events.Done
	}
	return ""
}

// agentLike guesses from a name whether an agent or a person stands behind it.
func agentLike(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "agent") || strings.Contains(name, "mcp") || strings.Contains(name, "bot")
}
