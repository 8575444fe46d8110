#!/bin/bash
# security_audit.sh

echo "=== Monthly Security Audit ==="

# Check for unusual activity
if [ -f "backend.log" ]; then
    echo "Failed authentication attempts:"
    grep -c "401" backend.log

    echo "Rate limiting triggers:"
    grep -c "429" backend.log

    echo "Server errors:"
    grep -c "500" backend.log
fi

# Check file permissions
echo "Database file permissions:"
ls -la agent_kanban.db*

# Check for old refresh tokens
python3 << EOF
import sqlite3
from datetime import datetime, timedelta

conn = sqlite3.connect('agent_kanban.db')
cursor = conn.cursor()

# Count expired refresh tokens
expired_date = datetime.now() - timedelta(days=7)
cursor.execute('SELECT COUNT(*) FROM refresh_tokens WHERE created_at < ?', (expired_date,))
expired_count = cursor.fetchone()[0]

print(f'Expired refresh tokens to cleanup: {expired_count}')

# Cleanup expired tokens
cursor.execute('DELETE FROM refresh_tokens WHERE created_at < ?', (expired_date,))
conn.commit()
conn.close()
EOF
