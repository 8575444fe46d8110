#!/bin/bash
# performance_monitor.sh

echo "=== Performance Monitoring ==="
echo "Timestamp: $(date)"

# Database size monitoring
DB_SIZE=$(ls -lh agent_kanban.db | awk '{print $5}')
echo "Database size: ${DB_SIZE}"

# WAL file monitoring
if [ -f "agent_kanban.db-wal" ]; then
    WAL_SIZE=$(ls -lh agent_kanban.db-wal | awk '{print $5}')
    echo "WAL file size: ${WAL_SIZE}"
fi

# Memory usage
MEMORY_USAGE=$(ps aux | grep uvicorn | grep -v grep | awk '{print $6}')
echo "Memory usage: ${MEMORY_USAGE}KB"

# Active connections
CONNECTIONS=$(curl -s http://localhost:18000/ws/stats | grep -o '"active_connections":[0-9]*' | cut -d':' -f2)
echo "Active WebSocket connections: ${CONNECTIONS}"

# Response time check
RESPONSE_TIME=$(curl -w "%{time_total}" -s -o /dev/null http://localhost:18000/health)
echo "Health endpoint response time: ${RESPONSE_TIME}s"
