# Diagnosis
curl -s http://localhost:18000/ws/stats

# Check WebSocket errors in logs
grep -i "websocket\|socketio" backend.log

# Resolution
# 1. Restart the application
sudo systemctl restart agent-kanban-backend

# 2. Check CORS settings
grep -i "cors" app/main.py

# 3. Test WebSocket connection
wscat -c ws://localhost:18000/ws/connect
