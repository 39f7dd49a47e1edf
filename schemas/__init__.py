"""The vocabulary: Avro contracts, records, the job-type catalogue, tiers, states and errors.

Data without behaviour that waits. Imports nothing else of Tierflow.
"""
