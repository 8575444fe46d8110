package sqlstore_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// TestMain is also the other process of TestLock: with LOCK_DIR set it takes
// the lock, says so, and holds it until its input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SQLSTORE_TEST_LOCK_DIR"); dir != "" {
		lock, err := sqlstore.Lock(dir)
		fmt.Println("locked", err) //nolint:forbidigo // to the parent
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = lock.Release()
		return
	}
	goleak.VerifyTestMain(m)
}
