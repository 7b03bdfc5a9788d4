{% macro differences(found, expected) -%}
    select
        'not expected' as side,
        surplus.*
    from (
        select * from {{ found }}
        except all
        select * from {{ expected }}
    ) as surplus
    union all
    select
        'missing' as side,
        missing.*
    from (
        select * from {{ expected }}
        except all
        select * from {{ found }}
    ) as missing
{%- endmacro %}
