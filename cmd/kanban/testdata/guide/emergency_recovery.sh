# Emergency recovery procedure
echo "=== EMERGENCY SYSTEM RECOVERY ==="

# 1. Stop all processes
sudo pkill -f uvicorn
sudo pkill -f python

# 2. Check system resources
df -h  # Disk space
free -h  # Memory
top -n 1  # CPU usage

# 3. Restore from backup if database is corrupted
if ! sqlite3 agent_kanban.db "PRAGMA integrity_check;" | grep -q "ok"; then
    echo "Database corrupted, restoring from backup..."
    LATEST_BACKUP=$(ls -t backups/*.db | head -1)
    cp "$LATEST_BACKUP" agent_kanban.db.corrupted
    cp "$LATEST_BACKUP" agent_kanban.db
fi

# 4. Restart application
uvicorn app.main:app --host 0.0.0.0 --port 18000 &

# 5. Verify recovery
sleep 5
curl http://localhost:18000/health
