# Data corruption recovery
echo "=== DATA CORRUPTION RECOVERY ==="

# 1. Immediate backup of current state
cp agent_kanban.db agent_kanban_corrupted_$(date +%Y%m%d_%H%M%S).db

# 2. Try to recover data
sqlite3 agent_kanban.db ".recover" > recovered_data.sql

# 3. Create new database from recovered data
mv agent_kanban.db agent_kanban.db.broken
sqlite3 agent_kanban.db < recovered_data.sql

# 4. Run integrity check
sqlite3 agent_kanban.db "PRAGMA integrity_check;"

# 5. If recovery fails, restore from backup
if ! sqlite3 agent_kanban.db "PRAGMA integrity_check;" | grep -q "ok"; then
    echo "Recovery failed, restoring from backup..."
    LATEST_BACKUP=$(ls -t backups/*.db | head -1)
    cp "$LATEST_BACKUP" agent_kanban.db
fi
