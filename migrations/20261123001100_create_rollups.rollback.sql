set local lock_timeout = '5s';

drop view if exists chat_rollups.log_as_drained;
drop table if exists
chat_rollups.own_prices, chat_rollups.price_periods, chat_rollups.daily_latency, chat_rollups.window_durations,
chat_rollups.daily_durations, chat_rollups.daily_users, chat_rollups.daily_requests, chat_rollups.drained_changes,
chat_rollups.labels, chat_rollups.progress;
drop function if exists chat_rollups.without_blanks(text);
