package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

func (a *app) backupListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [DIR]",
		Short: "List the backups in BACKUP_DIR, or in DIR, the newest first",
		Long: `List the backups in BACKUP_DIR (default DATA_DIR/backups), or in DIR, the newest
first: when each was taken, up to which position of the log it reaches, its size,
and whether a secret key is needed to read it. It goes by the names and opens
none; kanban backup verify does.`,
		Example: "  kanban backup list\n  kanban backup list /mnt/backups --json",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			dir := cfg.backupDir()
			if len(args) == 1 {
				dir = args[0]
			}
			found, err := backup.List(dir)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(found)
			}
			if len(found) == 0 {
				a.note("there are no backups in %s", dir)
				return nil
			}
			rows := make([][]string, len(found))
			for i, b := range found {
				sealed := "-"
				if b.Encrypted {
					sealed = "age"
				}
				rows[i] = []string{b.Time.Format(time.DateTime), a.ago(b.Time), strconv.FormatInt(b.Position, 10), bytesText(b.Size), sealed, b.Path}
			}
			return table(a.stdout, "TIME AGE POSITION SIZE KEY FILE", rows)
		},
	}
}

func (a *app) backupVerifyCommand() *cobra.Command {
	var identity string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Prove that a backup can be restored",
		Long: `Prove that a backup can be restored: extract it to a temporary folder (TMPDIR,
which needs room for the database), check the sums of its files, SQLite's
integrity, the counts of its manifest, the hash chain of the log, and that the
read models are a fold of it. Nothing else is touched. FILE may be the
address of one in a bucket, with the credentials of BACKUP_BUCKET. Exits with 1 and says what
is wrong with it where it is damaged.`,
		Example: "  kanban backup verify backups/kanban-20260815T020000Z-4711.tar.zst\n  kanban backup verify FILE.age --identity key.txt --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			archive, discard, err := openArchive(cmd.Context(), args[0], identity)
			if err != nil {
				return err
			}
			defer discard()
			checked, err := archive.Check(cmd.Context(), "", folds(a.progress("verified")))
			if err != nil {
				return backupHint(err)
			}
			if a.json {
				return a.printJSON(checked)
			}
			m := &checked.Manifest
			if _, err := fmt.Fprintf(a.stdout, "taken %s (%s) by version %s, %s\n", m.Time.Format(time.DateTime), a.ago(m.Time), m.Version, bytesText(checked.Size)); err != nil {
				return err
			}
			return a.printVerification(checked.Verification)
		},
	}
	identityFlag(cmd, &identity)
	return cmd
}

func identityFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "identity", "", "file with the secret key of age, for a backup that ends in .age")
}

// openArchive opens a file, or what is in a bucket at an address; discard removes
// what was fetched for it.
func openArchive(ctx context.Context, path, identity string) (archive *backup.Archive, discard func(), err error) {
	keys, err := backup.ReadIdentities(identity)
	if err != nil {
		return nil, nil, &hinted{err, "--identity with the file that age-keygen wrote"}
	}
	discard = func() {}
	if isBucket(path) {
		if path, discard, err = fetchArchive(ctx, path); err != nil {
			return nil, nil, err
		}
	}
	if archive, err = backup.OpenArchive(ctx, path, keys); err != nil {
		discard()
		return nil, nil, backupHint(err)
	}
	return archive, discard, nil
}

// fetchArchive downloads https://host/bucket/folder/name to a temporary folder.
func fetchArchive(ctx context.Context, address string) (path string, discard func(), err error) {
	cut := strings.LastIndexByte(address, '/')
	b, err := bucket("FILE", address[:cut])
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "kanban-fetched-")
	if err != nil {
		return "", nil, err
	}
	discard = func() { _ = os.RemoveAll(dir) }
	path = filepath.Join(dir, filepath.Base(address[cut+1:]))
	if err := b.Download(ctx, address[cut+1:], path); err != nil {
		discard()
		return "", nil, err
	}
	return path, discard, nil
}
