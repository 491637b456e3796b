"""Reports about results: one page for a browser, Markdown, and rows for a paper."""
