package backup

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/agent-kanban/agent-kanban/events"
)

// A segment is a file log-<first position>.kseg: records, one after the other.
// A record is a link, then its payload.
//
//   - The link is a skippable frame of zstd (magic, length, both 4 bytes
//     little-endian, then JSON): which events the payload holds, the hash before
//     the first and of the last, the payload's size, and the SHA-256 of both. With it a
//     shipper finds its place, a torn record is told from a whole one, and the
//     chain of records can be followed, all without a key.
//   - The payload is a frame of zstd, or, sealed, one that is encrypted with age.
//     In it are lines of JSON: events in the form that they have everywhere, after
//     the last one of a command the record of that, and {"row": …} for what is
//     never in an event (see side.go). A record may hold rows alone; then Last is
//     the position before First, and a bucket keeps it under a name of its own.
//
// So "zstd -dc" prints a segment that is not sealed.
type link struct {
	Format   string      `json:"format"`
	LogID    string      `json:"log_id"`
	First    int64       `json:"first"`
	Last     int64       `json:"last"`
	Previous events.Hash `json:"previous"` // hash of the event before First
	Hash     events.Hash `json:"hash"`     // of the event at Last
	Sealed   bool        `json:"sealed,omitempty"`
	// Cursors tell how far the tables of rows were shipped.
	Cursors map[string]string `json:"cursors,omitempty"`
	Size    int               `json:"size"` // of the payload, bytes
	SHA256  events.Hash       `json:"sha256"`
}

// sum is the SHA-256 of the link, with its own sum left zero, and the payload.
func (l link) sum(payload []byte) (sum events.Hash, err error) {
	l.SHA256 = events.Hash{}
	text, err := json.Marshal(l)
	if err != nil {
		return sum, err
	}
	hash := sha256.New()
	hash.Write(text)    //nolint:errcheck // never fails
	hash.Write(payload) //nolint:errcheck // the same
	return events.Hash(hash.Sum(nil)), nil
}

const (
	segmentFormat = "kanban-segment/1"
	skippable     = 0x184D2A5B
	maxLink       = 4 << 10
	maxPayload    = 256 << 20
)

func (l *link) before() events.Head {
	return events.Head{Position: l.First - 1, Hash: l.Previous}
}

func (l *link) head() events.Head { return events.Head{Position: l.Last, Hash: l.Hash} }

var segmentPattern = regexp.MustCompile(`^log-(\d{12,19})(-\d+)?\.kseg$`)

// objectName is the name of a record that is a file of its own. Rows alone sort
// before the events that follow them.
func objectName(l *link, now time.Time) string {
	if l.Last < l.First {
		return fmt.Sprintf("log-%012d-%d.kseg", l.First, now.UnixNano())
	}
	return segmentName(l.First)
}

func segmentName(first int64) string { return fmt.Sprintf("log-%012d.kseg", first) }

// segmentFirst reads a segment's name.
func segmentFirst(name string) (first int64, ok bool) {
	part := segmentPattern.FindStringSubmatch(name)
	if part == nil {
		return 0, false
	}
	first, err := strconv.ParseInt(part[1], 10, 64)
	return first, err == nil
}

// sortSegments leaves the names of segments, in the order of their positions.
func sortSegments(names []string) []string {
	names = slices.DeleteFunc(names, func(n string) bool { _, ok := segmentFirst(n); return !ok })
	slices.SortFunc(names, func(a, b string) int {
		x, _ := segmentFirst(a)
		y, _ := segmentFirst(b)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	})
	return names
}

// Row is an event of a shipped log, with the records of the commands that ended
// with it.
type Row struct {
	Event    events.Envelope
	Commands []events.CommandRecord
}

// commandLine is a line of the ledger, as in an export.
type commandLine struct {
	Command *commandRecord `json:"command,omitempty"`
	Row     *sideRow       `json:"row,omitempty"`
}

type commandRecord struct {
	ID         string      `json:"id"`
	Actor      string      `json:"actor"`
	RequestSHA events.Hash `json:"request_sha"`
	First      int64       `json:"first"`
	Last       int64       `json:"last"`
	Stream     string      `json:"stream"`
	Version    int64       `json:"version"`
	RecordedAt int64       `json:"recorded_at_us"`
}

