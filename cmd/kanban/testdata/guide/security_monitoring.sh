# Monitor for suspicious activity
grep -E "(429|401|403|500)" backend.log | tail -20

# Check for SQL injection attempts
grep -i "select\|union\|drop\|delete" backend.log | grep -v "INFO"

# Monitor file access
lsof agent_kanban.db

# Check for unusual database size changes
ls -lh agent_kanban.db
