drop view critical_jobs;
drop table sink_offsets;
drop table dead_letter_jobs;
drop table job_transitions;
drop table jobs;
