#!/bin/bash
# performance_analysis.sh

echo "=== Weekly Performance Analysis ==="

# Database statistics
python3 << EOF
import sqlite3
conn = sqlite3.connect('agent_kanban.db')
cursor = conn.cursor()

tables = ['boards', 'tickets', 'comments', 'ticket_history', 'users']
for table in tables:
    cursor.execute(f'SELECT COUNT(*) FROM {table}')
    count = cursor.fetchone()[0]
    print(f'{table}: {count} records')

conn.close()
EOF

# Check for slow queries (if query logging enabled)
if [ -f "slow_queries.log" ]; then
    echo "Top slow queries:"
    sort -n slow_queries.log | tail -10
fi

# Analyze response times
if [ -f "access.log" ]; then
    echo "Average response times by endpoint:"
    awk '{print $7, $10}' access.log | sort | uniq -c | sort -nr | head -10
fi
