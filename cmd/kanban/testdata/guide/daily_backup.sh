#!/bin/bash
# daily_backup.sh

DATE=$(date +%Y%m%d_%H%M%S)
BACKUP_DIR="backups/daily"
mkdir -p "${BACKUP_DIR}"

# Create database backup
cp agent_kanban.db "${BACKUP_DIR}/agent_kanban_${DATE}.db"

# Compress older backups
find "${BACKUP_DIR}" -name "*.db" -mtime +1 -exec gzip {} \;

# Remove backups older than 30 days
find "${BACKUP_DIR}" -name "*.gz" -mtime +30 -delete

echo "Backup completed: ${BACKUP_DIR}/agent_kanban_${DATE}.db"
