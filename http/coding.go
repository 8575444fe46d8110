package http

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// coding is a Content-Encoding.
type coding int

const (
	gzipped coding = iota
	zstandard
	identity
)

func (c coding) String() string { return [...]string{"gzip", "zstd", "identity"}[c] }

// worthSqueezing is the size from which a reply is sent compressed: what is
// smaller fits into a packet or two as it is.
const worthSqueezing = 1400

// negotiate picks from an Accept-Encoding header (RFC 9110, 12.5.3): zstd is
// smaller and faster, gzip is what everybody knows.
func negotiate(header string) coding {
	weight := map[string]float64{}
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				q = 0
			}
		}
		weight[strings.ToLower(strings.TrimSpace(name))] = q
	}
	z, g := weight["zstd"], max(weight["gzip"], weight["x-gzip"])
	switch {
	case z > 0 && z >= g:
		return zstandard
	case g > 0:
		return gzipped
	default:
		return identity
	}
}

// body returns head and rest in a coding. The rest is compressed once; the head,
// which differs each time, goes before it as a block that is not compressed, so
// that both are one stream by the letter of RFC 1951 and RFC 8878. (Two streams
// one after the other would do for the letter too, but browsers stop after the
// first.)
func (k *kept) body(head []byte, c coding) []byte {
	if c == identity {
		return append(append(make([]byte, 0, len(head)+len(k.rest)), head...), k.rest...)
	}
	k.squeeze[c].Do(func() {
		if c == gzipped {
			k.forms[c] = deflate(k.rest)
		} else {
			k.forms[c] = zstdBlocks(k.rest)
		}
	})
	form := k.forms[c]
	b := make([]byte, 0, len(form)+len(head)+32)
	if c == gzipped {
		b = append(b, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255) // RFC 1952: no name, no time, unknown system
		b = append(b, 0)                                    // a stored block that is not the last
		b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
		b = binary.LittleEndian.AppendUint16(b, ^uint16(len(head)))
		b = append(append(b, head...), form...)
		b = binary.LittleEndian.AppendUint32(b, crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, k.rest))
		return binary.LittleEndian.AppendUint32(b, uint32(len(head)+len(k.rest)))
	}
	b = append(b, 0x28, 0xb5, 0x2f, 0xfd, 0, form[0]) // magic, plain frame header, window
	b = append(b, byte(len(head)<<3), byte(len(head)>>5), byte(len(head)>>13))
	return append(append(b, head...), form[1:]...)
}

var flates = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, 5)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

func deflate(text []byte) []byte {
	w := flates.Get().(*flate.Writer)
	defer flates.Put(w)
	var buf bytes.Buffer
	w.Reset(&buf)
	_, _ = w.Write(text) // into memory
	_ = w.Close()
	return buf.Bytes()
}

var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	// 1 MiB of window: what browsers must take is 8.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(false),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
})

// zstdBlocks returns the window descriptor of a frame, and its blocks.
func zstdBlocks(text []byte) []byte {
	frame := zstdEncoder().EncodeAll(text, nil)
	const single, sum, dictionary = 1 << 5, 1 << 2, 3
	flags := frame[4]
	if flags&(single|sum|dictionary) != 0 {
		panic(fmt.Sprintf("a zstd frame with flags %x, which were not asked for", flags))
	}
	size := [...]int{0, 2, 4, 8}[flags>>6] // of the content's size
	return append(frame[5:6:6], frame[6+size:]...)
}
