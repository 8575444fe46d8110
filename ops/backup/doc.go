// Package backup copies a log to where its machine cannot take it along: whole,
// as an archive that is taken while the server runs, and continuously, as
// segments that follow the log by less than a second. It brings both back.
//
//	made, err := backup.Create(ctx, backup.Options{Database: path, DataDir: dir, Out: "backups"})
//	a, err := backup.OpenArchive(ctx, made.Path, nil)
//	fmt.Println(a.Manifest.Position, a.Extract(ctx, "elsewhere"))
//
// # The archive
//
// kanban-<UTC time>-<position>.tar.zst is a tar in zstd; with the ending .age it
// is encrypted with age besides, for people whose secret keys this machine does
// not know. The first entry is manifest.json (see Manifest), with the size and
// the SHA-256 of each file that follows: agent_kanban.db, then what an earlier
// accident left in recovered/. SECRET_KEY, the setup token and the keys of
// certificates are never part of it: whoever finds a backup cannot sign in with
// it. It does hold the sums of passwords and tokens, so keep it as you keep the
// database.
//
// # The shipped log
//
// A folder per log_id, in it segments log-<first position>.kseg (see segment.go
// for the bytes). Each record is the events of a moment, compressed, and sealed
// like the archive where there is a recipient; the links of the hash chain stand
// before it in clear, so that a shipper without the secret key finds its place
// again after any crash.
//
// The package imports events, sqlstore, ops and ops/machine; what folds the log
// (verification and rebuild of the read models) is handed in.
package backup
