set lock_timeout = '5s';

drop table if exists chat_tallies.tally_progress;
