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
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/doctor"
	"github.com/agent-kanban/agent-kanban/ops/machine"
	"github.com/agent-kanban/agent-kanban/ops/recover"
	"github.com/agent-kanban/agent-kanban/projections"
)

const toRecover = "stop the server, then kanban recover"

// read opens the database for the time of one look.
func (p *patient) read(ctx context.Context, look func(db *sqlstore.DB) doctor.Finding) doctor.Finding {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: p.path, ReadOnly: true})
	if errors.Is(err, sqlstore.ErrNoDatabase) {
		return doctor.Failure("the directory of the server with --data-dir, kanban serve for a new one, or kanban recover", "%v", err)
	}
	if err != nil {
		return doctor.Failure(toRecover, "%v", err)
	}
	defer db.Close()
	return look(db)
}

func (p *patient) database(ctx context.Context) doctor.Finding {
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		rows, err := db.Reader().QueryContext(ctx, "PRAGMA quick_check(5)")
		if err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		defer rows.Close()
		var said []string
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return doctor.Failure(toRecover, "%v", err)
			}
			said = append(said, line)
		}
		if err := rows.Err(); err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		if len(said) != 1 || said[0] != "ok" {
			return doctor.Failure(toRecover, "the file is damaged: %s", strings.Join(said, "; "))
		}
		return doctor.Okay("it opens, its schema is this program's, its pages are sound")
	})
}

func (p *patient) wal(context.Context) doctor.Finding {
	size, err := machine.FileSize(p.path + "-wal")
	switch {
	case err != nil:
		return doctor.Failure("look at the disk", "%v", err)
	case size > 128<<20:
		return doctor.Warning("kanban maintain", "the WAL has %d MiB: something reads for very long, or checkpoints fail", size>>20)
	}
	return doctor.Okay("the WAL has %d KiB", size>>10)
}

func (p *patient) checkpointWAL(ctx context.Context) (string, error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: p.path})
	if err != nil {
		return "", err
	}
	return "copied the WAL into the database", db.Close()
}

func (p *patient) log(ctx context.Context) doctor.Finding {
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		v, err := ops.Verify(ctx, db, ops.VerifyOptions{})
		switch {
		case err != nil:
			return doctor.Failure(toRecover, "%v", err)
		case !v.OK():
			return doctor.Failure(toRecover, "%s, first: position %d: %s", count(v.Total, "problem"), v.Problems[0].Position, v.Problems[0].Detail)
		}
		return doctor.Okay("%s, head %s…", count(int(v.Events), "event"), v.Head.Hash.String()[:12])
	})
}

func (p *patient) readModels(ctx context.Context) doctor.Finding {
	const hint = "stop the server, then kanban rebuild"
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		differences, err := compareReadModel(ctx, db)
		if err != nil {
			return doctor.Failure(hint, "%v", err)
		}
		if len(differences) > 0 {
			return doctor.Failure(hint, "%s, first: %s", count(len(differences), "difference"), differences[0])
		}
		var position int64
		if err := db.Reader().QueryRowContext(ctx, "SELECT position FROM checkpoints WHERE name = 'readmodel'").Scan(&position); err != nil {
			return doctor.Failure(hint, "%v", err)
		}
		head, err := db.Head(ctx)
		switch lag := head.Position - position; {
		case err != nil:
			return doctor.Failure(hint, "%v", err)
		case lag > 1000:
			return doctor.Warning("start the server, which catches up; if it runs, look at its log", "they are %d events behind the log", lag)
		}
		return doctor.Okay("they are what the log says")
	})
}

func (p *patient) rebuild(ctx context.Context) (string, error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: p.path, Synchronous: p.cfg.Synchronous})
	if err != nil {
		return "", err
	}
	defer db.Close()
	done, err := projections.Rebuild(ctx, projections.RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: db})
	return fmt.Sprintf("made them anew from %d events", done.Position), err
}

// streamState is what lies in the stream's folder.
type streamState struct {
	first, last, held int64
	ahead, differ     int64 // of the log; of the same position with another hash
	err               error
}

func (p *patient) streamFolder() string { return filepath.Join(p.cfg.DataDir, "jetstream") }

