"""`tierflow demo`: data that others made goes through the whole system; all that comes out is checked."""
