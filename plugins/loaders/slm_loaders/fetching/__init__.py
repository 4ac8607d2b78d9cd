"""The web: connections that are checked and bounded, pages, crawls, and APIs page by page."""
