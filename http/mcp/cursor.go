package mcp

import (
	"encoding/base64"
	"encoding/json"

	"github.com/agent-kanban/agent-kanban/events"
)

// cursor says where a reply goes on. It is opaque to the model.
type cursor struct {
	Page    string `json:"p,omitempty"` // the API's cursor
	Skip    int    `json:"n,omitempty"` // items of that page, or of a section
	Section int    `json:"s,omitempty"` // of a ticket
	Offset  int    `json:"o,omitempty"` // bytes of a text
	Version int64  `json:"v,omitempty"` // of the ticket that was read
}

func (c *cursor) String() string {
	if c == nil {
		return ""
	}
	text, _ := json.Marshal(c) // a cursor always encodes
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(s string) (cursor, error) {
	var c cursor
	if s == "" {
		return c, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil || c.Skip < 0 || c.Section < 0 || c.Offset < 0 {
		return cursor{}, &events.Error{
			Code: events.CodeInvalid, Message: "cursor is not one that this tool gave. Leave it out to begin anew.",
			Fields: map[string]string{"cursor": "is not one that this tool gave"},
		}
	}
	return c, nil
}
