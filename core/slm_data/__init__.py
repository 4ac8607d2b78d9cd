"""From a source's rows to a task's records, and records on disk."""
