# Monitor query performance
sqlite3 agent_kanban.db << 'EOF'
.timer on
SELECT COUNT(*) FROM tickets;
SELECT COUNT(*) FROM boards;
SELECT COUNT(*) FROM comments;
EOF

# Monitor API response times
ab -n 100 -c 10 http://localhost:18000/api/boards/

# Monitor WebSocket performance
echo "WebSocket connections:"
curl -s http://localhost:18000/ws/stats
