package mcp

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"github.com/agent-kanban/agent-kanban/events"
)

// maxWeight bounds every reply. weigh is an upper bound for ordinary text, of
// whatever tokenizer; a test compares it with a real one and holds that no
// reply takes more than 8,000 tokens.
const maxWeight = 7600

// weigh estimates from above how many tokens a text takes, without a tokenizer:
// those cut at changes between letters, digits, spaces and signs, and divide
// what they do not know further.
func weigh(s string) int {
	total, run := 0, 0
	var class byte
	end := func() {
		switch class {
		case 'a':
			total += (run + 2) / 3
		case '0':
			total += (run + 2) / 3
		case ' ':
			total += min(run-1, 1+run/16)
		case '\n':
			total += 1 + run/16
		case '.':
			total += run
		}
		run = 0
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		is := classOf(r)
		upper := r >= 'A' && r <= 'Z'
		if is != class || upper {
			end()
			class = is
		}
		if is == 'x' {
			total += max(n-1, 1)
			continue
		}
		run++
	}
	end()
	return total
}

func classOf(r rune) byte {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		return 'a'
	case r >= '0' && r <= '9':
		return '0'
	case r == ' ':
		return ' '
	case r == '\n', r == '\r', r == '\t':
		return '\n'
	case r < 0x80:
		return '.'
	default:
		return 'x'
	}
}

// weightOf is that of data in a reply: once as it is and once inside of a JSON
// string.
func weightOf(data []byte) int {
	quoted, _ := json.Marshal(string(data)) // a string always encodes
	return weigh(string(data)) + weigh(string(quoted))
}

// cost is weightOf v's JSON.
func cost(v any) int {
	data, err := encode(v)
	if err != nil {
		return maxWeight // the reply's own encoding tells
	}
	return weightOf(data)
}

// prefix returns how many bytes of s, cut between two characters, cost at most
// left.
func prefix(s string, left int) int {
	if left <= 0 {
		return 0
	}
	low, high := 0, min(len(s), 16*left) // no text is that cheap
	for low < high {
		middle := (low + high + 1) / 2
		if cost(s[:middle]) <= left {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return boundary(s, low)
}

// boundary moves n back to the beginning of a character.
func boundary(s string, n int) int {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return min(n, len(s))
}

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
