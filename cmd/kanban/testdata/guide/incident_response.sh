# Security incident response
echo "=== SECURITY INCIDENT RESPONSE ==="

# 1. Immediately backup current state
cp agent_kanban.db incident_backup_$(date +%Y%m%d_%H%M%S).db

# 2. Block suspicious IP addresses (if identified)
# iptables -A INPUT -s <suspicious_ip> -j DROP

# 3. Rotate all JWT secrets
# Update SECRET_KEY in .env file

# 4. Invalidate all active sessions
sqlite3 agent_kanban.db "DELETE FROM refresh_tokens;"

# 5. Enable additional logging
# Set LOG_LEVEL=DEBUG in environment

# 6. Document incident
echo "Incident report: $(date)" >> security_incidents.log
