drop table dead_letter_deletions;
drop table dead_letter_redrives;
drop table redrive_runs;
