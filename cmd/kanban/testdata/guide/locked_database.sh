# Diagnosis
lsof agent_kanban.db  # Check what's using the database

# Resolution
# 1. Stop all processes using the database
sudo pkill -f uvicorn

# 2. Checkpoint WAL file
sqlite3 agent_kanban.db "PRAGMA wal_checkpoint(TRUNCATE);"

# 3. Restart the application
uvicorn app.main:app --host 0.0.0.0 --port 18000
