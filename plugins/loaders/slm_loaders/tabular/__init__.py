"""Tables: how delimited text is written, and cells of spreadsheets, columns and databases as plain Arrow."""
