package recover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// file is what pages are read from.
type file interface {
	io.ReaderAt
	Stat() (os.FileInfo, error)
}

// pages are those of a database file and its WAL. Either may be nil.
type pages struct {
	db, wal  file
	size     int // of a page
	usable   int // of it
	count    int64
	frames   map[uint32][]int64 // places of a page in the WAL, oldest first
	all      []frame
	problems []error
}

// frame is one page in the WAL.
type frame struct {
	at        int64 // of the page in the file
	committed bool  // proven by checksums up to a commit
}

const (
	walHeader   = 32
	frameHeader = 24
	// maxFrames bounds what is remembered of a WAL: at 4 KiB a page it is 16 GiB.
	maxFrames = 4 << 20
)

// openPages reads what there is about sizes and frames. A damaged header is
// guessed around, never an error.
func openPages(db, wal file) *pages {
	p := &pages{db: db, wal: wal, frames: map[uint32][]int64{}}
	var head [100]byte
	reserved := 0
	if db != nil {
		if n, _ := db.ReadAt(head[:], 0); n == len(head) && string(head[:15]) == "SQLite format 3" {
			p.size = sane(int(binary.BigEndian.Uint16(head[16:])))
			reserved = int(head[20])
		}
	}
	var walHead [walHeader]byte
	if wal != nil {
		if n, _ := wal.ReadAt(walHead[:], 0); n == walHeader && p.size == 0 {
			p.size = sane(int(binary.BigEndian.Uint32(walHead[8:])))
		}
	}
	if p.size == 0 {
		p.size = 4096 // SQLite's default, and ours
	}
	if p.usable = p.size - reserved; p.usable < 480 {
		p.usable = p.size
	}
	if db != nil {
		info, err := db.Stat()
		if err != nil {
			p.problems = append(p.problems, err)
		} else {
			p.count = (info.Size() + int64(p.size) - 1) / int64(p.size)
		}
	}
	if wal != nil {
		p.readFrames(walHead[:])
	}
	return p
}

// sane returns a page size that SQLite may have, 0 for any other number; 1 stands
// for 64 KiB.
func sane(size int) int {
	if size == 1 {
		size = 65536
	}
	if size < 512 || size > 65536 || size&(size-1) != 0 {
		return 0
	}
	return size
}

// readFrames lists the pages in the WAL, and finds out which belong to a
// transaction that was committed: those whose checksums continue from the
// header to a frame that ends one.
func (p *pages) readFrames(head []byte) {
	info, err := p.wal.Stat()
	if err != nil {
		p.problems = append(p.problems, err)
		return
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if binary.BigEndian.Uint32(head)&1 == 1 {
		order = binary.BigEndian
	}
	s0, s1 := checksum(order, head[:24], 0, 0)
	sound := binary.BigEndian.Uint32(head)&^1 == 0x377f0682 &&
		s0 == binary.BigEndian.Uint32(head[24:]) && s1 == binary.BigEndian.Uint32(head[28:])
	buf := make([]byte, frameHeader+p.size)
	committed := 0
	for at := int64(walHeader); at+frameHeader < info.Size() && len(p.all) < maxFrames; at += int64(len(buf)) {
		n, err := p.wal.ReadAt(buf, at)
		if n < len(buf) {
			clear(buf[n:])
			sound = false
		}
		if err != nil && !errors.Is(err, io.EOF) {
			p.problems = append(p.problems, fmt.Errorf("read the WAL at byte %d: %w", at, err))
		}
		if sound {
			s0, s1 = checksum(order, buf[:8], s0, s1)
			s0, s1 = checksum(order, buf[frameHeader:], s0, s1)
			sound = string(buf[8:16]) == string(head[16:24]) &&
				s0 == binary.BigEndian.Uint32(buf[16:]) && s1 == binary.BigEndian.Uint32(buf[20:])
		}
		p.all = append(p.all, frame{at: at + frameHeader})
		page := binary.BigEndian.Uint32(buf)
		p.frames[page] = append(p.frames[page], at+frameHeader)
		if sound && binary.BigEndian.Uint32(buf[4:]) != 0 {
			committed = len(p.all)
		}
	}
	for i := range committed {
		p.all[i].committed = true
	}
}

// checksum is that of the WAL format: over pairs of 32-bit words.
func checksum(order binary.ByteOrder, b []byte, s0, s1 uint32) (uint32, uint32) {
	for ; len(b) >= 8; b = b[8:] {
		s0 += order.Uint32(b) + s1
		s1 += order.Uint32(b[4:]) + s0
	}
	return s0, s1
}

// read fills buf with a page and zeros where the file ends inside of it.
func (p *pages) read(from file, at int64, buf []byte) error {
	n, err := from.ReadAt(buf, at)
	clear(buf[n:])
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// version says which copy of a page an overflow chain is followed through.
type version int

const (
	newest   version = iota // the last in the WAL, else that of the database
	database                // that of the database only
	earlier                 // the last in the WAL before the page that refers to it
	versions
)

// overflow appends the rest of a record that begins at page number next, until
// size bytes are there. It returns nil where the chain is broken.
func (p *pages) overflow(record []byte, next uint32, size int, which version, before int64) []byte {
	buf := make([]byte, p.size)
	for len(record) < size {
		if next == 0 || !p.find(next, which, before, buf) {
			return nil
		}
		next = binary.BigEndian.Uint32(buf)
		record = append(record, buf[4:4+min(p.usable-4, size-len(record))]...)
	}
	return record
}

// find reads the version of a page.
func (p *pages) find(number uint32, which version, before int64, buf []byte) bool {
	if list := p.frames[number]; which != database {
		for i := len(list) - 1; i >= 0; i-- {
			if which == newest || list[i] < before {
				return p.read(p.wal, list[i], buf) == nil
			}
		}
	}
	return p.db != nil && int64(number) <= p.count && p.read(p.db, int64(number-1)*int64(p.size), buf) == nil
}
