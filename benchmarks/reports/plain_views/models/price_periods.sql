-- What does a model cost per million tokens, under each name with which it is logged, and from when until when?
with

token_prices as (
    select * from chat_prices.token_prices
),

model_aliases as (
    select * from chat_prices.model_aliases
),

named_prices as (
    select
        model as name,
        'exact' as price_match,
        valid_from,
        input_usd_per_mtok,
        cached_input_usd_per_mtok,
        output_usd_per_mtok
    from token_prices
    union all
    select
        model_aliases.alias as name,
        'alias' as price_match,
        token_prices.valid_from,
        token_prices.input_usd_per_mtok,
        token_prices.cached_input_usd_per_mtok,
        token_prices.output_usd_per_mtok
    from model_aliases
    inner join token_prices on model_aliases.model = token_prices.model
),

ranked_prices as (
    select
        *,
        min(valid_from) filter (where price_match = 'exact') over (partition by name) as exact_from
    from named_prices
)

-- If a name is both a model and an alias, it is the alias until the model has a price.
select
    name,
    price_match,
    valid_from,
    coalesce(lead(valid_from) over (partition by name order by valid_from), 'infinity') as valid_until,
    input_usd_per_mtok,
    coalesce(cached_input_usd_per_mtok, input_usd_per_mtok) as cached_input_usd_per_mtok,
    output_usd_per_mtok
from ranked_prices
where price_match = 'exact' or exact_from is null or valid_from < exact_from
