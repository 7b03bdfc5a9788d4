-- What does a logged model cost per million tokens, and from when until when?
-- depends_on: {{ ref('drained_changes') }}
{{ config(meta={"returns_all_rows": true}) }}
with

-- The reports show a call without a name as unknown, so it has the price of a model of this name.
labels as (
    select
        id,
        name,
        undated
    from {{ source('rollups', 'labels') }}
    where id != 0
    union all
    values (0, 'unknown', 'unknown')
),

own_prices as (
    select * from {{ source('rollups', 'own_prices') }}
),

token_prices as (
    select * from {{ ref('token_prices') }}
),

model_aliases as (
    select * from {{ ref('model_aliases') }}
),

-- Gateways and packages put these before the name of a model, each before the models of one provider.
prefixes as (
    select
        name_prefix,
        provider
    from (
        values
        ('anthropic', 'anthropic'),
        ('deepseek', 'deepseek'),
        ('gemini', 'google'),
        ('google', 'google'),
        ('models', 'google'),
        ('mistral', 'mistral'),
        ('openai', 'openai'),
        ('x-ai', 'x-ai'),
        ('xai', 'x-ai')
    ) as known (name_prefix, provider)
),

listed_prices as (
    select
        provider,
        model,
        valid_from,
        input_usd_per_mtok,
        cached_input_usd_per_mtok,
        output_usd_per_mtok,
        source,
        3 as owner_rank
    from token_prices
    where source like 'genai-prices %'
),

listed_models as (
    select
        model,
        min(provider) as provider
    from listed_prices
    group by model
),

own_rows as (
    select
        chat_rollups.without_blanks(model) as model,
        valid_from,
        input_usd_per_mtok,
        cached_input_usd_per_mtok,
        output_usd_per_mtok,
        source,
        1 as owner_rank
    from own_prices
    union all
    select
        chat_rollups.without_blanks(model) as model,
        valid_from,
        input_usd_per_mtok,
        cached_input_usd_per_mtok,
        output_usd_per_mtok,
        source,
        2 as owner_rank
    from token_prices
    where coalesce(source, '') not like 'genai-prices %'
),

prices as (
    select * from listed_prices
    union all
    select
        listed_models.provider,
        own_rows.model,
        own_rows.valid_from,
        own_rows.input_usd_per_mtok,
        own_rows.cached_input_usd_per_mtok,
        own_rows.output_usd_per_mtok,
        own_rows.source,
        own_rows.owner_rank
    from own_rows
    left join listed_models on own_rows.model = listed_models.model
    -- A row of the seed can have any values. A call has no price rather than a wrong one, and dbt's tests fail.
    where
        own_rows.valid_from is not null
        and own_rows.input_usd_per_mtok between 0 and 1e9
        and own_rows.output_usd_per_mtok between 0 and 1e9
        and coalesce(own_rows.cached_input_usd_per_mtok, 0) between 0 and own_rows.input_usd_per_mtok
),

named_prices as (
    select
        prices.*,
        prices.model as name,
        'exact' as price_match,
        prices.owner_rank as name_rank
    from prices
    union all
    select
        prices.*,
        btrim(model_aliases.alias) as name,
        'alias' as price_match,
        prices.owner_rank + 3 as name_rank
    from model_aliases
    inner join prices on model_aliases.model = prices.model
),

-- The names to look for, in this order.
searched_names as (
    select
        labels.id,
        searched.place,
        searched.name,
        searched.price_match,
        prefixes.provider
    from labels
    left join prefixes on split_part(labels.name, '/', 1) = prefixes.name_prefix
    cross join lateral (
        values
        (1, labels.name, null),
        (2, substr(labels.name, length(prefixes.name_prefix) + 2), 'prefix'),
        (3, nullif(labels.undated, labels.name), 'undated'),
        (4, substr(nullif(labels.undated, labels.name), length(prefixes.name_prefix) + 2), 'prefix')
    ) as searched (place, name, price_match)
),

-- From its first day on, a price hides all prices of the same model that have a higher match_rank.
found_prices as (
    select
        searched_names.id,
        coalesce(searched_names.price_match, named_prices.price_match) as price_match,
        named_prices.model as price_model,
        named_prices.valid_from,
        named_prices.input_usd_per_mtok,
        named_prices.cached_input_usd_per_mtok,
        named_prices.output_usd_per_mtok,
        named_prices.source,
        searched_names.place * 6 + named_prices.name_rank as match_rank,
        min(named_prices.valid_from) over (
            partition by searched_names.id
            order by searched_names.place * 6 + named_prices.name_rank
            groups between unbounded preceding and 1 preceding
        ) as hidden_from
    from searched_names
    inner join named_prices on searched_names.name = named_prices.name
    -- A prefix stands before the models of its provider only, and before own models, whose provider nobody knows.
    where
        searched_names.price_match is distinct from 'prefix'
        or coalesce(named_prices.provider, searched_names.provider) = searched_names.provider
),

-- Of two prices with the same rank and day, the one whose source sorts first, so that each run has the same result.
visible_prices as (
    select distinct on (id, valid_from) * from found_prices
    where hidden_from is null or valid_from < hidden_from
    order by id asc, valid_from asc, match_rank asc, source asc, price_model asc
)

select
    id as model,
    valid_from,
    coalesce(lead(valid_from) over (partition by id order by valid_from), 'infinity') as valid_until,
    price_match,
    price_model,
    source,
    input_usd_per_mtok,
    coalesce(cached_input_usd_per_mtok, input_usd_per_mtok) as cached_input_usd_per_mtok,
    output_usd_per_mtok
from visible_prices
