#!/bin/sh
set -e
if ! getent passwd kanban >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/agent-kanban --no-create-home --shell /usr/sbin/nologin kanban
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	# An upgrade goes on with the new program; a first installation is started by
	# whoever has looked at /etc/agent-kanban/kanban.env.
	systemctl try-restart agent-kanban.service
	if ! systemctl is-enabled --quiet agent-kanban.service; then
		echo "To start: systemctl enable --now agent-kanban; the first admin's link is in: journalctl -u agent-kanban"
	fi
fi
