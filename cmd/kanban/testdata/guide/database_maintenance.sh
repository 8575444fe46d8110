#!/bin/bash
# database_maintenance.sh

echo "=== Database Maintenance ==="

# SQLite optimization
sqlite3 agent_kanban.db "PRAGMA optimize;"
sqlite3 agent_kanban.db "VACUUM;"

# Check integrity
INTEGRITY=$(sqlite3 agent_kanban.db "PRAGMA integrity_check;")
if [ "$INTEGRITY" = "ok" ]; then
    echo "✅ Database integrity: OK"
else
    echo "❌ Database integrity: ISSUES FOUND"
    echo "$INTEGRITY"
fi

# WAL checkpoint
sqlite3 agent_kanban.db "PRAGMA wal_checkpoint(TRUNCATE);"

echo "Database maintenance completed"