func (p *patient) streamState(ctx context.Context, db *sqlstore.DB) (s streamState) {
	page := map[int64]events.Hash{} // of one window of the log
	from := int64(-1 << 40)         // nothing is loaded yet
	hash := func(position int64) (events.Hash, bool) {
		if position <= from || position > from+events.DefaultLimit {
			from = position - 1
			clear(page)
			list, err := db.Read(ctx, events.Query{After: from, UpTo: from + events.DefaultLimit})
			if err != nil {
				s.err = errors.Join(s.err, err)
			}
			for i := range list {
				page[list[i].Position] = list[i].Hash
			}
		}
		h, ok := page[position]
		return h, ok
	}
	seen := int64(0)
	for row, err := range recover.Folder("stream", p.streamFolder(), ".blk").Rows(ctx) {
		if err != nil {
			s.err = errors.Join(s.err, err)
			continue
		}
		at := row.Event.Position
		if at <= seen { // a block that is being rewritten
			continue
		}
		seen = at
		if s.first == 0 {
			s.first = at
		}
		s.held++
		s.last = at
		if h, known := hash(at); !known {
			s.ahead++
		} else if h != row.Event.Hash {
			s.differ++
		}
	}
	return s
}

func (p *patient) stream(ctx context.Context) doctor.Finding {
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		s := p.streamState(ctx, db)
		const aside = "with the server stopped: kanban doctor --repair moves it aside, and the next start makes it anew"
		switch {
		case s.err != nil:
			return doctor.Warning(aside, "it cannot be read: %v", s.err)
		case p.locked != nil: // it changes meanwhile
			return doctor.Okay("%s, up to position %d; /health of the server knows more", count(int(s.held), "event"), s.last)
		case s.ahead > 0:
			return doctor.Failure("kanban recover", "it holds %s that the log lacks, up to position %d", count(int(s.ahead), "event"), s.last)
		case s.differ > 0:
			return doctor.Failure("kanban recover", "%s differ from the log", count(int(s.differ), "event"))
		case s.held > 0 && s.held != s.last-s.first+1:
			return doctor.Warning(aside, "%s are missing between positions %d and %d",
				count(int(s.last-s.first+1-s.held), "event"), s.first, s.last)
		}
		return doctor.Okay("%s, all as in the log", count(int(s.held), "event"))
	})
}

// moveStreamAside is safe where the log holds all that the folder does.
func (p *patient) moveStreamAside(ctx context.Context) (did string, err error) {
	p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		s := p.streamState(ctx, db)
		if s.ahead > 0 || s.differ > 0 {
			err = errors.New("it holds events that the log lacks; kanban recover saves them")
			return doctor.Finding{}
		}
		aside := p.streamFolder() + ".damaged-" + p.a.now().UTC().Format("20060102T150405.000")
		err = os.Rename(p.streamFolder(), aside)
		did = "moved it to " + aside
		return doctor.Finding{}
	})
	return did, err
}

func (p *patient) recovered(context.Context) doctor.Finding {
	paths, err := filepath.Glob(filepath.Join(p.cfg.DataDir, "recovered", "events-*.jsonl"))
	if err == nil && len(paths) == 0 {
		return doctor.Okay("no saved events wait")
	}
	return doctor.Warning(toRecover+": it appends them where the chain fits; what does not fit, look at and move away",
		"%s of acknowledged events that the log lacks wait in recovered/", count(len(paths), "file"))
}

func (p *patient) clock(ctx context.Context) doctor.Finding {
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		head, err := db.Head(ctx)
		if err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		page, err := db.Read(ctx, events.Query{After: head.Position - 1, Limit: 1})
		switch {
		case err != nil:
			return doctor.Failure(toRecover, "%v", err)
		case len(page) == 0:
			return doctor.Okay("the log is empty")
		}
		if ahead := page[0].RecordedAt.Sub(p.a.now()); ahead > 2*time.Second {
			return doctor.Failure("set the clock of this machine (timedatectl); events keep their order all the same",
				"the newest event is from %s, which is %s ahead of the clock", page[0].RecordedAt.Format(time.RFC3339), span(ahead))
		}
		return doctor.Okay("the newest event is %s old", span(max(0, p.a.now().Sub(page[0].RecordedAt))))
	})
}
