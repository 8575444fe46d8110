#!/bin/bash
# recovery_procedure.sh

BACKUP_FILE="$1"
if [ -z "$BACKUP_FILE" ]; then
    echo "Usage: $0 <backup_file.tar.gz>"
    exit 1
fi

echo "=== SYSTEM RECOVERY ==="
echo "Recovering from: $BACKUP_FILE"

# 1. Stop application
sudo systemctl stop agent-kanban-backend

# 2. Backup current state
mv agent_kanban.db agent_kanban.db.pre_recovery_$(date +%Y%m%d_%H%M%S)

# 3. Extract backup
TEMP_DIR="/tmp/recovery_$(date +%s)"
mkdir -p "$TEMP_DIR"
tar -xzf "$BACKUP_FILE" -C "$TEMP_DIR"

# 4. Restore database
cp "$TEMP_DIR"/*/agent_kanban.db.gz ./
gunzip agent_kanban.db.gz

# 5. Restore configuration if needed
# cp "$TEMP_DIR"/*/.env ./

# 6. Verify database integrity
if sqlite3 agent_kanban.db "PRAGMA integrity_check;" | grep -q "ok"; then
    echo "✅ Database integrity verified"
else
    echo "❌ Database integrity check failed"
    exit 1
fi

# 7. Start application
sudo systemctl start agent-kanban-backend

# 8. Verify recovery
sleep 5
if curl -s http://localhost:18000/health | grep -q "healthy"; then
    echo "✅ Recovery successful"
else
    echo "❌ Recovery verification failed"
    exit 1
fi

# 9. Cleanup
rm -rf "$TEMP_DIR"

echo "=== RECOVERY COMPLETED ==="
