#!/bin/bash
# log_rotation.sh

LOG_DIR="logs"
mkdir -p "${LOG_DIR}/archive"

# Archive current logs
DATE=$(date +%Y%m%d)
mv backend.log "${LOG_DIR}/archive/backend_${DATE}.log"
mv backend_test.log "${LOG_DIR}/archive/backend_test_${DATE}.log"

# Compress archived logs
gzip "${LOG_DIR}/archive/backend_${DATE}.log"
gzip "${LOG_DIR}/archive/backend_test_${DATE}.log"

# Remove logs older than 90 days
find "${LOG_DIR}/archive" -name "*.gz" -mtime +90 -delete

# Restart logging (if using systemd)
sudo systemctl reload agent-kanban-backend
