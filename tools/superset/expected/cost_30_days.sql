-- What did the calls of the last 30 days cost?
select sum(cost_usd) as total_cost_usd
from chat_reports.user_usage;
