package recover

import (
	"encoding/binary"
	"math"
)

// The file format of SQLite, as far as it is needed here, is described at
// https://www.sqlite.org/fileformat2.html: a row is a cell (length of the
// record, rowid, record), a record is a header (its own length, then the type of
// each column) and the values.

// varint reads an integer of one to nine bytes, big-endian, seven bits a byte
// but for the ninth. n is 0 where b ends too early.
func varint(b []byte) (v uint64, n int) {
	for i := range min(len(b), 9) {
		if i == 8 {
			return v<<8 | uint64(b[8]), 9
		}
		v = v<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// varintSize is how many bytes v takes.
func varintSize(v uint64) int {
	for n := 1; n < 9; n++ {
		if v < 1<<(7*n) {
			return n
		}
	}
	return 9
}

// class is what a column may hold.
type class uint8

const (
	null class = 1 << iota
	integer
	text
	digest // a blob of 32 bytes
)

// of returns the class of a serial type and how many bytes its value takes.
func classOf(serial uint64) (c class, size int, ok bool) {
	switch {
	case serial == 0:
		return null, 0, true
	case serial <= 4:
		return integer, int(serial), true
	case serial == 5:
		return integer, 6, true
	case serial == 6:
		return integer, 8, true
	case serial == 8, serial == 9:
		return integer, 0, true
	case serial == 12+2*32:
		return digest, 32, true
	case serial >= 13 && serial%2 == 1 && serial < 2*maxEvent:
		return text, int(serial-13) / 2, true
	}
	return 0, 0, false
}

// shape is what the rows of a table look like. The first column of each is the
// rowid, which is kept outside of the record and is NULL in it.
type shape []class

var (
	// eventShape: position, stream, version, type, schema, id, recorded_at,
	// actor_kind, actor_id, actor_name, command_id, correlation_id,
	// causation_id, board_id, ticket_id, data, data_sha, hash, chain, actor_sha.
	eventShape = shape{
		null, text, integer, text, integer, text, integer, text, integer, text,
		text, text, text, integer | null, integer | null, text | null, digest, digest, integer, digest | null,
	}
	// oldEventShape is that of rows from before names could be erased.
	oldEventShape = eventShape[:18]
	// credentialShape: user_id, password_hash, updated_at.
	credentialShape = shape{null, text, text}
	// tokenShape of api_tokens: id, user_id, name, prefix, token_sha, role,
	// boards, created_at, expires_at, last_used_at, revoked.
	tokenShape = shape{null, integer, text, text, digest, text, text, text, text | null, text | null, integer}
)

// header reads the header of a record at the start of b: the type of each
// column, and the size of the whole record.
func (s shape) header(b []byte) (serials []uint64, head, size int, ok bool) {
	head = int(b[0]) // ours are shorter than 128 bytes
	if head < len(s)+1 || head > 5*len(s) || head > 0x7f || head > len(b) || b[1] != 0 {
		return nil, 0, 0, false
	}
	serials = make([]uint64, 0, len(s))
	size = head
	for at := 1; at < head; {
		serial, n := varint(b[at:head])
		c, length, known := classOf(serial)
		if n == 0 || !known || len(serials) == len(s) || s[len(serials)]&c == 0 {
			return nil, 0, 0, false
		}
		serials = append(serials, serial)
		size += length
		at += n
	}
	return serials, head, size, len(serials) == len(s) && size <= maxEvent
}

// value is a column: a number, or the bytes of a text or blob; null where both
// are unset.
type value struct {
	null   bool
	number int64
	bytes  []byte
}

// values cuts a whole record into its columns. The bytes are parts of record.
func values(serials []uint64, body []byte) []value {
	list := make([]value, len(serials))
	for i, serial := range serials {
		c, size, _ := classOf(serial)
		if size > len(body) {
			return nil
		}
		part := body[:size:size]
		body = body[size:]
		switch {
		case c == null:
			list[i].null = true
		case serial == 9:
			list[i].number = 1
		case c == integer:
			list[i].number = signed(part)
		default:
			list[i].bytes = part
		}
	}
	return list
}

// signed reads a big-endian number in two's complement.
func signed(b []byte) int64 {
	var full [8]byte
	if len(b) > 0 && b[0]&0x80 != 0 {
		for i := range full {
			full[i] = 0xff
		}
	}
	copy(full[8-len(b):], b)
	return int64(binary.BigEndian.Uint64(full[:]))
}

// local is how many bytes of a record of the size stay in its page; the rest is
// in a chain of overflow pages. usable is the size of a page without what is
// reserved at its end.
func local(size, usable int) int {
	most := usable - 35
	if size <= most {
		return size
	}
	least := (usable-12)*32/255 - 23
	if k := least + (size-least)%(usable-4); k <= most {
		return k
	}
	return least
}

// before finds the cell's beginning, which stands in front of the record at
// page[at:]: the rowid, and before it the size of the record.
func before(page []byte, at, size int) (rowid int64, ok bool) {
	length := varintSize(uint64(size))
	for n := 1; n <= 9; n++ {
		start := at - n - length
		if start < 0 {
			return 0, false
		}
		id, read := varint(page[at-n : at])
		if read != n {
			continue
		}
		got, read := varint(page[start : at-n])
		if read == length && got == uint64(size) && id > 0 && id <= math.MaxInt64 {
			return int64(id), true
		}
	}
	return 0, false
}
