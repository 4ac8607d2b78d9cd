"""JSON and YAML: read as a stream, their records found, and brought into rows."""
