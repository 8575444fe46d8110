#!/bin/bash
# health_check.sh
BACKEND_URL="http://localhost:18000"

echo "=== Backend Health Check ==="
echo "Timestamp: $(date)"

# Check health endpoint
if curl -s "${BACKEND_URL}/health" | grep -q "healthy"; then
    echo "✅ Health endpoint: OK"
else
    echo "❌ Health endpoint: FAILED"
    exit 1
fi

# Check database
if [ -f "agent_kanban.db" ]; then
    DB_SIZE=$(ls -lh agent_kanban.db | awk '{print $5}')
    echo "✅ Database file: OK (${DB_SIZE})"
else
    echo "❌ Database file: MISSING"
    exit 1
fi

# Check WebSocket
if curl -s "${BACKEND_URL}/ws/stats" | grep -q "active_connections"; then
    echo "✅ WebSocket: OK"
else
    echo "⚠️  WebSocket: Limited functionality"
fi

echo "=== Health Check Complete ==="
