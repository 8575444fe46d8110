#!/bin/bash
# comprehensive_backup.sh

BACKUP_DIR="/backup/agent-kanban/$(date +%Y%m%d)"
mkdir -p "$BACKUP_DIR"

# Database backup
cp agent_kanban.db "$BACKUP_DIR/"
gzip "$BACKUP_DIR/agent_kanban.db"

# Configuration backup
cp .env "$BACKUP_DIR/"
cp -r app/core/ "$BACKUP_DIR/config/"

# Log backup
cp -r logs/ "$BACKUP_DIR/"

# Create backup manifest
echo "Backup created: $(date)" > "$BACKUP_DIR/manifest.txt"
echo "Database size: $(ls -lh agent_kanban.db | awk '{print $5}')" >> "$BACKUP_DIR/manifest.txt"
echo "Record counts:" >> "$BACKUP_DIR/manifest.txt"
sqlite3 agent_kanban.db << 'EOF' >> "$BACKUP_DIR/manifest.txt"
SELECT 'Boards: ' || COUNT(*) FROM boards;
SELECT 'Tickets: ' || COUNT(*) FROM tickets;
SELECT 'Comments: ' || COUNT(*) FROM comments;
SELECT 'Users: ' || COUNT(*) FROM users;
EOF

# Compress entire backup
tar -czf "${BACKUP_DIR}.tar.gz" -C "$(dirname $BACKUP_DIR)" "$(basename $BACKUP_DIR)"
rm -rf "$BACKUP_DIR"

echo "Backup completed: ${BACKUP_DIR}.tar.gz"