// encode makes a record of rows that follow before, and of side rows.
func encode(logID string, before events.Head, rows []Row, beside []sideRow, cursors map[string]string, recipient age.Recipient) (link, []byte, error) {
	l := link{
		Format: segmentFormat, LogID: logID, First: before.Position + 1, Last: before.Position,
		Previous: before.Hash, Hash: before.Hash, Sealed: recipient != nil, Cursors: cursors,
	}
	if len(rows) > 0 {
		last := &rows[len(rows)-1].Event
		l.Last, l.Hash = last.Position, last.Hash
	}
	var payload bytes.Buffer
	out := io.Writer(&payload)
	var sealed io.WriteCloser
	if recipient != nil {
		var err error
		if sealed, err = age.Encrypt(&payload, recipient); err != nil {
			return l, nil, err
		}
		out = sealed
	}
	packed, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return l, nil, err
	}
	lines := json.NewEncoder(packed)
	lines.SetEscapeHTML(false)
	for i := range rows {
		if _, err := packed.Write(append(rows[i].Event.JSON(), '\n')); err != nil {
			return l, nil, err
		}
		for _, rec := range rows[i].Commands {
			line := commandLine{Command: &commandRecord{rec.ID, rec.Actor, rec.RequestSHA, rec.First, rec.Last, rec.Stream, rec.Version, rec.RecordedAt.UnixMicro()}}
			if err := lines.Encode(line); err != nil {
				return l, nil, err
			}
		}
	}
	for i := range beside {
		if err := lines.Encode(commandLine{Row: &beside[i]}); err != nil {
			return l, nil, err
		}
	}
	err = packed.Close()
	if sealed != nil {
		err = errors.Join(err, sealed.Close())
	}
	if err != nil {
		return l, nil, err
	}
	l.Size = payload.Len()
	if l.SHA256, err = l.sum(payload.Bytes()); err != nil {
		return l, nil, err
	}
	text, err := json.Marshal(l)
	if err != nil {
		return l, nil, err
	}
	record := binary.LittleEndian.AppendUint32(make([]byte, 0, 8+len(text)+payload.Len()), skippable)
	record = binary.LittleEndian.AppendUint32(record, uint32(len(text)))
	record = append(record, text...)
	return l, append(record, payload.Bytes()...), nil
}

// errTorn: a record that is not whole; what was before it is.
var errTorn = errors.New("the record is cut off or damaged")

// readRecord reads the next record: io.EOF where there is none, an error that
// wraps errTorn where it is not whole.
func readRecord(r io.Reader) (l link, payload []byte, err error) {
	var begin [8]byte
	n, err := io.ReadFull(r, begin[:])
	if errors.Is(err, io.EOF) {
		return l, nil, io.EOF
	}
	torn := func(why string) error {
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return err // the disk
		}
		return fmt.Errorf("%w: %s", errTorn, why)
	}
	if err != nil {
		return l, nil, torn(fmt.Sprintf("it has %d bytes", n))
	}
	size := binary.LittleEndian.Uint32(begin[4:])
	if binary.LittleEndian.Uint32(begin[:]) != skippable || size > maxLink {
		return l, nil, torn("it begins with something else")
	}
	text := make([]byte, size)
	if _, err = io.ReadFull(r, text); err != nil {
		return l, nil, torn("its link is cut off")
	}
	if json.Unmarshal(text, &l) != nil || l.Format != segmentFormat || l.Size < 0 || l.Size > maxPayload || l.First < 1 || l.Last < l.First-1 {
		return l, nil, torn("its link cannot be read")
	}
	// Not by the size that it claims: a damaged one must not take all memory.
	var buf bytes.Buffer
	if _, err = io.CopyN(&buf, r, int64(l.Size)); err != nil {
		return l, nil, torn("its payload is cut off")
	}
	if sum, err := l.sum(buf.Bytes()); err != nil || sum != l.SHA256 {
		return l, nil, torn("it was changed")
	}
	return l, buf.Bytes(), nil
}
