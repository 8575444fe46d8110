package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/ops/doctor"
)

const toBackUp = "kanban backup, or BACKUP_SCHEDULE=@daily"

func (p *patient) backups(ctx context.Context) doctor.Finding {
	found, err := backup.List(p.cfg.backupDir())
	if err != nil {
		return doctor.Failure("look at BACKUP_DIR", "%v", err)
	}
	if len(found) == 0 {
		return p.otherBackups()
	}
	newest := found[0]
	what := filepath.Base(newest.Path)
	_, err = backup.OpenArchive(ctx, newest.Path, nil)
	switch {
	case errors.Is(err, backup.ErrEncrypted):
		what += ", encrypted: kanban backup verify --identity looks into it"
	case err != nil:
		return doctor.Failure("kanban backup", "the newest backup cannot be read: %v", err)
	}
	age := max(0, p.a.now().Sub(newest.Time))
	most, hint := 48*time.Hour, toBackUp
	if every := backup.Interval(p.cfg.BackupSchedule); every > 0 {
		most, hint = every+time.Hour, "look into the server's log, or whether it runs; kanban backup makes one now"
	}
	if age > most {
		return doctor.Warning(hint, "the newest backup is %s old, and should be at most %s: %s", span(age), span(most), what)
	}
	return doctor.Okay("the newest backup is %s old: %s", span(age), what)
}

// otherBackups are those of other programs, such as the manual's scripts, which
// keep them in backups/daily: only their age is known.
func (p *patient) otherBackups() doctor.Finding {
	var newest time.Time
	var name string
	for _, pattern := range []string{"*", "*/*"} {
		paths, _ := filepath.Glob(filepath.Join(p.cfg.backupDir(), pattern)) // well-formed
		for _, path := range paths {
			if strings.HasPrefix(filepath.Base(path), "before-upgrade-") {
				continue
			}
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.ModTime().After(newest) {
				newest, name = info.ModTime(), path
			}
		}
	}
	switch age := p.a.now().Sub(newest); {
	case name == "":
		return doctor.Warning(toBackUp, "there is no backup in %s", p.cfg.backupDir())
	case age > 48*time.Hour:
		return doctor.Warning(toBackUp, "the newest backup is %s old: %s", span(age), name)
	default:
		return doctor.Okay("the newest backup is %s old: %s", span(max(0, age)), filepath.Base(name))
	}
}

// shippedLag is how old an event may be that is not in the copy of the log.
const shippedLag = time.Minute

func (p *patient) shippedLog(ctx context.Context) doctor.Finding {
	to := p.cfg.BackupShipTo
	switch {
	case to == "":
		return doctor.Okay("the log is not shipped (BACKUP_SHIP_TO)")
	case isBucket(to):
		return doctor.Okay("the log is shipped to a bucket; the details of its health tell how far")
	}
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		const hint = "look into the server's log, and whether BACKUP_SHIP_TO can be written; what is missing follows by itself"
		copied, err := backup.ShippedHead(backup.Shipped{Dir: to, LogID: db.LogID()})
		if err != nil {
			return doctor.Failure(hint, "the copy in %s cannot be read: %v", to, err)
		}
		head, err := db.Head(ctx)
		if err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		if copied.Position > head.Position {
			return doctor.Failure("kanban recover", "the copy in %s goes to position %d, the log to %d only", to, copied.Position, head.Position)
		}
		missing := head.Position - copied.Position
		next, err := db.Read(ctx, events.Query{After: copied.Position, Limit: 1})
		switch {
		case err != nil:
			return doctor.Failure(toRecover, "%v", err)
		case len(next) > 0 && p.a.now().Sub(next[0].RecordedAt) > shippedLag:
			return doctor.Warning(hint, "the copy in %s lacks %s, the oldest is of %s ago", to, count(int(missing), "event"), span(p.a.now().Sub(next[0].RecordedAt)))
		}
		return doctor.Okay("the copy of the log has position %d, %s to follow", copied.Position, count(int(missing), "event"))
	})
}

// redactions names copies in reach that still hold what was redacted.
func (p *patient) redactions(ctx context.Context) doctor.Finding {
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		emptied, last, err := redactedPositions(ctx, db)
		if err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		if last == 0 {
			return doctor.Okay("nothing was redacted")
		}
		archives, err := backup.List(p.cfg.backupDir())
		upgrades, err2 := backup.UpgradeCopies(p.cfg.backupDir())
		if err := errors.Join(err, err2); err != nil {
			return doctor.Failure("look at BACKUP_DIR", "%v", err)
		}
		var found []string
		older := 0
		for _, b := range append(archives, upgrades...) {
			if b.Position < last {
				older++
			}
		}
		if older > 0 {
			found = append(found, fmt.Sprintf("%s in %s from before the redaction at position %d", count(older, "backup"), p.cfg.backupDir(), last))
		}
		if to := p.cfg.BackupShipTo; to != "" && !isBucket(to) {
			for row, err := range backup.Salvage(ctx, backup.Shipped{Dir: to, LogID: db.LogID()}) {
				if err == nil && emptied[row.Event.Position] && !row.Event.Redacted() {
					found = append(found, "the shipped log in "+filepath.Join(to, db.LogID()))
					break
				}
			}
		}
		if len(found) == 0 {
			return doctor.Okay("no copy in reach is from before a redaction")
		}
		return doctor.Warning("delete backups when they may go; with the server stopped the folder of the shipped log, which the next start makes anew",
			"what was redacted is still in %s", strings.Join(found, " and "))
	})
}

// redactedPositions returns what is emptied, and where the last redaction is.
func redactedPositions(ctx context.Context, db *sqlstore.DB) (emptied map[int64]bool, last int64, err error) {
	emptied = map[int64]bool{}
	for e, err := range events.All(ctx, db, events.Query{Types: []events.Type{events.TypeDataRedacted}}) {
		if err != nil {
			return nil, 0, err
		}
		last = e.Position
		if fact, err := e.Payload(); err == nil {
			if f, ok := fact.(events.DataRedacted); ok {
				for _, x := range f.Events {
					emptied[x.Position] = true
				}
			}
		}
	}
	return emptied, last, nil
}
