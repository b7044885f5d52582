"""What a run shows: tables, figures, and a web page that needs no network."""
