"""Dead letters driven again by people: the edit, the pace, the canary and the run that outlives its process.

What does not belong here: the record that is sent (`connectors/kafka/redrive.py`) and the tables
(`connectors/postgres/redrives.py`).
"""
