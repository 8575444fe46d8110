package events

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// RedactedText stands where a text was removed from the log on purpose.
const RedactedText = "[redacted]"

// ErasedName is what a person or agent is called once their name was erased.
func ErasedName(id int64) string { return erasedPrefix + strconv.FormatInt(id, 10) }

const erasedPrefix = "deleted user "

// LooksErased reports whether a name could be taken for one that was erased, for
// which reason nobody may choose it.
func LooksErased(name string) bool {
	return strings.HasPrefix(strings.ToLower(name), erasedPrefix)
}

type (
	// DataRedacted says that the data of earlier events was emptied on purpose. It
	// is on the stream of the board or user that those events are about; one
	// redaction may cause several. Whoever holds a copy of them reads them again.
	DataRedacted struct {
		Target string    `json:"target"` // ticket/12, comment/7, user/3, events/5-9
		Reason string    `json:"reason"`
		Events []Emptied `json:"events"` // in order of position
		// UserID, where not 0, is whose name gave way to ErasedName in every event
		// that they caused before this one.
		UserID int64 `json:"user_id,omitempty"`
	}

	// Emptied is one event whose data is gone.
	Emptied struct {
		Position int64 `json:"position"`
		// Schema and SHA are the shape of what was kept and its SHA-256, so that
		// what is kept cannot be changed unseen.
		Schema int  `json:"schema"`
		SHA    Hash `json:"sha"`
		// Kept is the fact without its texts. It is not part of the event: a later
		// redaction of the same position may have to replace it.
		Kept json.RawMessage `json:"-"`
	}
)

func (DataRedacted) Type() Type { return TypeDataRedacted }
func (DataRedacted) sealed()    {}

// Erasure says what is taken out of facts.
type Erasure struct {
	Texts     bool  // what somebody wrote: titles, descriptions, comments, notes, labels
	Names     bool  // also names of boards and columns, and hosts of webhooks
	CommentID int64 // the text of this comment
	UserID    int64 // this user, by id and by UserName
	UserName  string
}

// Of returns what the erasure leaves of an event's fact, ready for DataRedacted,
// and whether it takes out anything.
func (x Erasure) Of(e *Envelope) (Emptied, bool, error) {
	fact, err := e.Payload()
	if err != nil {
		return Emptied{}, false, fmt.Errorf("redact position %d: %w", e.Position, err)
	}
	before, _, err := encode(fact)
	if err != nil {
		return Emptied{}, false, err
	}
	kept, schema, err := encode(x.apply(fact))
	if err != nil {
		return Emptied{}, false, err
	}
	return Emptied{Position: e.Position, Schema: schema, SHA: sum(kept), Kept: kept}, string(kept) != string(before), nil
}

// Again carries out the redaction on an event that it names, as an older copy of
// the log has it: it returns what it left of it at first. name is that of UserID
// before it was erased. ok is false where that cannot be found out, which the
// event's sum decides.
func (f DataRedacted) Again(e *Envelope, want Emptied, name string) (left Emptied, ok bool) {
	for _, x := range f.erasures(name) {
		if left, _, err := x.Of(e); err == nil && left.Schema == want.Schema && left.SHA == want.SHA {
			return left, true
		}
	}
	return Emptied{}, false
}

// erasures are those that a target may have meant.
func (f DataRedacted) erasures(name string) []Erasure {
	kind, number, _ := strings.Cut(f.Target, "/")
	switch kind {
	case "ticket":
		return []Erasure{{Texts: true}}
	case "comment":
		id, _ := strconv.ParseInt(number, 10, 64)
		return []Erasure{{CommentID: id}}
	case "events":
		return []Erasure{{Texts: true, Names: true}}
	case "user":
		return []Erasure{{UserID: f.UserID, UserName: name}, {UserID: f.UserID, UserName: name, Texts: true}}
	}
	return nil
}

// CheckKept reports whether kept is what the event that emptied a position says
// was kept there.
func (x Emptied) CheckKept(e *Envelope) error {
	switch {
	case !e.Redacted():
		return fmt.Errorf("position %d: was redacted, but has data: %w", e.Position, ErrChainBroken)
	case e.Kept != nil && (e.KeptSchema != x.Schema || sum(e.Kept) != x.SHA):
		return fmt.Errorf("position %d: what redaction left was changed: %w", e.Position, ErrChainBroken)
	}
	return nil
}

func (x Erasure) text(s string) string {
	if x.Texts && s != "" {
		return RedactedText
	}
	return s
}

func (x Erasure) optional(s *string) *string {
	if s == nil {
		return nil
	}
	text := x.text(*s)
	return &text
}

func (x Erasure) label(s string) string {
	if x.Names && s != "" {
		return RedactedText
	}
	return s
}

// name is that of a user who is known by name alone.
func (x Erasure) name(s string) string {
	if x.UserID != 0 && x.UserName != "" && strings.EqualFold(s, x.UserName) {
		return ErasedName(x.UserID)
	}
	return s
}

// named is the name of the user with an id.
func (x Erasure) named(id int64, name string) string {
	if x.UserID != 0 && id == x.UserID {
		return ErasedName(id)
	}
	return name
}

func (x Erasure) comment(id int64, text string) string {
	if x.CommentID != 0 && id == x.CommentID && text != "" {
		return RedactedText
	}
	return x.text(text)
}

func (x Erasure) labels(list []string) []string {
	if x.Texts && len(list) > 0 {
		return []string{}
	}
	return list
}

func (x Erasure) column(c Column) Column {
	c.Name = x.label(c.Name)
	return c
}

