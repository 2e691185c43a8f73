"""The Python side of a Millrace worker: runs a user's handler class, one batch at a time (docs/handler-protocol.md)."""
