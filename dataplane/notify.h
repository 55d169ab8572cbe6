/* notify.h — tell a service manager that asked for it (systemd's sd_notify protocol: a datagram to $NOTIFY_SOCKET)
 * Owns:     nothing.
 * Process:  supervisor.
 * Memory:   none.
 * Fails:    silently: nobody depends on it but the manager, which has a timeout.
 * Not here: readiness for probes (controlplane/http_server). */
#pragma once

/* "READY=1", "STOPPING=1". path: value of NOTIFY_SOCKET; NULL: nobody asked. */
void notify_send(const char *path, const char *text);
