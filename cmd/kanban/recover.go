package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/ops/machine"
	"github.com/agent-kanban/agent-kanban/ops/recover"
)

// recoverPrefix begins the name of the folder in which a log is put together
// again. One that is left was interrupted: nothing in it is needed.
const recoverPrefix = ".recover-"

func (a *app) recoverCommand() *cobra.Command {
	var dryRun bool
	var from copies
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Put a damaged log together again from all that its copies still hold",
		Long: `Put a damaged log together again from all that its copies still hold: the rows
that SQLite can read, whatever looks like an event in any page of the database and
its WAL, events that were saved in recovered/, the stream's folder, backups and the
shipped copy of the log. An event is taken only where the hash chain proves that it
follows the one before.

Without --backup and --log it uses the newest backup in BACKUP_DIR and the folder
BACKUP_SHIP_TO, where they can be read; the report says so. What was redacted stays
so, even where a backup of before still has it.

The result is a new database, made beside the old one and verified before it takes
its place; read models are made anew, accounts and tokens are copied as far as they
can be read. The damaged files are kept in damaged-TIME/. The report says which
positions came from where. Events that exist but cannot be in the log, because
something before them is missing, are saved in recovered/, where they wait for the
next recovery with a better copy.

Also appends what waits in recovered/ to a sound log, where the chain fits. The
server must be stopped. --dry-run only reports.

Exits with 3 where something could not be saved, 1 where nothing was changed.`,
		Example: `  kanban recover --dry-run
  kanban recover --data-dir /var/lib/kanban
  kanban recover --backup backups/kanban-20260815T020000Z-4711.tar.zst --log /mnt/other-disk/kanban-log
  kanban recover --backup FILE.age --identity key.txt --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			return a.recover(cmd.Context(), cfg, from, dryRun)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "only report what could be recovered")
	cmd.Flags().StringArrayVar(&from.backups, "backup", nil, "a backup of this log; may be given several times (default: the newest in BACKUP_DIR)")
	cmd.Flags().StringVar(&from.log, "log", "", "copy of the log: folder or address (default: BACKUP_SHIP_TO, where that is a folder)")
	identityFlag(cmd, &from.identity)
	return cmd
}

// recovery is one run of recover.
type recovery struct {
	a       *app
	cfg     config
	path    string // of the damaged database
	work    string // folder of everything temporary
	scratch *recover.Scratch
	old     *recover.Database
	carver  *recover.Carver
	// asides are the folders of earlier recoveries, where the database is gone:
	// one may have been interrupted between moving it away and the new one in.
	asides  []string
	from    copies
	backups []backupCopy
	shipped *backup.Shipped // nil = there is none
	// notes say which of the copies were not used, and why.
	notes   []string
	closers []io.Closer
	report  *recover.Report
	whole   bool   // the database needed nothing
	aside   string // folder that the damaged files were moved to
	// unread are tables that could not be read to their ends.
	unread []string
	// borrowed are those of which rows come from a backup instead.
	borrowed []string
}

func (a *app) recover(ctx context.Context, cfg config, from copies, dryRun bool) (err error) {
	r := &recovery{a: a, cfg: cfg, from: from}
	if r.path, err = cfg.databasePath(); err != nil {
		return err
	}
	if _, err := os.Stat(cfg.DataDir); err != nil {
		return &hinted{err, "the directory of the server with --data-dir or DATA_DIR"}
	}
	lock, err := lockDataDir(cfg.DataDir, false)
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the process ends
	if err := r.prepare(ctx); err != nil {
		return errors.Join(err, r.close())
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if r.report, err = r.plan(ctx); err != nil {
		return err
	}
	if r.report.Head.Position == 0 {
		return &hinted{
			errors.Join(errors.New("no copy holds the first event, so nothing can be proven; nothing was changed"), a.printRecovery(r, dryRun)),
			"a backup: kanban restore, or kanban import of an export",
		}
	}
	r.whole = r.sound(ctx)
	sound := r.whole
	if !sound && !dryRun {
		if err := r.replace(ctx); err != nil {
			return err
		}
	}
	if sound && !dryRun {
		// The log stays as it is; what cannot be in it is kept all the same.
		if err := errors.Join(r.saveBeyond(ctx), r.tidy()); err != nil {
			return err
		}
	}
	if sound && r.report.Beyond == 0 && !a.json {
		_, err := fmt.Fprintf(a.stdout, "nothing to recover: the log is sound, %s\n", count(int(r.report.Head.Position), "event"))
		return err
	}
	if err := a.printRecovery(r, dryRun); err != nil {
		return err
	}
	if !r.report.Complete() || len(r.unread) > 0 || r.cutOff() {
		return &hinted{&foundError{"not everything could be saved; the report says what"}, "kanban recover again with another copy: a backup, or saved events in recovered/"}
	}
	return nil
}

// prepare copies what SQLite is to read, and opens everything.
func (r *recovery) prepare(ctx context.Context) (err error) {
	if r.work, err = os.MkdirTemp(filepath.Dir(r.path), recoverPrefix); err != nil {
		return err
	}
	source := r.path
	if !exists(source) {
		if r.asides, err = filepath.Glob(filepath.Join(r.cfg.DataDir, "damaged-*")); err != nil {
			return err
		}
		for _, folder := range r.asides { // the names rise with time
			if file := filepath.Join(folder, filepath.Base(r.path)); exists(file) {
				source = file
			}
		}
	}
	var size int64
	for _, suffix := range []string{"", "-wal"} {
		n, err := machine.FileSize(source + suffix)
		if err != nil {
			return err
		}
		size += n
	}
	space, err := machine.Disk(r.work)
	if needed := 4*size + 16<<20; err == nil && space.Free < needed {
		err = fmt.Errorf("recovery needs %d MiB of free space and there are %d; free some first", needed>>20, space.Free>>20)
	}
	if err != nil {
		return err
	}
	copied := filepath.Join(r.work, "copy.db")
	var files [2]*os.File
	for i, suffix := range []string{"", "-wal"} {
		file, err := os.Open(source + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		files[i] = file
		r.closers = append(r.closers, file)
		if err := copyFile(copied+suffix, file); err != nil {
			return err
		}
	}
	r.carver = recover.NewCarver(files[0], files[1])
	if r.old, err = recover.OpenDatabase(copied); err != nil {
		return err
	}
	r.closers = append(r.closers, r.old)
	if err := r.openCopies(ctx); err != nil {
		return err
	}
	if r.scratch, err = recover.NewScratch(ctx, r.work); err != nil {
		return err
	}
	r.closers = append(r.closers, r.scratch)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// copyFile copies from its beginning; the place in from stays what it was.
func copyFile(path string, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(from, 0, info.Size()))
	return errors.Join(err, to.Close())
}

func (r *recovery) close() error {
	var errs []error
	for _, c := range slices.Backward(r.closers) {
		errs = append(errs, c.Close())
	}
	if r.work != "" {
		errs = append(errs, os.RemoveAll(r.work))
	}
	return errors.Join(errs...)
}

// sources are all copies, the most trusted first. What other copies there are,
// of the same log, goes in front of the unproven pages.
func (r *recovery) sources() []recover.Source {
	pages := r.carver.Sources("the database")
	list := []recover.Source{
		r.old.Source("the database"), pages[0],
		recover.Folder("recovered/", filepath.Join(r.cfg.DataDir, "recovered"), ".jsonl"),
		recover.Folder("the stream", filepath.Join(r.cfg.DataDir, "jetstream"), ".blk"),
	}
	for _, folder := range r.asides {
		list = append(list, recover.Folder(filepath.Base(folder)+", saved events", folder, ".jsonl"), recover.Folder(filepath.Base(folder)+", stream", folder, ".blk"))
	}
	aside, _ := filepath.Glob(filepath.Join(r.cfg.DataDir, "jetstream.damaged-*")) // well-formed
	for _, folder := range aside {
		list = append(list, recover.Folder(filepath.Base(folder), folder, ".blk"))
	}
	list = append(list, r.copied()...)
	return append(list, pages[1])
}

func (r *recovery) plan(ctx context.Context) (*recover.Report, error) {
	if err := r.scratch.Collect(ctx, r.sources()...); err != nil {
		return nil, err
	}
	r.scratch.Ledger(ctx, r.old)
	for _, b := range r.backups {
		r.scratch.Ledger(ctx, b.db)
	}
	report, err := r.scratch.Plan(ctx)
	if err != nil {
		return nil, err
	}
	if report.LogID = r.old.LogID(ctx); report.LogID == "" {
		report.LogID = r.carver.Accounts().LogID
	}
	if report.LogID == "" {
		id, err := uuid.NewRandom()
		if err != nil {
			return nil, err
		}
		report.LogID, report.NewID = id.String(), true
	}
	return report, nil
}

// sound reports whether the database is whole and has all that could be found.
func (r *recovery) sound(ctx context.Context) bool {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: r.path, ReadOnly: true})
	if err != nil {
		return false
	}
	defer db.Close()
	var said string
	if err := db.Reader().QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&said); err != nil || said != "ok" {
		return false
	}
	v, err := ops.Verify(ctx, db, ops.VerifyOptions{})
	return err == nil && v.OK() && v.Head == r.report.Head
}

// cutOff reports whether the shipped log, which alone could tell where the log of a
// database that is gone ended, ends in a place that could not be read.
func (r *recovery) cutOff() bool {
	return r.report.NewID && slices.ContainsFunc(r.report.Sources, func(s recover.SourceReport) bool { return s.Name == shippedName && s.Torn })
}

// printRecovery writes the report.
func (a *app) printRecovery(r *recovery, dryRun bool) error {
	report := r.report
	if a.json {
		return a.printJSON(struct {
			*recover.Report
			DryRun  bool     `json:"dry_run"`
			Aside   string   `json:"damaged_files,omitempty"`
			Partial []string `json:"tables_unread,omitempty"`
			Backup  []string `json:"tables_from_backup,omitempty"`
			Notes   []string `json:"notes,omitempty"`
		}{report, dryRun, r.aside, r.unread, r.borrowed, r.notes})
	}
	var b strings.Builder
	verb := "recovered"
	if dryRun {
		verb = "could be recovered:"
	}
	if r.whole {
		verb = "the log is sound and stays as it is:"
	}
	fmt.Fprintf(&b, "%s %s, head %s\n", verb, count(int(report.Head.Position), "event"), report.Head.Hash)
	for _, x := range report.Ranges {
		fmt.Fprintf(&b, "     positions %d to %d from %s\n", x.From, x.To, x.Source)
	}
	for _, note := range r.notes {
		fmt.Fprintf(&b, "     %s\n", clean(note))
	}
	for _, s := range report.Sources {
		if s.Errors > 0 {
			fmt.Fprintf(&b, "     %s: %s, first: %s\n", s.Name, count(int(s.Errors), "place")+" could not be read", clean(s.Error))
		}
	}
	for _, e := range report.Lost {
		fmt.Fprintf(&b, "LOST position %d: the data of %s on %s by %s at %s\n", e.Position, e.Type, clean(e.Stream), clean(e.Actor), e.At.Format("2006-01-02 15:04:05"))
	}
	if report.KeptLost > 0 {
		fmt.Fprintf(&b, "LOST what redactions had left of %s: no copy holds it\n", count(int(report.KeptLost), "event"))
	}
	for _, g := range report.Gaps {
		fmt.Fprintf(&b, "GAP  positions %d to %d: no copy holds them; they are from %s to %s\n", g.From, g.To,
			g.After.Format("2006-01-02 15:04:05"), g.Before.Format("2006-01-02 15:04:05"))
	}
	if report.Beyond > 0 {
		where := "recovered/"
		if len(report.Files) > 0 {
			where = strings.Join(report.Files, ", ")
		}
		fmt.Fprintf(&b, "     %s cannot be in the log, because what comes before them is missing or another history took their place: %s\n",
			count(int(report.Beyond), "event"), where)
	}
	for _, table := range r.unread {
		fmt.Fprintf(&b, "LOST rows of the table %s: it could not be read to its end\n", table)
	}
	if len(r.borrowed) > 0 {
		fmt.Fprintf(&b, "     as of the backup: %s\n", strings.Join(r.borrowed, ", "))
	}
	if report.NewID {
		b.WriteString("     the database and its id are gone, so the log has a new one: clients start afresh.\n")
		if r.cutOff() {
			fmt.Fprintf(&b, "LOST events after position %d: %s ends in a place that could not be read\n", report.Head.Position, shippedName)
		} else {
			fmt.Fprintf(&b, "     Nothing tells whether anything was recorded after position %d\n", report.Head.Position)
		}
	}
	if r.aside != "" {
		fmt.Fprintf(&b, "     the damaged files are in %s\n", r.aside)
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}
