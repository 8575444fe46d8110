# Monitor real-time logs
tail -f backend.log

# Find errors in logs
grep -E "(ERROR|CRITICAL)" backend.log

# Analyze request patterns
grep "INFO.*completed:" backend.log | awk '{print $8, $11}' | sort | uniq -c

# Check authentication failures
grep "401\|403" backend.log

# Monitor database operations
grep -E "(SELECT|INSERT|UPDATE|DELETE)" backend.log

# WebSocket activity
grep -E "(websocket|socketio)" backend.log
