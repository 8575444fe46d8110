// Package logs is what a running server writes for operators: messages for
// people on standard error, and three files for programs in DATA_DIR/logs.
//
//   - backend.log: a JSON object per line with time (UTC, whole seconds), level
//     (DEBUG, INFO, WARNING, ERROR, CRITICAL), msg and what belongs to it. A
//     request that ended with a status of 400 or more is told there too: the
//     method is the 7th word of the line, the path the 8th, the status the 11th.
//   - access.log: a line per request in the common log format, with the path in
//     field 7, the status in 9, seconds in 10 and bytes in 11. It has no query
//     strings: they may carry what nobody should read.
//   - slow_queries.log: milliseconds, the time, and the statement without the
//     values in it.
//
// The data directory has a link to each, for scripts that look there. Files are
// rotated every day and at 50 MiB, compressed, and kept for 90 days.
package logs

// Names of the files in the folder "logs" of the data directory.
const (
	Backend     = "backend.log"
	AccessLog   = "access.log"
	SlowQueries = "slow_queries.log"
)
