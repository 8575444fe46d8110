#!/bin/sh
set -e
# $1 is "upgrade" (deb) or 1 (rpm) when another version follows. The data stays.
case "$1" in
upgrade | 1) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now agent-kanban.service || true
fi
