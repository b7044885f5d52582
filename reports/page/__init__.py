"""The web page: template, style and scripts, put together into one file that needs no network."""
