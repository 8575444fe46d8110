package bus

import (
	"syscall"
	"testing"
)

// cpu returns the processor time of the process in microseconds.
func cpu(b *testing.B) int64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	micro := func(t syscall.Timeval) int64 { return int64(t.Sec)*1e6 + int64(t.Usec) }
	return micro(usage.Utime) + micro(usage.Stime)
}
