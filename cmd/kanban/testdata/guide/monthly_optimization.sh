#!/bin/bash
# monthly_optimization.sh

echo "=== Monthly Database Optimization ==="

# Full database analysis
sqlite3 agent_kanban.db "ANALYZE;"

# Check for unused space
DB_SIZE_BEFORE=$(ls -l agent_kanban.db | awk '{print $5}')
sqlite3 agent_kanban.db "VACUUM;"
DB_SIZE_AFTER=$(ls -l agent_kanban.db | awk '{print $5}')

SPACE_SAVED=$((DB_SIZE_BEFORE - DB_SIZE_AFTER))
echo "Space reclaimed: ${SPACE_SAVED} bytes"

# Update table statistics
sqlite3 agent_kanban.db << EOF
UPDATE sqlite_stat1 SET stat = NULL;
ANALYZE;
EOF

echo "Database optimization completed"
