// Package audit is the event log of the vault, the key chains and the
// authorisation: every key operation and every refusal, who asked, for what,
// which rule decided, and how it ended.
//
// [Log] appends [Event] values to files that are sealed by the barrier and
// chained by hash (docs/format.md, "Audit log"); an event is durable at most
// [FlushInterval] plus one fsync after Record. The newest link of the chain is
// kept in the store as the [Head], so that a shortened log is found. [Verify]
// walks the files, [Read] yields the events.
//
// It must never hold a secret: an Event has room for names, ids, rules and
// codes and for nothing else. It must never drop an event silently: a log that
// cannot be written refuses every further Record.
package audit
