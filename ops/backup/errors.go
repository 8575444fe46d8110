package backup

import "errors"

// Errors of this package that callers tell apart.
var (
	// ErrDamaged: an archive or a segment is not what was written.
	ErrDamaged = errors.New("the backup is damaged")
	// ErrEncrypted: there is no identity, or none that fits.
	ErrEncrypted = errors.New("the backup is encrypted for another key")
	// ErrSourceDamaged: the database is, so no backup of it was kept.
	ErrSourceDamaged = errors.New("the database is damaged")
	// ErrDiverged: the shipped log holds other events than this log, or more.
	ErrDiverged = errors.New("the shipped log is not a part of this log")
	// ErrNoMoment: the log has nothing at the moment asked for.
	ErrNoMoment = errors.New("the backup does not reach that moment")
)
