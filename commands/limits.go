package commands

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agent-kanban/agent-kanban/events"
)

// Limits of what one command may carry. Sizes are in bytes unless they say
// characters.
const (
	MaxTitle    = 200 // characters
	MaxName     = 200 // characters, of a board or display name
	MaxUserName = 64  // characters
	MaxColumn   = 50  // characters, of a column's name
	MaxText     = 64 << 10
	MaxLabels   = 200
	MaxLabel    = 50 // characters
	MaxColumns  = 50
	MaxWIPLimit = 10_000
	MaxWebhooks = 20   // of one board
	MaxHost     = 260  // characters, of a webhook's host with its port
	MaxBatch    = 1000 // commands of one Do

	MaxDependencies = 100
	MaxChecklist    = 100
	MaxItem         = 500 // characters, of an acceptance criterion
	MaxEvidence     = 100
	MaxEvidenceText = 16 << 10
	MaxNote         = 2000              // characters
	MaxUsage        = 1_000_000_000_000 // of one report
)

var keyPattern = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,9}$`)

// checker collects what is wrong with a command, so that the answer names every
// field at once.
type checker struct{ fields map[string]string }

func (c *checker) fail(field, reason string) {
	if c.fields == nil {
		c.fields = map[string]string{}
	}
	if _, taken := c.fields[field]; !taken {
		c.fields[field] = reason
	}
}

// line checks text that stands on one line and returns it trimmed.
func (c *checker) line(field, s string, limit int, required bool) string {
	s = strings.TrimSpace(s)
	switch {
	case !utf8.ValidString(s):
		c.fail(field, "must be valid UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		c.fail(field, "must be one line without control characters")
	case required && s == "":
		c.fail(field, "must not be empty")
	case utf8.RuneCountInString(s) > limit:
		c.fail(field, "must be at most "+itoa(limit)+" characters")
	}
	return s
}

// text checks text of several lines.
func (c *checker) text(field, s string, required bool) string {
	switch {
	case !utf8.ValidString(s):
		c.fail(field, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		c.fail(field, "must not contain NUL")
	case required && strings.TrimSpace(s) == "":
		c.fail(field, "must not be empty")
	case len(s) > MaxText:
		c.fail(field, "must be at most "+itoa(MaxText)+" bytes")
	}
	return s
}

func (c *checker) priority(field string, p events.Priority) {
	switch p {
	case events.Low, events.Medium, events.High, events.Urgent:
	default:
		c.fail(field, "must be low, medium, high or urgent")
	}
}

func (c *checker) visibility(v events.Visibility) {
	if v != events.Private && v != events.Internal {
		c.fail("visibility", "must be private or internal")
	}
}

func (c *checker) maxClaims(n int) {
	if n < 1 || n > 100 {
		c.fail("max_claims", "must be between 1 and 100")
	}
}

// labels returns them trimmed and without doubles, in the given order.
func (c *checker) labels(labels []string) []string {
	out := make([]string, 0, len(labels))
	seen := make(map[string]bool, len(labels))
	for _, label := range labels {
		label = c.line("labels", label, MaxLabel, true)
		if !seen[label] {
			seen[label] = true
			out = append(out, label)
		}
	}
	if len(out) > MaxLabels {
		c.fail("labels", "must be at most "+itoa(MaxLabels))
	}
	return out
}

// checklist checks the texts of acceptance criteria and returns them trimmed.
func (c *checker) checklist(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = c.line("checklist", text, MaxItem, true)
	}
	if len(texts) > MaxChecklist {
		c.fail("checklist", "must be at most "+itoa(MaxChecklist)+" items")
	}
	return out
}

// note checks a remark of several lines.
func (c *checker) note(field, s string) string {
	s = strings.TrimSpace(c.text(field, s, false))
	if utf8.RuneCountInString(s) > MaxNote {
		c.fail(field, "must be at most "+itoa(MaxNote)+" characters")
	}
	return s
}

// evidence checks one piece of evidence.
func (c *checker) evidence(field string, e EvidenceSpec) EvidenceSpec {
	e.Text = strings.TrimSpace(c.text(field+"text", e.Text, true))
	if len(e.Text) > MaxEvidenceText {
		c.fail(field+"text", "must be at most "+itoa(MaxEvidenceText)+" bytes: keep the end of a long output, or link to it")
	}
	switch e.Kind {
	case events.Link:
		u, err := url.Parse(e.Text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			c.fail(field+"text", "must be an http or https address without a password in it")
		}
	case events.Commit:
		c.line(field+"text", e.Text, MaxTitle, true)
	case events.TestOutput, events.Note:
	default:
		c.fail(field+"kind", "must be link, commit, test_output or note")
	}
	return e
}

// err returns one *events.Error that names every field, or nil.
func (c *checker) err() error {
	if len(c.fields) == 0 {
		return nil
	}
	parts := make([]string, 0, len(c.fields))
	for _, field := range sortedKeys(c.fields) {
		parts = append(parts, field+" "+c.fields[field])
	}
	return &events.Error{Code: events.CodeInvalid, Message: strings.Join(parts, "; ") + ".", Fields: c.fields}
}

// KindOf guesses the kind of a column from its name; index and count are its
// place among the board's columns.
func KindOf(name string, index, count int) events.ColumnKind {
	slug := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(slug, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("block", "waiting", "onhold"):
		return events.Blocked
	case has("notstarted", "backlog", "todo", "inbox", "idea", "icebox", "planned"):
		return events.Backlog
	case has("review", "qc", "verify", "testing", "approval"):
		return events.Review
	case has("done", "complete", "closed", "shipped", "finished"):
		return events.Done
	case index == 0 && count > 1:
		return events.Backlog
	default:
		return events.Active
	}
}
