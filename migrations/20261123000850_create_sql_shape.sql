-- The shape of a query: the query with ? in place of each literal. Queries that differ only in values, case, comments,
-- white space or the length of lists of literals have one shape. \x01 and others are the marks of hide_literals. A list
-- may end with the text, because the text may be cut.

set local lock_timeout = '5s';

create or replace function chat_rollups.fold_lists(tokens text, opening text, list text, separator text)
returns text
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Most lists have nothing but literals, and a regular expression for these alone is cheap.
    plain_list constant text := E'^(\x01(?: , \x01)*) ' || case opening when '[ ' then '[]]' else '[)]' end;
    parts text[] := pg_catalog.string_to_array(tokens collate "C", opening);
    members text collate "C";
    folded text;
begin
    for i in 2..pg_catalog.cardinality(parts) loop
        members := case separator when ' , ' then substring(parts[i] collate "C" from plain_list) end;
        -- A list that ends with its part ends with the text only in the last one.
        members := coalesce(
            members,
            substring(
                parts[i] || case when i < pg_catalog.cardinality(parts) then opening else '' end collate "C" from list
            )
        );
        if pg_catalog.strpos(members, separator) > 0 then
            select pg_catalog.string_agg(member, separator order by place) into folded
            from (
                select place, member, pg_catalog.lag(member) over (order by place) as before
                from pg_catalog.string_to_table(members, separator) with ordinality as m (member, place)
            ) as listed
            where member is distinct from before;
            parts[i] := folded || pg_catalog.substr(parts[i], 1 + pg_catalog.length(members));
        end if;
    end loop;
    return pg_catalog.array_to_string(parts, opening);
end
$$;

comment on function chat_rollups.fold_lists is
'The tokens with one of each run of equal members in each list that follows `opening`. `list` is a regular expression for the members.';

create or replace function chat_rollups.fold_literals(tokens text)
returns text
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := '(?!(?:all|distinct|not|select|values|with) )[^[:cntrl:] -@[-^`{-~][^ ]*';
    size constant text := E'(?: [(] \x01(?: \x05 \x01)? [)])?';
    type constant text := '(?:double precision|(?:character|bit) varying' || size || '|time(?:stamp)?' || size
        || ' with(?:out)? time zone|' || name || '(?: [.] ' || name || ')*' || size || ')';
    casts constant text := E'(?: \x08 ' || type || E'(?: \x15)*)*';
    literal constant text := '(?:(?:' || type || E' )?\x01(?: (?:year|month|day|hour|minute|second))?|true|false|null'
        || E'|cast [(] \x01 as ' || type || ' [)])' || casts;
    literals constant text := literal || '(?: , ' || literal || ')*';
    rows constant text := '^(' || literals || '(?: [)] , [(] ' || literals || ')*) [)]';
    bracket_member constant text := '(?:' || literal || E'|[\x0e-\x13])';
    bracket_members constant text := '^(' || bracket_member || '(?: , ' || bracket_member || ')*)(?: []]|(?: ,)? $)';
    most_dimensions constant integer := 6; -- of an array in PostgreSQL
    folded text collate "C" := tokens;
    inner_list text := E'\x01';
    depth integer := 0;
begin
    if pg_catalog.strpos(folded, E'\x08') > 0 then
        folded := pg_catalog.regexp_replace(folded, E'( [\x08.] [^ ]+ [(] \x01) , (\x01 [)])', E'\\1 \x05 \\2', 'g');
        folded := pg_catalog.replace(folded, '[ ]', E'\x15'); -- of the type of a cast: no list begins here
    end if;
    folded := chat_rollups.fold_lists(folded, ' in ( ', '^(' || literals || ')(?: [)]|(?: ,)? $)', ' , ');
    folded := chat_rollups.fold_lists(folded, ' in ( ( ', rows || ' [)]', ' ) , ( ');
    folded := chat_rollups.fold_lists(folded, ' values ( ', rows, ' ) , ( ');

    -- From the inside to the outside: a list of one literal is one member of the list around it.
    while pg_catalog.strpos(folded, '[ ') > 0 and depth < most_dimensions loop
        folded := chat_rollups.fold_lists(folded, '[ ', bracket_members, ' , ');
        exit when pg_catalog.strpos(folded, '[ ' || inner_list || ' ]') = 0;
        folded := pg_catalog.replace(folded, '[ ' || inner_list || ' ]', pg_catalog.chr(14 + depth));
        inner_list := pg_catalog.chr(14 + depth);
        depth := depth + 1;
    end loop;
    for level in reverse depth - 1..0 loop
        folded := pg_catalog.replace(
            folded,
            pg_catalog.chr(14 + level),
            '[ ' || case level when 0 then E'\x01' else pg_catalog.chr(13 + level) end || ' ]'
        );
    end loop;
    return pg_catalog.replace(pg_catalog.translate(folded, E'\x05', ','), E'\x15', '[ ]');
