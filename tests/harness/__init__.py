"""What the integration and fault tests drive jobq with: real servers, real processes, no stand-ins.

One idea a module: `wait` (conditions instead of clocks), `procs` (what /proc says, orphans reaped, strays found), `pg` (a
private PostgreSQL), `database` (one migrated database a test), `daemon` (jobqd and jobqctl), `http` (the receiver of
tests/fault), `kannel` (a real SMS gateway), `proxy` (a connection that can be delayed, cut and silenced).
"""
