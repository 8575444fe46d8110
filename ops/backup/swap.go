package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// pendingName is a file of the data directory that says what a restore was
// about to put in place. It is written when everything is ready; from then on
// the restore has happened, and whoever takes the data directory next carries
// out what a crash has left undone.
const pendingName = "restore.pending"

// swap is the content of that file.
type swap struct {
	// Staged is the folder of what comes, on the disk of where it goes.
	Staged string `json:"staged"`
	// Away are what was there before, in order, then In what takes its place. The
	// database is the last of In.
	Away []move `json:"away"`
	In   []move `json:"in"`
}

// move is a rename; both paths are absolute.
type move struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Pending reports whether a restore was interrupted and waits for Finish: until
// then the data directory is neither the old nor the new one.
func Pending(dataDir string) bool {
	_, err := os.Stat(filepath.Join(dataDir, pendingName))
	return err == nil
}

// Finish carries out what an interrupted restore has left undone, if there is
// such a thing. The caller holds the lock of the data directory.
func Finish(dataDir string) error {
	path := filepath.Join(dataDir, pendingName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		// One that was interrupted earlier has left its folder at most.
		return sweep(dataDir, restorePrefix)
	}
	var s swap
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil && len(s.In) == 0 {
		err = errors.New("it names nothing")
	}
	if err != nil {
		return fmt.Errorf("finish the restore that %s describes: %w", path, err)
	}
	if err := s.carryOut(path); err != nil {
		return fmt.Errorf("finish the restore that %s describes: %w", path, err)
	}
	return nil
}

// begin makes the swap a fact, then carries it out.
func (s *swap) begin(dataDir string) error {
	if err := s.write(dataDir); err != nil {
		return err
	}
	return s.carryOut(filepath.Join(dataDir, pendingName))
}

// write makes the swap a fact.
func (s *swap) write(dataDir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dataDir, pendingName)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	if err := errors.Join(syncFile(path+".new"), machine.SyncFolder(s.Staged)); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return machine.SyncFolder(dataDir)
}

// carryOut may be repeated after a crash at any point of it.
func (s *swap) carryOut(path string) error {
	// As long as the database is not in its place, nothing may be there that has
	// not been put there by this swap.
	if exists(s.In[len(s.In)-1].From) {
		coming := map[string]bool{} // whose new one is in its place already
		for _, m := range s.In {
			coming[m.To] = !exists(m.From)
		}
		for _, m := range s.Away {
			if coming[m.From] || !exists(m.From) {
				continue
			}
			if err := m.do(); err != nil {
				return err
			}
		}
	}
	for _, m := range s.In {
		if !exists(m.From) {
			continue
		}
		if err := m.do(); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return errors.Join(machine.SyncFolder(filepath.Dir(path)), os.RemoveAll(s.Staged))
}

// do renames, durably: the next move must not survive a power cut that this one
// does not.
func (m move) do() error {
	if err := os.MkdirAll(filepath.Dir(m.To), 0o700); err != nil {
		return err
	}
	if err := os.Rename(m.From, m.To); err != nil {
		return err
	}
	return errors.Join(machine.SyncFolder(filepath.Dir(m.To)), machine.SyncFolder(filepath.Dir(m.From)))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// syncFile makes the content of a file survive a power cut.
func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
