package main

import (
	"context"
	"path/filepath"
	"runtime"

	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// details are the sections of /health/detailed. Sizes are in bytes.
func (s *server) details() map[string]kanbanhttp.Section {
	sections := map[string]kanbanhttp.Section{
		"database":    s.detailDatabase,
		"log":         s.detailLog,
		"bus":         func(context.Context) any { return s.relay.Status() },
		"projections": s.detailProjections,
		"webhooks":    s.detailWebhooks,
		"disk":        s.detailDisk,
		"memory":      s.detailMemory,
		"alerts": func(context.Context) any {
			active, _ := s.alerts()
			return active
		},
	}
	if s.redis != nil {
		sections["redis"] = func(ctx context.Context) any {
			return map[string]any{"answers": s.redis(ctx) == nil, "state": s.shared.Status()}
		}
	}
	sections["backups"] = func(context.Context) any {
		view := map[string]any{"folder": s.backupDir(), "schedule": s.backups.Status(), "log": nil}
		if s.shipper != nil {
			view["log"] = s.shipper.Status()
		}
		return view
	}
	return sections
}

// unknown is what a section answers that cannot look. Whoever reads it may see
// the inside: it is for this machine and for admins.
func unknown(err error) any { return map[string]any{"error": err.Error()} }

func (s *server) detailDatabase(ctx context.Context) any {
	size, err := machine.FileSize(s.db.Path())
	if err != nil {
		return unknown(err)
	}
	wal, err := machine.FileSize(s.db.Path() + "-wal")
	if err != nil {
		return unknown(err)
	}
	view := map[string]any{"path": s.db.Path(), "bytes": size, "wal_bytes": wal, "writable": true, "synchronous": s.cfg.Synchronous}
	if err := s.db.Writable(ctx); err != nil {
		view["writable"], view["error"] = false, told(err)
	}
	return view
}

func (s *server) detailLog(ctx context.Context) any {
	head, err := s.db.Head(ctx)
	if err != nil {
		return unknown(err)
	}
	return map[string]any{"log_id": s.db.LogID(), "position": head.Position, "hash": head.Hash.String()}
}

func (s *server) detailProjections(ctx context.Context) any {
	head, err := s.db.Head(ctx)
	if err != nil {
		return unknown(err)
	}
	at := s.watermark.Position()
	return map[string]any{"position": at, "lag": max(0, head.Position-at), "runner": s.runner.Status()}
}

func (s *server) detailWebhooks(ctx context.Context) any {
	off, err := s.webhooks.Off(ctx)
	if err != nil {
		return unknown(err)
	}
	status := s.webhooks.Status()
	return map[string]any{
		"active": status.Active, "failing": status.Failing, "off": off, "delivered": status.Delivered,
		"failed_attempts": status.Failed, "gave_up": status.GaveUp,
	}
}

func (s *server) detailDisk(context.Context) any {
	view := map[string]any{}
	for name, folder := range map[string]string{
		"data": filepath.Dir(s.db.Path()), "bus": filepath.Join(s.cfg.DataDir, "jetstream"), "backups": s.backupDir(),
	} {
		space, err := machine.Disk(folder)
		if err != nil {
			view[name] = unknown(err) // a folder that is made when it is needed
			continue
		}
		view[name] = map[string]any{"folder": folder, "free_bytes": space.Free, "total_bytes": space.Total, "used": space.Used()}
	}
	return view
}

func (s *server) detailMemory(context.Context) any {
	process, err := machine.ProcessMemory()
	if err != nil {
		return unknown(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	threshold := int64(s.cfg.MemoryMB) << 20
	return map[string]any{
		"rss_bytes": process.RSS, "peak_rss_bytes": process.Peak, "threshold_bytes": threshold, "over_threshold": threshold > 0 && process.RSS > threshold,
		"heap_bytes": m.HeapAlloc, "heap_released_bytes": m.HeapReleased, "stack_bytes": m.StackInuse,
		"collections": m.NumGC, "goroutines": runtime.NumGoroutine(),
	}
}
