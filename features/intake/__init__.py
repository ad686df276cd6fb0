"""From bytes to checked canonical rows: what all vendor readers share."""
