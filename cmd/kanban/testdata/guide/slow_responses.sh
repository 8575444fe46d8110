# Diagnosis
curl -w "%{time_total}" -s -o /dev/null http://localhost:18000/api/boards/

# Check database performance
sqlite3 agent_kanban.db "EXPLAIN QUERY PLAN SELECT * FROM tickets WHERE board_id = 1;"

# Resolution
# 1. Optimize database
sqlite3 agent_kanban.db "PRAGMA optimize; VACUUM;"

# 2. Check for large result sets
sqlite3 agent_kanban.db "SELECT COUNT(*) FROM tickets;"

# 3. Review recent changes
git log --oneline -10
