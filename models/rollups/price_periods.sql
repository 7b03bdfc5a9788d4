-- What does a model cost per million tokens, under each name with which it is logged, and from when until when?
{{ config(meta={"returns_all_rows": true}) }}
with

own_prices as (
    select * from {{ source('rollups', 'own_prices') }}
),

token_prices as (
    select * from {{ ref('token_prices') }}
),

model_aliases as (
    select * from {{ ref('model_aliases') }}
),

prices as (
    select
        model,
        valid_from,
        input_usd_per_mtok,
        cached_input_usd_per_mtok,
        output_usd_per_mtok,
        source,
        1 as owner_rank
    from own_prices
    union all
    select
        model,
        valid_from,
        input_usd_per_mtok,
        cached_input_usd_per_mtok,
        output_usd_per_mtok,
        source,
        case when source like 'genai-prices %' then 3 else 2 end as owner_rank
    from token_prices
),

named_prices as (
    select
        prices.*,
        prices.model as name,
        'exact' as price_match,
        prices.owner_rank as match_rank
    from prices
    union all
    select
        prices.*,
        model_aliases.alias as name,
        'alias' as price_match,
        prices.owner_rank + 3 as match_rank
    from model_aliases
    inner join prices on model_aliases.model = prices.model
),

-- From its first day on, a price hides all prices of the same name that have a higher match_rank.
ranked_prices as (
    select
        *,
        min(valid_from) over (
            partition by name order by match_rank groups between unbounded preceding and 1 preceding
        ) as hidden_from
    from named_prices
),

-- Of two prices with the same rank and day, the one whose source sorts first, so that each run has the same result.
visible_prices as (
    select distinct on (name, valid_from) * from ranked_prices
    where hidden_from is null or valid_from < hidden_from
    order by name asc, valid_from asc, match_rank asc, source asc, model asc
)

select
    name,
    valid_from,
    coalesce(lead(valid_from) over (partition by name order by valid_from), 'infinity') as valid_until,
    price_match,
    input_usd_per_mtok,
    coalesce(cached_input_usd_per_mtok, input_usd_per_mtok) as cached_input_usd_per_mtok,
    output_usd_per_mtok
from visible_prices