end
$$;

comment on function chat_rollups.fold_literals is
'The tokens with one of each run of equal literals after IN and in brackets, and one of each run of equal rows after IN and VALUES.';

create or replace function public.chat_telemetry_sql_shape(query text)
returns text
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    longest constant integer := 100000;
    -- After these words a sign belongs to its number, and there is a space before a parenthesis.
    reserved constant text := 'all|and|any|as|between|case|check|default|distinct|else|except|for|from|having|ilike|in'
        || '|intersect|into|is|join|lateral|like|limit|not|offset|on|only|or|returning|select|similar|some|symmetric'
        || '|then|to|union|unique|using|when|where|with';
    spaced constant text := reserved || '|by|conflict|exists|filter|group|key|materialized|order|over|set|values';
    control_characters constant text := E'\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18'
        || E'\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f';
    ellipsis constant integer := 8230;
    hidden record;
    shape text collate "C";
begin
    select * into hidden
    from chat_rollups.hide_literals(
        pg_catalog.translate(pg_catalog.left(query, longest), control_characters, pg_catalog.repeat(' ', 27))
    );
    shape := chat_rollups.split_tokens(hidden.code);
    if shape ~ E' [-+] \x03' then
        shape := pg_catalog.regexp_replace(
            shape,
            '(^| (?:[-+*/<>=~!@#%^&|`?]+|:=|[[(,;:]|' || reserved || E')) [-+] \x03',
            E'\\1 \x03', 'g'
        );
    end if;
    shape := chat_rollups.fold_literals(pg_catalog.translate(shape, E'\x03\x04', E'\x01\x01'));

    shape := pg_catalog.regexp_replace(shape, ' (' || spaced || ') (?=[[(])', E' \\1\x07', 'g');
    shape := pg_catalog.regexp_replace(shape, E'([^\x01\x14 -#%-/:-@[-^`{-~]) [(]', E'\\1(', 'g');
    shape := pg_catalog.regexp_replace(shape, E'([^- \x07,+*/<>=~!@#%^&|`?]) \\[', E'\\1[', 'g');
    -- Between two tokens that would be another one without the space.
    shape := pg_catalog.regexp_replace(shape, E'[.] (?=[.\x06])', E'.\x07', 'g');
    shape := pg_catalog.regexp_replace(shape, E': (?=[:=\x08])', E':\x07', 'g');
    shape := pg_catalog.replace(pg_catalog.replace(shape, ' .', '.'), '. ', '.');
    shape := pg_catalog.replace(pg_catalog.replace(shape, E' \x08', E'\x08'), E'\x08 ', E'\x08');
    shape := pg_catalog.replace(shape, ': ', ':');
    shape := pg_catalog.replace(pg_catalog.replace(shape, E' \x06', E'\x06'), E'\x06 ', E'\x06');
    shape := pg_catalog.replace(pg_catalog.replace(shape, '( ', '('), ' )', ')');
    shape := pg_catalog.replace(pg_catalog.replace(shape, '[ ', '['), ' ]', ']');
    shape := pg_catalog.replace(pg_catalog.replace(shape, ' ,', ','), ' ;', ';');
    shape := pg_catalog.replace(pg_catalog.replace(shape, E'\x06', '..'), E'\x08', '::');
    shape := pg_catalog.btrim(pg_catalog.translate(shape, E'\x01\x07\x14', '? $'));
    select pg_catalog.string_agg(part || coalesce(quoted_name, ''), '' order by place) into shape
    from unnest(pg_catalog.string_to_array(shape, E'\x02'), hidden.quoted_names) with ordinality
        as pairs (part, quoted_name, place);
    -- Statements of their own, because a database with another encoding must not even plan to make this character.
    if pg_catalog.length(query) > longest and pg_catalog.getdatabaseencoding() = 'UTF8' then
        shape := pg_catalog.ltrim(coalesce(shape, '') || ' ' || pg_catalog.chr(ellipsis));
    elsif pg_catalog.length(query) > longest then
        shape := pg_catalog.ltrim(coalesce(shape, '') || ' ...');
    end if;
    return shape;
end
$$;

comment on function public.chat_telemetry_sql_shape(text) is
'The query in lower case with ? in place of each literal and of each list of literals, without comments, with one space between tokens where a reader expects it. It reads the first 100,000 characters; the shape of a longer query ends in an ellipsis. Null if there is no token.';

call chat_rollups.make_private(
    'function chat_rollups.fold_lists', 'function chat_rollups.fold_literals'
);

grant execute on function
chat_rollups.fold_lists,
chat_rollups.fold_literals
to telemetry_transformer;

call chat_rollups.make_private('function public.chat_telemetry_sql_shape(text)');

grant execute on function public.chat_telemetry_sql_shape(text) to telemetry_transformer;