// apply returns the fact without what is to go. It changes nothing in place.
func (x Erasure) apply(fact Event) Event {
	switch f := fact.(type) {
	case TicketCreated:
		return x.created(f)
	case TicketUpdated:
		f.Title, f.Description, f.AcceptanceCriteria = x.optional(f.Title), x.optional(f.Description), x.optional(f.AcceptanceCriteria)
		if f.Labels != nil {
			labels := x.labels(*f.Labels)
			f.Labels = &labels
		}
		return f
	case TicketMoved:
		f.FromColumn, f.Column = x.label(f.FromColumn), x.label(f.Column)
		return f
	case TicketAssigned:
		f.Assignee, f.Was = x.name(f.Assignee), x.name(f.Was)
		return f
	case TicketRestored:
		f.Column = x.label(f.Column)
		return f
	case TicketRecovered:
		return x.recovered(f)
	case TicketReleased:
		f.Holder, f.Note = x.named(f.HolderID, f.Holder), x.text(f.Note)
		return f
	case LeaseExpired:
		f.Holder = x.named(f.HolderID, f.Holder)
		return f
	case ChecklistChanged:
		f.Items = x.items(f.Items)
		return f
	case EvidenceAdded:
		f.Text = x.text(f.Text)
		return f
	case ApprovalRequested:
		f.Note = x.text(f.Note)
		return f
	case TicketApproved:
		f.Note = x.text(f.Note)
		return f
	case TicketRejected:
		f.Note = x.text(f.Note)
		return f
	case UsageRecorded:
		f.Model, f.Session = x.text(f.Model), x.text(f.Session)
		return f
	case CommentAdded:
		f.Text = x.comment(f.CommentID, f.Text)
		return f
	case CommentUpdated:
		f.Text = x.comment(f.CommentID, f.Text)
		return f
	default:
		return x.elsewhere(fact)
	}
}

func (x Erasure) created(f TicketCreated) TicketCreated {
	f.Title, f.Description, f.AcceptanceCriteria = x.text(f.Title), x.text(f.Description), x.text(f.AcceptanceCriteria)
	f.Labels, f.Assignee, f.Column = x.labels(f.Labels), x.name(f.Assignee), x.label(f.Column)
	return f
}

func (x Erasure) items(list []ChecklistItem) []ChecklistItem {
	if list == nil {
		return nil
	}
	items := append([]ChecklistItem{}, list...)
	for i := range items {
		items[i].Text = x.text(items[i].Text)
	}
	return items
}

func (x Erasure) recovered(f TicketRecovered) TicketRecovered {
	f.TicketCreated, f.Checklist, f.CreatedBy = x.created(f.TicketCreated), x.items(f.Checklist), x.name(f.CreatedBy)
	f.Evidence = append([]Evidence(nil), f.Evidence...)
	for i := range f.Evidence {
		f.Evidence[i].Text, f.Evidence[i].By = x.text(f.Evidence[i].Text), x.name(f.Evidence[i].By)
	}
	f.Comments = append([]RecoveredComment(nil), f.Comments...)
	for i := range f.Comments {
		c := &f.Comments[i]
		c.Text, c.Author.Name = x.comment(c.ID, c.Text), x.named(c.Author.ID, c.Author.Name)
	}
	return f
}

// elsewhere is apply for facts that are not about a ticket.
func (x Erasure) elsewhere(fact Event) Event {
	switch f := fact.(type) {
	case BoardCreated:
		f.Name, f.Description = x.label(f.Name), x.text(f.Description)
		f.Columns = append([]Column(nil), f.Columns...)
		for i := range f.Columns {
			f.Columns[i] = x.column(f.Columns[i])
		}
		return f
	case BoardUpdated:
		f.Description = x.optional(f.Description)
		if f.Name != nil {
			name := x.label(*f.Name)
			f.Name = &name
		}
		return f
	case BoardFrozen:
		f.Reason = x.text(f.Reason)
		return f
	case CommandsUndone:
		f.Actor = x.name(f.Actor)
		return f
	case WebhookAdded:
		f.Host = x.label(f.Host)
		return f
	case WebhookUpdated:
		f.Host = x.label(f.Host)
		return f
	case WebhookRemoved:
		f.Host = x.label(f.Host)
		return f
	case ColumnAdded:
		f.Column = x.column(f.Column)
		return f
	case ColumnUpdated:
		f.Column, f.Was = x.column(f.Column), x.label(f.Was)
		return f
	case ColumnRemoved:
		f.Name = x.label(f.Name)
		return f
	case MemberAdded:
		f.Name = x.named(f.UserID, f.Name)
		return f
	case MemberUpdated:
		f.Name = x.named(f.UserID, f.Name)
		return f
	case MemberRemoved:
		f.Name = x.named(f.UserID, f.Name)
		return f
	case LogImported:
		f.Source = x.label(f.Source)
		return f
	default:
		return x.account(fact)
	}
}

// account is apply for facts about people and agents. A user's name is their
// identity: it goes with the user, never with a range of events.
func (x Erasure) account(fact Event) Event {
	switch f := fact.(type) {
	case UserRegistered:
		f.Name, f.DisplayName = x.named(f.UserID, f.Name), x.named(f.UserID, f.DisplayName)
		return f
	case UserUpdated:
		if f.DisplayName != nil {
			name := x.named(f.UserID, *f.DisplayName)
			f.DisplayName = &name
		}
		return f
	case AgentPaused:
		f.Reason = x.text(f.Reason)
		if x.UserID != 0 && x.UserID == f.UserID && f.Reason != "" {
			f.Reason = RedactedText
		}
		return f
	case TokenIssued:
		f.Name = x.label(f.Name)
		if x.UserID != 0 && x.UserID == f.UserID {
			f.Name = RedactedText
		}
		return f
	default:
		return fact // has no text of anybody
	}
}
