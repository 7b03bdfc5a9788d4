-- What did each model cost on each of the last 30 days? A day without a price has no bar.
select
    day,
    model as series,
    sum(cost_usd) as value
from chat_reports.token_cost
where day between current_date - 29 and current_date
group by day, model
having sum(cost_usd) is not null
order by day;
